"""Every configuration that a document or a docstring shows."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.docs import own_types

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCE: Final = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CONFIGURATION: Final = re.compile(r"^checks:|\A(#.*\n)*- name:", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One configuration, and where it is shown."""

    name: str
    content: str

    def __str__(self) -> str:
        return self.name


def fences(name: str, text: str) -> list[Example]:
    """Return the fenced YAML in a text that looks like a configuration, named by its line."""
    return [
        Example(f"{name}:{text.count(chr(10), 0, match.start()) + 2}", match[1])
        for match in _FENCE.finditer(text)
        if _CONFIGURATION.search(match[1])
    ]


def _all() -> list[Example]:
    pages = [(str(path.relative_to(ROOT)), path.read_text()) for path in PAGES]
    docstrings = [(f"sidecar types {name}", found.documentation) for name, found in own_types().items()]
    files = [Example(path.name, path.read_text()) for path in sorted((ROOT / "examples").glob("*.yaml"))]
    return [each for name, text in [*pages, *docstrings] for each in fences(name, text)] + files


EXAMPLES: Final = _all()
