"""Texts: any, of a given form, the path of a file, a regular expression."""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.config.interpolate import Scalar
from sidecar.config.kinds.kind import Public, Schema, Shown, or_placeholder, shown, text_schema
from sidecar.config.problems import Mistake


@dataclass(frozen=True, slots=True)
class TextKind(Shown):
    """Any text; what was put in from outside is kept secret unless the text `is_public`."""

    is_public: bool = False
    may_be_empty: bool = False
    may_be_blank: bool = True

    def parse(self, scalar: Scalar) -> str:
        """Return the text."""
        if not scalar.text and not self.may_be_empty:
            raise Mistake("is empty; write a text, or leave the key out")
        if scalar.text.isspace() and not self.may_be_blank:
            raise Mistake("is blank; write a text, or leave the key out")
        return scalar.text

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield the pieces that came from outside."""
        return () if self.is_public else scalar.interpolated()

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        if not self.may_be_blank:
            return text_schema(pattern="\\S")
        return text_schema() if self.may_be_empty else text_schema(minLength=1)


@dataclass(frozen=True, slots=True)
class PatternKind(Public):
    """A text of a given form."""

    pattern: str
    rule: str
    """What the form is, to end the sentence `'x' is not …`."""

    def parse(self, scalar: Scalar) -> str:
        """Return the text."""
        if not self.matches(scalar.text):
            raise Mistake(f"{shown(scalar)} is not {self.rule}")
        return scalar.text

    def matches(self, text: str) -> bool:
        """Whether `text` has the form."""
        return re.fullmatch(self.pattern, text) is not None

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return or_placeholder(text_schema(pattern=f"^(?:{self.pattern})$"))


class FilePathKind(Public):
    """The absolute path of a file."""

    def parse(self, scalar: Scalar) -> str:
        """Return the path; whether the file exists is for the one who opens it."""
        if not scalar.text.startswith("/"):
            raise Mistake(f"{shown(scalar)} is not an absolute path; write one that begins with a slash")
        return scalar.text

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {"type": "string", "pattern": "^(/|\\$\\{)"}


class RegexKind:
    """A regular expression in Python's syntax; what was put in from outside is kept secret."""

    def parse(self, scalar: Scalar) -> re.Pattern[str]:
        """Return it compiled."""
        if not scalar.text:
            raise Mistake("is empty, which matches everything; write a regular expression")
        try:
            with warnings.catch_warnings(action="ignore"):  # a future Python may read it otherwise
                return re.compile(scalar.text)
        except (re.error, OverflowError, RecursionError) as error:
            why = "" if scalar.is_interpolated else f": {error}"
            raise Mistake(f"{shown(scalar)} is not a regular expression{why}") from error

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield the pieces that came from outside."""
        return scalar.interpolated()

    def show(self, value: re.Pattern[str]) -> str:
        """Return the expression."""
        return value.pattern

    def describe(self) -> Schema:
        """Return the JSON Schema of the text; an editor's own expressions have another syntax."""
        return text_schema(minLength=1)
