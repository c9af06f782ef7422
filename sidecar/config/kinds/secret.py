"""A text that nobody may see."""

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.config.interpolate import Scalar
from sidecar.config.kinds.kind import Schema, Shown, text_schema
from sidecar.config.problems import Mistake
from sidecar.support.text import STARS


class Secret:
    """A text that shows itself as stars. Whoever needs it says so: `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return STARS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class SecretKind(Shown):
    """A text that nobody may see."""

    def parse(self, scalar: Scalar) -> Secret:
        """Return the text behind stars."""
        if not scalar.text:
            raise Mistake(
                "is empty; write a secret such as ${file:/run/secrets/password}, or leave the key out"
            )
        return Secret(scalar.text)

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield all of it."""
        return (scalar.text,)

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return text_schema(minLength=1, writeOnly=True)
