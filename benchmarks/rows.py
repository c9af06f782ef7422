"""The shape of an answer: rows with a value and its target, and the series of a plot.

Values only; they go to JSON and come back, so that a document can be written without measuring again.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

TIMES: Final = "×"  # noqa: RUF001 - the sign of a ratio
"""The unit of a ratio."""


class Met(StrEnum):
    """Whether a value is what it should be."""

    YES = "met"
    NO = "missed"
    NO_TARGET = ""


class Target(NamedTuple):
    """What a value should be; without bounds it is only told."""

    at_most: float | None = None
    at_least: float | None = None

    def judge(self, value: float | None) -> Met:
        """Return whether `value` keeps to the bounds."""
        if value is None or self == Target():
            return Met.NO_TARGET
        is_low_enough = self.at_most is None or value <= self.at_most
        is_high_enough = self.at_least is None or value >= self.at_least
        return Met.YES if is_low_enough and is_high_enough else Met.NO


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. Without a value, `note` says why it could not be measured here."""

    what: str
    value: float | None
    unit: str = TIMES
    target: Target = Target()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """Named series of points over one axis, on logarithmic scales where so said."""

    name: str
    title: str
    x: str
    y: str
    series: dict[str, list[tuple[float, float]]]
    is_log_x: bool = False
    is_log_y: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """All that one question found. `conditions` are sentences that a reader needs in order to trust it.

    `options` are those of the command line that change what is found.
    """

    rows: Sequence[Row]
    conditions: Sequence[str] = ()
    plots: Sequence[Plot] = field(default=())
    options: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much to measure. `folder` is for what a question writes meanwhile, and removed after it."""

    folder: Path
    is_quick: bool = False
    rest: float = 150.0
    """Seconds that the processes of `weight` run before they are weighed."""

    def count(self, wanted: int) -> int:
        """Return how often to repeat something; seldom for a smoke test."""
        return max(1, wanted // 100) if self.is_quick else wanted


Measure = Callable[[Effort], Findings]


def to_json(findings: Findings) -> dict[str, Any]:
    """Return what `from_json` reads."""
    return asdict(findings)


def from_json(document: dict[str, Any]) -> Findings:
    """Return what `to_json` wrote."""
    return Findings(
        rows=[Row(**{**row, "target": Target(*row["target"])}) for row in document["rows"]],
        conditions=document["conditions"],
        plots=[Plot(**plot) for plot in document["plots"]],
        options=document.get("options", ""),
    )
