"""One of a few words: a boolean, a member of a closed set."""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.config.interpolate import Scalar
from sidecar.config.kinds.kind import Public, Schema, or_placeholder, shown
from sidecar.config.problems import Mistake, unknown


class BooleanKind(Public):
    """`true` or `false`: YAML's other spellings mean other things to other readers."""

    def parse(self, scalar: Scalar) -> bool:
        """Return the truth."""
        if scalar.text not in ("true", "false"):
            raise Mistake(f"{shown(scalar)} is neither true nor false{_boolean_hint(scalar.text)}")
        return scalar.text == "true"

    def show(self, value: bool) -> str:
        """Return `true` or `false`."""
        return str(value).lower()

    def describe(self) -> Schema:
        """Return the JSON Schema."""
        return or_placeholder({"type": "boolean"})


@dataclass(frozen=True, slots=True)
class ChoiceKind(Public):
    """One word of a closed set; where it `may_be_none`, the word none is None."""

    choices: type[StrEnum]
    may_be_none: bool = False

    def parse(self, scalar: Scalar) -> StrEnum | None:
        """Return the member."""
        if scalar.text not in self._words():
            raise Mistake(unknown("choice", scalar.raw, self._words()))
        return None if self.may_be_none and scalar.text == "none" else self.choices(scalar.text)

    def describe(self) -> Schema:
        """Return the JSON Schema of the word."""
        return or_placeholder({"enum": self._words()})

    def _words(self) -> list[str]:
        return [*(choice.value for choice in self.choices), *(["none"] if self.may_be_none else [])]


def _boolean_hint(text: str) -> str:
    meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
    found = meant.get(text.lower()) or (text.lower() if text.lower() in ("true", "false") else None)
    return f"; did you mean {found!r}?" if found else ""
