"""Durations, which must carry a unit, and whole numbers, both within bounds."""

import re
from dataclasses import dataclass
from typing import Final

from sidecar.config.interpolate import Scalar
from sidecar.config.kinds.kind import Public, Schema, or_placeholder, shown
from sidecar.config.problems import Mistake
from sidecar.support.text import show_duration

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>ms|s|m|h)")
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class DurationKind(Public):
    """Seconds, written with a unit: `500ms`, `10s`, `5m`, `1h`."""

    at_least: float = 0.0
    at_most: float = 24 * 3600.0

    def parse(self, scalar: Scalar) -> float:
        """Return seconds."""
        match = _DURATION.fullmatch(scalar.text)
        if match is None:
            hint = f"; did you mean '{scalar.raw}s'?" if scalar.raw.isdecimal() else ""
            raise Mistake(
                f"{shown(scalar)} is not a duration; write a whole number and one unit, "
                f"such as 500ms, 10s, 5m or 1h{hint}"
            )
        seconds = int(match["number"]) * _SECONDS[match["unit"]]
        if not self.at_least <= seconds <= self.at_most:
            span = f"from {show_duration(self.at_least)} to {show_duration(self.at_most)}"
            raise Mistake(f"{shown(scalar)} is out of range; write a duration {span}")
        return seconds

    def show(self, value: float) -> str:
        """Return seconds with their unit."""
        return show_duration(value)

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {
            "type": "string",
            "pattern": "^[0-9]{1,9}(ms|s|m|h)$|\\$\\{",
            "examples": ["500ms", "10s", "5m"],
        }


@dataclass(frozen=True, slots=True)
class SwitchableKind(Public):
    """A duration, or the word `off`, which is None."""

    span: DurationKind

    def parse(self, scalar: Scalar) -> float | None:
        """Return seconds, or None."""
        return None if scalar.text == "off" else self.span.parse(scalar)

    def show(self, value: float | None) -> str:
        """Return seconds with their unit, or the word."""
        return "off" if value is None else self.span.show(value)

    def describe(self) -> Schema:
        """Return the JSON Schema of the text; editors may take the word for a boolean."""
        return {"anyOf": [{"enum": ["off", False]}, self.span.describe()]}


@dataclass(frozen=True, slots=True)
class IntegerKind(Public):
    """A whole number in decimal, within bounds; `010` is none, because nobody knows which base was meant."""

    at_least: int = 0
    at_most: int = 2**31 - 1

    def parse(self, scalar: Scalar) -> int:
        """Return the number."""
        if not _INTEGER.fullmatch(scalar.text):
            has_zeros = scalar.raw.startswith("0") and scalar.raw.isdecimal()
            hint = "; leave the leading zeros out" if has_zeros else ""
            raise Mistake(
                f"{shown(scalar)} is not a whole number from {self.at_least} to {self.at_most}{hint}"
            )
        number = int(scalar.text)
        if not self.at_least <= number <= self.at_most:
            raise Mistake(
                f"{shown(scalar)} is out of range; write a number from {self.at_least} to {self.at_most}"
            )
        return number

    def describe(self) -> Schema:
        """Return the JSON Schema of the number."""
        return or_placeholder({"type": "integer", "minimum": self.at_least, "maximum": self.at_most})
