"""The instructions of the Dockerfile, stage by stage."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its continued lines joined."""

    keyword: str
    text: str

    def exec_form(self) -> list[str]:
        """Return the words of the command; fails for one that a shell would run."""
        words: list[str] = json.loads(self.text.partition("CMD ")[2] or self.text)
        return words


Stage = list[Instruction]


def stages() -> list[Stage]:
    """Return the stages in their order, each from its FROM on."""
    instructions = _instructions((ROOT / "Dockerfile").read_text())
    starts = [index for index, each in enumerate(instructions) if each.keyword == "FROM"]
    return [instructions[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def _instructions(text: str) -> list[Instruction]:
    code = re.sub(r"^\s*(#.*)?\n", "", text, flags=re.MULTILINE)
    lines = [line.partition(" ") for line in code.replace("\\\n", "").splitlines()]
    return [Instruction(keyword, " ".join(rest.split())) for keyword, _, rest in lines]


def texts(stage: Stage, keyword: str) -> list[str]:
    """Return the text of every instruction of a kind."""
    return [each.text for each in stage if each.keyword == keyword]


def the(stage: Stage, keyword: str) -> Instruction:
    """Return the only instruction of a kind."""
    [found] = [each for each in stage if each.keyword == keyword]
    return found
