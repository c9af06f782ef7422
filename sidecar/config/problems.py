"""What is wrong with a configuration: where, what was read, which rule, what to write instead."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.support.text import STARS, one_line

SHOWN_VALUE_LIMIT: Final = 60
SHOWN_PROBLEM_LIMIT: Final = 2000


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands; line and column count from 1, and 0 means the source as a whole."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong, or one thing to think about. Its text is one line and never holds a secret."""

    place: Place
    path: str
    """The way to the value, such as `checks.sessions.interval`; empty for the whole file."""
    sentence: str

    def __str__(self) -> str:
        where = f"{self.place}: {self.path}" if self.path else str(self.place)
        return one_line(f"{where}: {self.sentence}", limit=SHOWN_PROBLEM_LIMIT)


class ConfigError(Exception):
    """A configuration was refused. Carries every problem that was found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))


class Mistake(Exception):
    """Raised by a kind or a rule that refuses a value; the message is the sentence of the problem.

    `key` names the key that is at fault where a whole section is judged.
    """

    def __init__(self, sentence: str, *, key: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.key = key


def quoted(text: str) -> str:
    """Return what stands in the file in quotes, on one line, cut, and without what may be a URL's secret."""
    shown = _without_secrets(text)
    if len(shown) > SHOWN_VALUE_LIMIT:
        shown = shown[: SHOWN_VALUE_LIMIT - 1] + "…"
    return f"'{''.join(each if each.isprintable() else repr(each)[1:-1] for each in shown)}'"


def listed(choices: Iterable[str]) -> str:
    """Return the choices as prose: `a, b or c`."""
    *most, last = choices
    return f"{', '.join(most)} or {last}" if most else last


def unknown(what: str, given: str, choices: Sequence[str]) -> str:
    """Return the sentence for a word that is not among the choices, with the nearest one."""
    import difflib  # noqa: PLC0415 - for mistakes alone

    near = difflib.get_close_matches(given.lower(), choices, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {what} {quoted(given)}; {hint}choose from {', '.join(choices)}"


def _without_secrets(text: str) -> str:
    """Return `text` without what is, or was meant to be, a URL's userinfo or query.

    A word in the place of a port is a password whose `@` was forgotten, and behind a blank stands what an
    unclosed quote has swallowed.
    """
    before, at, after = text.rpartition("@")
    if at:
        scheme = _SCHEME.match(before)
        text = f"{scheme[0] if scheme else ''}{STARS}@{after}"
    text = text[: 10 * SHOWN_VALUE_LIMIT]  # patterns that look ahead take their time over a megabyte
    return _BEHIND_URL.sub(rf"\1{STARS}", _WORD_AS_PORT.sub(rf"\1{STARS}", text))


_SCHEME: Final = re.compile(r"(?:\$\{\w+:-)?[A-Za-z][A-Za-z0-9+.-]*://")
_WORD_AS_PORT: Final = re.compile(
    r"(://(?:\*\*\*@)?(?:\[[^\]]*\])?[^\[/?#@:]*:)(?![0-9]+(?:[/?#}]|$)|\$\{)[^/?#]+"
)
_BEHIND_URL: Final = re.compile(r"(://[^?\s]*[?\s]).+", re.DOTALL)
