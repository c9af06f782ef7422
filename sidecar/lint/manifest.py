"""A walk through manifests: values by the way to them, each with its place, and defaults for missing ones.

A manifest has many keys that are none of our business, so that nothing is refused for being unknown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sidecar.config.document import Limits, compose_all
from sidecar.config.problems import ConfigError, Place, Problem, quoted

LIMITS: Final = Limits(
    size=16 * 1024 * 1024,
    depth=100,
    nodes=500_000,
    too_large="; pass the workload alone",
    too_deep="; is it a Kubernetes manifest?",
    too_many="; pass the workload alone",
)
"""What a rendered release with all its custom resources needs, and no more."""
STEP_LIMIT: Final = 500_000
"""Values looked at, aliases followed: a document whose aliases multiply is refused."""

_MERGE: Final = "<<"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS: Final = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False}
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,18}")


@dataclass(slots=True)
class Sheet:
    """One source that is read: its name, and the problems that were met in it."""

    source: str
    problems: set[Problem] = field(default_factory=set)
    _steps: int = 0

    def refuse(self, place: Place, path: str, sentence: str) -> None:
        """Record a problem."""
        self.problems.add(Problem(place, path.removeprefix("."), sentence))

    def take_steps(self, count: int) -> None:
        """Count what is looked at.

        Raises:
            ConfigError: it is more than any manifest needs.
        """
        self._steps += count
        if self._steps > STEP_LIMIT:
            sentence = "unfolds into more than a manifest can need; write fewer or smaller aliases"
            raise ConfigError([Problem(Place(self.source), "", sentence)])


@dataclass(frozen=True, slots=True)
class Branch:
    """A value of a manifest, or the place where one is missing; what cannot be read is taken for missing."""

    sheet: Sheet = field(repr=False)
    node: Node | None
    place: Place
    """Where the value's key stands; the place of what it is missing from, if it is."""
    path: str = ""

    def __bool__(self) -> bool:
        """Whether there is a value; null is none, as it is to the API server."""
        return self.node is not None

    def __getitem__(self, key: str) -> "Branch":
        """Return what stands below `key`."""
        path = f"{self.path}.{key}"
        for name, value in reversed(self._pairs()):
            if name.value == key:
                present = None if _is_null(value) else value
                return Branch(self.sheet, present, self._place_of(name), path)
        return Branch(self.sheet, None, self.place, path)

    def below(self, *keys: str) -> "Branch":
        """Return what stands at the end of several keys."""
        branch = self
        for key in keys:
            branch = branch[key]
        return branch

    def names(self) -> list[str]:
        """Return the keys of a mapping, in the order of the file."""
        return [name.value for name, _ in self._pairs()]

    def each(self) -> Iterator["Branch"]:
        """Yield the elements of a list."""
        if self.node is None:
            return
        if not isinstance(self.node, SequenceNode):
            self._refuse("write a list")
            return
        self.sheet.take_steps(len(self.node.value))
        for index, element in enumerate(self.node.value):
            present = None if _is_null(element) else element
            yield Branch(self.sheet, present, self._place_of(element), f"{self.path}[{index}]")

    def texts(self) -> tuple[str, ...]:
        """Return the texts of a list."""
        return tuple(each.text() for each in self.each())

    def text(self, default: str = "") -> str:
        """Return a scalar as it is written."""
        if self.node is None:
            return default
        if not isinstance(self.node, ScalarNode):
            self._refuse("write a single value")
            return default
        return str(self.node.value)

    def unquoted(self) -> str:
        """Return a number or a name as it is written; in quotes a number is a text to the API server."""
        written = self.text()
        if isinstance(self.node, ScalarNode) and self.node.style and _WHOLE_NUMBER.fullmatch(written):
            sentence = f"is a text, which the API server refuses; write {written} without quotes"
            self.sheet.refuse(self.place, self.path, sentence)
        return written

    def number(self, default: int) -> int:
        """Return a whole number from 0."""
        written = self.unquoted()
        if not written:
            return default
        if not _WHOLE_NUMBER.fullmatch(written):
            self.sheet.refuse(self.place, self.path, f"{quoted(written)} is not a whole number from 0")
            return default
        return int(written)

    def truth(self) -> bool | None:
        """Return true or false; None if nothing is said."""
        written = self.text()
        if written and written.lower() not in _TRUTHS:
            self.sheet.refuse(self.place, self.path, f"{quoted(written)} is neither true nor false")
        return _TRUTHS.get(written.lower())

    def _pairs(self) -> list[tuple[ScalarNode, Node]]:
        """Return keys and values of a mapping, those that a `<<` brings first."""
        if self.node is None:
            return []
        if not isinstance(self.node, MappingNode):
            self._refuse("write a mapping of keys and values")
            return []
        self.sheet.take_steps(len(self.node.value))
        own = [pair for pair in self.node.value if isinstance(pair[0], ScalarNode)]
        merges = [value for key, value in own if key.value == _MERGE]
        return [*self._merged(merges), *(pair for pair in own if pair[0].value != _MERGE)]

    def _merged(self, merges: list[Node]) -> Iterator[tuple[ScalarNode, Node]]:
        """Yield what merges bring, the first of several mappings last, as the strongest."""
        for value in merges:
            for each in reversed(value.value) if isinstance(value, SequenceNode) else [value]:
                pairs = each.value if isinstance(each, MappingNode) else []
                self.sheet.take_steps(len(pairs))
                if any(isinstance(key, ScalarNode) and key.value == _MERGE for key, _ in pairs):
                    self.sheet.refuse(self.place, self.path, "merges what merges again; write it out")
                yield from (pair for pair in pairs if isinstance(pair[0], ScalarNode))

    def _place_of(self, node: Node) -> Place:
        return Place(self.sheet.source, node.start_mark.line + 1, node.start_mark.column + 1)

    def _refuse(self, rule: str) -> None:
        hint = "; render the template first" if _is_template(self.node) else ""
        self.sheet.refuse(self.place, self.path, f"{_what(self.node)}; {rule}{hint}")


def documents(sheet: Sheet, content: bytes) -> Iterator[Branch]:
    """Yield the objects of a manifest, also those of a `List`; documents that are empty are passed over.

    Raises:
        ConfigError: it is no YAML, or too much of it.
    """
    for node in compose_all(sheet.source, content, LIMITS):
        place = Place(sheet.source, node.start_mark.line + 1, node.start_mark.column + 1)
        document = Branch(sheet, None if _is_null(node) else node, place)
        is_list = document["kind"].text().endswith("List")
        yield from document["items"].each() if is_list else [document]


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.style and node.value in _NULLS


def _is_template(node: Node | None) -> bool:
    """Whether a value is what YAML reads in `{{ .Values.name }}`: a mapping whose key is a mapping."""
    return isinstance(node, MappingNode) and any(isinstance(key, MappingNode) for key, _ in node.value)


def _what(node: Node | None) -> str:
    if isinstance(node, MappingNode):
        return "is a mapping"
    return "is a list" if isinstance(node, SequenceNode) else "is a single value"
