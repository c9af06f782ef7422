"""What every kind of a value can do, and what many of them share.

A kind parses the text of one scalar, shows a value back, and describes the text as JSON Schema. What it
refuses it says in one sentence, and never with a secret in it.
"""

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar, runtime_checkable

from sidecar.config.interpolate import Scalar
from sidecar.config.problems import quoted

Schema = dict[str, Any]
V_co = TypeVar("V_co", covariant=True)


@runtime_checkable
class Kind(Protocol[V_co]):
    """How the text of one scalar becomes a value."""

    def parse(self, scalar: Scalar) -> V_co:
        """Return the value.

        Raises:
            Mistake: the text breaks the kind's rule.
        """
        ...

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield what of the text must never be shown."""
        ...

    def show(self, value: Any) -> str:
        """Return a value as the configuration would write it."""
        ...

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        ...


class Shown:
    """A kind whose values are written as they read."""

    def show(self, value: Any) -> str:
        """Return the value's own text."""
        return str(value)


class Public(Shown):
    """A kind whose values may be shown wherever they come from: a place, a number, a choice."""

    def secrets(self, scalar: Scalar) -> Iterable[str]:  # noqa: ARG002 - a kind's signature
        """Yield nothing."""
        return ()


def shown(scalar: Scalar) -> str:
    """Return the scalar as it stands in the file, quoted and without a URL's userinfo."""
    return quoted(scalar.raw)


def text_schema(**rules: Any) -> Schema:
    """Return the JSON Schema of a text, which need not be quoted where YAML sees a number or a boolean."""
    return {"type": ["string", "number", "boolean"], **rules}


def or_placeholder(schema: Schema) -> Schema:
    """Return the JSON Schema of what may also be a placeholder for it."""
    return {"anyOf": [schema, {"type": "string", "pattern": "\\$\\{"}]}
