"""What a section looks like: its keys, their kinds and defaults, and the same as JSON Schema.

A shape is a type annotation: a dataclass is a mapping, a `tuple[X, ...]` a list, a `frozenset` of words one
word or a list, a `dict[str, X]` a mapping with free keys, and everything else a scalar of some kind.
"""

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from sidecar.config.kinds.choice import BooleanKind, ChoiceKind
from sidecar.config.kinds.kind import Kind, Schema
from sidecar.config.kinds.number import IntegerKind
from sidecar.config.kinds.text import TextKind

Hint = Any
"""A type annotation."""
Section = Any
"""A frozen dataclass, whose fields are keys."""


@dataclass(frozen=True, slots=True)
class OneOrMany:
    """Marks a list whose only element may be written without the brackets."""


@dataclass(frozen=True, slots=True)
class AtLeastOne:
    """Marks words of which one has to be there, so that the word none is none of them."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a section, as its dataclass declares it."""

    name: str
    hint: Hint
    doc: str
    default: Any = MISSING

    @property
    def is_required(self) -> bool:
        """Whether the key has no default."""
        return self.default is MISSING

    def show_default(self) -> str:
        """Return the default as the configuration would write it; empty where there is none to speak of.

        A section has none: the keys inside have.
        """
        has_none = self.default in (MISSING, None, "", ()) or self.inner()
        return "" if has_none else show(self.hint, self.default)

    @property
    def is_list(self) -> bool:
        """Whether the key holds a list."""
        origin: Any = get_origin(unwrap(self.hint)[0])
        return origin is tuple

    def inner(self) -> list["Key"]:
        """Return the keys of the section that the key holds, or a list of such; none if it holds values."""
        hint, kind = unwrap(self.hint)
        if self.is_list:
            hint, kind = unwrap(get_args(hint)[0])
        return list(keys_of(hint).values()) if is_section(hint, kind) else []


def keys_of(section: Section) -> Mapping[str, Key]:
    """Return the keys of a section by name, in the order of the dataclass."""
    return _keys_of(section)


@cache
def _keys_of(section: Section) -> Mapping[str, Key]:
    hints = get_type_hints(section, include_extras=True)
    return {
        each.name: Key(each.name, hints[each.name], each.metadata["doc"], each.default)
        for each in dataclasses.fields(section)
    }


def show(hint: Hint, value: Any) -> str:
    """Return a value, a list or words as the configuration would write them."""
    hint, kind = unwrap(hint)
    origin: Any = get_origin(hint)
    if origin is frozenset:
        return ", ".join(sorted(value)) or "none"
    if origin is tuple:
        return f"[{', '.join(show(get_args(hint)[0], each) for each in value)}]"
    return (kind or kind_of(hint)).show(value)


def describe(hint: Hint) -> Schema:
    """Return the JSON Schema of a shape."""
    hint, kind = unwrap(hint)
    if is_section(hint, kind):
        return describe_section(hint)
    origin: Any = get_origin(hint)
    if origin is tuple:
        many = {"type": "array", "items": describe(get_args(hint)[0])}
        return {"anyOf": [describe(get_args(hint)[0]), many]} if isinstance(kind, OneOrMany) else many
    if origin is frozenset:
        may_be_none = not isinstance(kind, AtLeastOne)
        word = ChoiceKind(get_args(hint)[0], may_be_none=may_be_none).describe()
        words: Schema = {"type": "array", "items": word, "uniqueItems": True}
        return {"anyOf": [word, words if may_be_none else {**words, "minItems": 1}]}
    if origin is dict:
        return {"type": "object", "additionalProperties": describe(get_args(hint)[1])}
    return (kind or kind_of(hint)).describe()


def describe_section(section: Section) -> Schema:
    """Return the JSON Schema of a dataclass, with the documentation of each key."""
    keys = keys_of(section)
    properties = {key.name: {"description": key.doc, **describe(key.hint)} for key in keys.values()}
    required = [key.name for key in keys.values() if key.is_required]
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def unwrap(hint: Hint) -> tuple[Hint, Any]:
    """Return an annotation without `| None` and `Annotated`, and what it was annotated with."""
    origin: Any = get_origin(hint)
    if origin in (Union, types.UnionType):
        return unwrap(next(each for each in get_args(hint) if each is not types.NoneType))
    if origin is Annotated:
        base, annotation, *_ = get_args(hint)
        return base, annotation
    return hint, None


def is_section(hint: Hint, kind: Any) -> bool:
    """Whether an unwrapped annotation is a section; a dataclass with a kind, such as a URL, is one scalar."""
    return kind is None and dataclasses.is_dataclass(hint)


def kind_of(hint: Hint) -> Kind[Any]:
    """Return the kind of a scalar that is annotated with a plain type.

    Raises:
        TypeError: no kind reads this type.
    """
    if hint is bool:
        return BooleanKind()
    if hint is int:
        return IntegerKind()
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return ChoiceKind(hint)
    if hint is str:
        return TextKind()
    raise TypeError(f"no kind reads a {hint}: annotate the field with one")
