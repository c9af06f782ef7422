"""One walk that reads YAML nodes into frozen dataclasses, and describes the same dataclasses as JSON Schema.

A shape is a type annotation: a dataclass is a mapping, a `tuple[X, ...]` a list, a `frozenset` of words one
word or a list, a `dict[str, X]` a mapping with free keys, and everything else a scalar of some kind. Every
problem is collected; nothing is constructed from a part that has one.
"""

import dataclasses
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sidecar.config.fields import BooleanKind, ChoiceKind, FilePathKind, IntegerKind, Kind, Schema, TextKind
from sidecar.config.interpolate import Outside, Scalar, interpolate
from sidecar.config.problems import Mistake, Place, Problem, unknown

NODE_LIMIT: Final = 100_000
"""Nodes visited, aliases followed: a document whose anchors multiply is refused long before memory is."""
DEPTH_LIMIT: Final = 20

Hint = Any
"""A type annotation."""
Section = Any
"""A frozen dataclass, whose fields are keys."""


class Flawed:
    """Stands for a value that has a problem; the problem is already recorded."""


FLAWED: Final = Flawed()


@dataclass(frozen=True, slots=True)
class OneOrMany:
    """Marks a list whose only element may be written without the brackets."""


@dataclass(slots=True)
class Reader:
    """Reads one document: knows where it is, and collects problems, secrets and the files that are named."""

    source: str
    outside: Outside
    problems: list[Problem] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    _path: list[str] = field(default_factory=list)
    _visited: int = 0

    def refuse(self, node: Node, sentence: str) -> Flawed:
        """Record a problem at `node`, on the way that the reader is on."""
        self.problems.append(Problem(self.place(node), ".".join(self._path), sentence))
        return FLAWED

    def place(self, node: Node) -> Place:
        """Return where `node` begins."""
        return Place(self.source, node.start_mark.line + 1, node.start_mark.column + 1)

    @contextmanager
    def at(self, step: str) -> Iterator[None]:
        """Be one step further down the document."""
        self._path.append(step)
        try:
            yield
        finally:
            self._path.pop()

    def read(self, node: Node, hint: Hint) -> Any:
        """Return the value of `node` in the shape of `hint`, or FLAWED."""
        self._visit()
        hint, kind = _unwrap(hint)
        if dataclasses.is_dataclass(hint):
            return self.read_section(node, hint)
        origin: Any = get_origin(hint)
        if origin is tuple:
            return self._read_list(node, get_args(hint)[0], one_or_many=isinstance(kind, OneOrMany))
        if origin is frozenset:
            return self._read_words(node, get_args(hint)[0])
        if origin is dict:
            return self._read_free_mapping(node, get_args(hint)[1])
        return self._read_scalar(node, kind or _kind_of(hint))

    def read_section(
        self,
        node: Node,
        section: Section,
        fallback: Mapping[str, Any] | None = None,
        *,
        also: Sequence[str] = (),
    ) -> Any:
        """Return a mapping as the dataclass `section`, or FLAWED.

        A key that is missing takes its value from `fallback`, else the dataclass's default. Keys in `also`
        are allowed and left to the caller.
        """
        items = self.items(node)
        if items is None:
            return FLAWED
        keys = keys_of(section)
        self._refuse_unknown(items, [*keys, *also])
        values = {name: self.read_key(items[name], key) for name, key in keys.items() if name in items}
        missing = [key for key in keys.values() if key.is_required and key.name not in items]
        for key in missing:
            self.refuse(node, f"the key {key.name} is missing: {key.doc}")
        if missing or _is_flawed(values.values()):
            return FLAWED
        return self._construct(node, items, section, {**(fallback or {}), **values})

    def items(self, node: Node) -> dict[str, "Item"] | None:
        """Return the keys of a mapping with their nodes, merges resolved; None, and a problem, if none."""
        self._visit()
        if not isinstance(node, MappingNode):
            self.refuse(node, f"is {_sort_of(node)}; write a mapping of keys and values")
            return None
        items: dict[str, Item] = {}
        merged: dict[str, Item] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.refuse(key_node, f"a key is {_sort_of(key_node)}; write a word")
            elif key_node.value == "<<" and key_node.style is None:
                merged = {**self._merge(value_node), **merged}
            elif key_node.value in items:
                first = items[key_node.value].key.start_mark.line + 1
                self.refuse(
                    key_node, f"the key {key_node.value} stands here twice, first in line {first}; remove one"
                )
            else:
                items[key_node.value] = Item(key_node, value_node)
        return {**merged, **items}

    def scalar(self, node: Node) -> Scalar | None:
        """Return a scalar with its placeholders replaced; None, and a problem, if there is none."""
        if not isinstance(node, ScalarNode):
            self.refuse(node, f"is {_sort_of(node)}; write a single value")
            return None
        if node.value == "" and node.style is None:
            self.refuse(node, "has no value; write one, or leave the key out")
            return None
        try:
            return interpolate(node.value, self.outside)
        except Mistake as mistake:
            self.refuse(node, mistake.sentence)
            return None

    def read_key(self, item: "Item", key: "Key") -> Any:
        """Return the value of one key, or FLAWED."""
        with self.at(key.name):
            return self.read(item.value, key.hint)

    def _read_list(self, node: Node, element: Hint, *, one_or_many: bool) -> Any:
        if one_or_many and not isinstance(node, SequenceNode):
            value = self.read(node, element)
            return value if value is FLAWED else (value,)
        if not isinstance(node, SequenceNode):
            return self.refuse(node, f"is {_sort_of(node)}; write a list, such as [a, b]")
        values = []
        for index, each in enumerate(node.value):
            with self.at(str(index)):
                values.append(self.read(each, element))
        return FLAWED if _is_flawed(values) else tuple(values)

    def _read_words(self, node: Node, choices: type[StrEnum]) -> Any:
        if isinstance(node, ScalarNode) and node.value == "none":
            return frozenset()
        words = self._read_list(node, Annotated[str, ChoiceKind(choices)], one_or_many=True)
        return words if words is FLAWED else frozenset(words)

    def _read_free_mapping(self, node: Node, value: Hint) -> Any:
        items = self.items(node)
        if items is None:
            return FLAWED
        values = {}
        for name, item in items.items():
            with self.at(name):
                values[name] = self.read(item.value, value)
        return FLAWED if _is_flawed(values.values()) else values

    def _read_scalar(self, node: Node, kind: Kind[Any]) -> Any:
        scalar = self.scalar(node)
        if scalar is None:
            return FLAWED
        self.secrets.update(secret for secret in kind.secrets(scalar) if secret)
        try:
            value = kind.parse(scalar)
        except Mistake as mistake:
            return self.refuse(node, mistake.sentence)
        if isinstance(kind, FilePathKind):
            self.outside.name_file(value)
        return value

    def _merge(self, node: Node) -> dict[str, "Item"]:
        merged: dict[str, Item] = {}
        with self.at("<<"):
            for each in node.value if isinstance(node, SequenceNode) else [node]:
                merged = {**(self.items(each) or {}), **merged}
        return merged

    def _visit(self) -> None:
        self._visited += 1
        if self._visited > NODE_LIMIT or len(self._path) > DEPTH_LIMIT:
            raise TooLargeError

    def _refuse_unknown(self, items: Mapping[str, "Item"], known: Sequence[str]) -> None:
        for name, item in items.items():
            if name not in known:
                self.refuse(item.key, unknown("key", name, sorted(known)))

    def _construct(
        self, node: Node, items: Mapping[str, "Item"], section: Section, values: Mapping[str, Any]
    ) -> Any:
        built = section(**values)
        mistakes = list(built.rules()) if hasattr(built, "rules") else []
        for mistake in mistakes:
            item = items.get(mistake.key)
            with self.at(mistake.key) if mistake.key else _nowhere():
                self.refuse(item.key if item else node, mistake.sentence)
        return FLAWED if mistakes else built


@dataclass(frozen=True, slots=True)
class Item:
    """A key of a mapping, and its value."""

    key: ScalarNode
    value: Node


class TooLargeError(Exception):
    """The document unfolds into more than any configuration needs."""


def _is_flawed(values: Iterable[Any]) -> bool:
    return any(value is FLAWED for value in values)


@contextmanager
def _nowhere() -> Iterator[None]:
    yield


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
        """Return the default as the configuration would write it; empty where there is none to speak of."""
        return "" if self.default in (MISSING, None, "", ()) else show(self.hint, self.default)

    def inner(self) -> list["Key"]:
        """Return the keys of the section that the key holds; none if it holds a value."""
        hint, _ = _unwrap(self.hint)
        return list(keys_of(hint).values()) if dataclasses.is_dataclass(hint) else []


def keys_of(section: Section) -> dict[str, Key]:
    """Return the keys of a section by name, in the order of the dataclass."""
    return _keys_of(section)


@cache
def _keys_of(section: Section) -> dict[str, Key]:
    hints = get_type_hints(section, include_extras=True)
    return {
        each.name: Key(each.name, hints[each.name], each.metadata["doc"], each.default)
        for each in dataclasses.fields(section)
    }


def show(hint: Hint, value: Any) -> str:
    """Return a value as the configuration would write it."""
    hint, kind = _unwrap(hint)
    if dataclasses.is_dataclass(hint):
        return "{}"
    origin: Any = get_origin(hint)
    if origin is frozenset:
        return ", ".join(sorted(value)) or "none"
    if origin is tuple:
        return f"[{', '.join(show(get_args(hint)[0], each) for each in value)}]"
    if origin is dict:
        return "{}"
    return (kind or _kind_of(hint)).show(value)


def describe(hint: Hint) -> Schema:
    """Return the JSON Schema of a shape."""
    hint, kind = _unwrap(hint)
    if dataclasses.is_dataclass(hint):
        return describe_section(hint)
    origin: Any = get_origin(hint)
    if origin is tuple:
        many = {"type": "array", "items": describe(get_args(hint)[0])}
        return {"anyOf": [describe(get_args(hint)[0]), many]} if isinstance(kind, OneOrMany) else many
    if origin is frozenset:
        word = ChoiceKind(get_args(hint)[0]).describe()
        return {"anyOf": [word, {"const": "none"}, {"type": "array", "items": word, "uniqueItems": True}]}
    if origin is dict:
        return {"type": "object", "additionalProperties": describe(get_args(hint)[1])}
    return (kind or _kind_of(hint)).describe()


def describe_section(section: Section) -> Schema:
    """Return the JSON Schema of a dataclass, with the documentation of each key."""
    keys = keys_of(section)
    properties = {key.name: {"description": key.doc, **describe(key.hint)} for key in keys.values()}
    required = [key.name for key in keys.values() if key.is_required]
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _unwrap(hint: Hint) -> tuple[Hint, Any]:
    """Return an annotation without `| None` and `Annotated`, and what it was annotated with."""
    origin: Any = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _unwrap(next(each for each in get_args(hint) if each is not types.NoneType))
    if origin is Annotated:
        base, annotation, *_ = get_args(hint)
        return base, annotation
    return hint, None


def _kind_of(hint: Hint) -> Kind[Any]:
    if hint is bool:
        return BooleanKind()
    if hint is int:
        return IntegerKind()
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return ChoiceKind(hint)
    if hint is str:
        return TextKind()
    raise TypeError(f"no kind reads a {hint}: annotate the field with one")


def _sort_of(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, SequenceNode) else "a single value"
