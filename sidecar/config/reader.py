"""One walk that reads YAML nodes into the frozen dataclasses of a configuration, in the shape of their hints.

Every problem is collected; nothing is constructed from a part that has one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final, Protocol, get_args, get_origin

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sidecar.config.document import DEPTH_LIMIT
from sidecar.config.interpolate import Outside, Scalar, interpolate
from sidecar.config.kinds.choice import ChoiceKind
from sidecar.config.kinds.kind import Kind
from sidecar.config.kinds.text import FilePathKind
from sidecar.config.nodes import Item, is_nothing, is_plain, key_alone, what
from sidecar.config.problems import SHOWN_VALUE_LIMIT, Mistake, Place, Problem, quoted, unknown
from sidecar.config.shape import (
    AtLeastOne,
    Hint,
    Key,
    OneOrMany,
    Section,
    is_section,
    keys_of,
    kind_of,
    unwrap,
)
from sidecar.support.text import one_line

STEP_LIMIT: Final = 100_000
"""Keys and elements read, aliases followed: a document whose aliases multiply is refused."""
PROBLEM_LIMIT: Final = 1000
"""Problems recorded: whoever has more has given us another kind of file."""
NO_SECRETS: Final = frozenset({"", "true", "false", "null", "none"})
"""Words that no secret is: blotting out every `true` would garble the log."""

_A_LIST: Final = "write a list, such as [a, b]"
_A_MAPPING: Final = "write a mapping of keys and values"
_UNFOLDS: Final = "unfolds into more than a configuration can need; write fewer or smaller aliases"
_YAML_TAG: Final = "tag:yaml.org,2002:"
_TAGS_WITHOUT_MEANING: Final = frozenset({f"{_YAML_TAG}{sort}" for sort in ("str", "seq", "map")})


class Flawed:
    """Stands for a value that has a problem; the problem is already recorded."""


FLAWED: Final = Flawed()


class Members(Protocol):
    """The members of a family of sections, by the word that stands at their key `type`."""

    def find(self, name: str) -> Any | None:
        """Return the member of this name, which has the dataclass to read as its `config`."""
        ...

    def names(self) -> Sequence[str]:
        """Return all names."""
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """Sections that differ by their `type`; `what` is what one is called."""

    what: str
    members: Members


@dataclass(slots=True, repr=False)
class Reader:
    """Reads one document: knows where it is, and collects problems, secrets and the files that are named.

    `families` are the dataclasses that stand for one of several, which the key `type` tells.
    """

    source: str
    outside: Outside
    families: Mapping[Section, Family] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)
    _path: list[str | int] = field(default_factory=list)
    _merging: list[Node] = field(default_factory=list)
    _steps: int = 0

    def refuse(self, node: Node, sentence: str) -> Flawed:
        """Record a problem at `node`, on the way that the reader is on.

        Raises:
            TooLargeError: there are too many.
        """
        if len(self.problems) == PROBLEM_LIMIT:
            raise TooLargeError(
                f"has more than {PROBLEM_LIMIT:,} problems; is it a configuration of the sidecar?"
            )
        path = "".join(map(_shown_step, self._path)).removeprefix(".")
        self.problems.append(Problem(self.place(node), path, sentence))
        return FLAWED

    def refuse_unknown(self, item: Item, known: Sequence[str]) -> None:
        """Record that a key is none of those that are known."""
        self.refuse(item.key, unknown("key", key_alone(item.key.value), known))

    def place(self, node: Node) -> Place:
        """Return where `node` begins."""
        return Place(self.source, node.start_mark.line + 1, node.start_mark.column + 1)

    @contextmanager
    def at(self, step: str | int) -> Iterator[None]:
        """Be one step further down the document: at a key, or at an element of a list."""
        self._path.append(step)
        try:
            yield
        finally:
            self._path.pop()

    def read(self, node: Node, hint: Hint) -> Any:
        """Return the value of `node` in the shape of `hint`, or FLAWED."""
        hint, kind = unwrap(hint)
        if is_section(hint, kind):
            return self.read_section(node, hint)
        origin: Any = get_origin(hint)
        if origin is tuple:
            return self._read_list(node, get_args(hint)[0], one_or_many=isinstance(kind, OneOrMany))
        if origin is frozenset:
            return self._read_words(node, get_args(hint)[0], may_be_none=not isinstance(kind, AtLeastOne))
        if origin is dict:
            return self._read_free_mapping(node, get_args(hint)[1])
        return self._read_scalar(node, kind or kind_of(hint))

    def read_section(self, node: Node, section: Section) -> Any:
        """Return a mapping as the dataclass `section`, or as one of its family, or FLAWED."""
        if section in self.families:
            return self._read_member(node, section, self.families[section])
        can_be_empty = not any(key.is_required for key in keys_of(section).values())
        items = self.items(
            node, rule=f"{_A_MAPPING}, or {{}} for its defaults" if can_be_empty else _A_MAPPING
        )
        return FLAWED if items is None else self.read_items(node, items, section)

    def read_items(
        self,
        node: Node,
        items: Mapping[str, Item],
        section: Section,
        fallback: Mapping[str, Any] | None = None,
        *,
        also: Sequence[str] = (),
    ) -> Any:
        """Return the keys of the mapping `node` as the dataclass `section`, or FLAWED.

        A key that is missing takes its value from `fallback`, else the dataclass's default. Keys in `also`
        are allowed and left to the caller.
        """
        keys, fallback = keys_of(section), fallback or {}
        self._refuse_unknown_keys(items, [*keys, *also])
        values = {name: self.read_key(items[name], key) for name, key in keys.items() if name in items}
        known = {*items, *fallback}
        missing = [key for key in keys.values() if key.is_required and key.name not in known]
        for key in missing:
            self.refuse(node, f"the key {key.name} is missing: {key.doc}")
        if missing or _is_flawed(values.values()):
            return FLAWED
        return self._construct(node, items, section, {**fallback, **values})

    def member(self, node: Node, items: Mapping[str, Item], family: Family) -> Any | None:
        """Return the member of a family that the key `type` names; None, and a problem, if there is none."""
        if "type" not in items:
            choices = ", ".join(family.members.names())
            self.refuse(node, f"the key type is missing; choose from {choices}")
            return None
        with self.at("type"):
            written = self.scalar(items["type"].value)
            found = family.members.find(written.text) if written else None
            if written and found is None:
                sentence = unknown(family.what, written.raw, family.members.names())
                self.refuse(items["type"].value, sentence)
            return found

    def read_known_keys(self, items: Mapping[str, Item], section: Section) -> None:
        """Find what is wrong with the keys of `section`, where it is not known which others there may be."""
        for name, key in keys_of(section).items():
            if name in items and name != "type":
                self.read_key(items[name], key)

    def items(self, node: Node, *, rule: str = _A_MAPPING) -> dict[str, Item] | None:
        """Return the keys of a mapping with their nodes, merges resolved.

        None, and a problem that ends with `rule`, if it is none.
        """
        self._refuse_tag(node)
        if not isinstance(node, MappingNode):
            self.refuse(node, f"{what(node)}; {rule}")
            return None
        items: dict[str, Item] = {}
        for key, value in node.value:
            self._take_steps(1)
            if not isinstance(key, ScalarNode):
                self.refuse(key, f"{what(key)} in the place of a key; write a word")
            elif key.value in items:
                self._refuse_twice(key, items[key.value].key)
            else:
                items[key.value] = Item(key, value)
        if "<<" in items and is_plain(items["<<"].key):
            return {**self._merge(items.pop("<<").value), **items}
        return items

    def elements(self, node: Node, *, rule: str = _A_LIST) -> list[Node] | None:
        """Return the nodes of a list; None, and a problem that ends with `rule`, if it is none."""
        self._refuse_tag(node)
        if not isinstance(node, SequenceNode):
            self.refuse(node, f"{what(node)}; {rule}")
            return None
        nodes: list[Node] = node.value
        self._take_steps(len(nodes))
        return nodes

    def scalar(self, node: Node) -> Scalar | None:
        """Return a scalar with its placeholders replaced; None, and a problem, if there is none."""
        self._refuse_tag(node)
        if not isinstance(node, ScalarNode):
            self.refuse(node, f"{what(node)}; write a single value")
            return None
        if is_nothing(node):
            word = f"; put {node.value} in quotes if the word is meant" if node.value else ""
            self.refuse(node, f"{what(node)}; write one, or leave the key out{word}")
            return None
        try:
            return interpolate(node.value, self.outside)
        except Mistake as mistake:
            self.refuse(node, mistake.sentence)
            return None

    def read_key(self, item: Item, key: "Key") -> Any:
        """Return the value of one key, or FLAWED."""
        with self.at(key.name):
            return self.read(item.value, key.hint)

    def _read_member(self, node: Node, section: Section, family: Family) -> Any:
        items = self.items(node)
        if items is None:
            return FLAWED
        found = self.member(node, items, family)
        if found is None:
            self.read_known_keys(items, section)
            return FLAWED
        return self.read_items(node, items, found.config)

    def _read_list(self, node: Node, element: Hint, *, one_or_many: bool) -> Any:
        if one_or_many and not isinstance(node, SequenceNode):
            value = self.read(node, element)
            return value if value is FLAWED else (value,)
        family = self.families.get(element)
        elements = self.elements(node, rule=_list_of(family) if family else _A_LIST)
        if elements is None:
            return FLAWED
        values = []
        for index, each in enumerate(elements):
            with self.at(index):
                values.append(self.read(each, element))
        return FLAWED if _is_flawed(values) else tuple(values)

    def _read_words(self, node: Node, choices: type[StrEnum], *, may_be_none: bool) -> Any:
        kind = ChoiceKind(choices, may_be_none=may_be_none)
        words = self._read_list(node, Annotated[str, kind], one_or_many=True)
        if words is FLAWED:
            return FLAWED
        if not words and not may_be_none:
            return self.refuse(node, "is empty; write at least one word, or leave the key out")
        if None in words and len(words) > 1:
            return self.refuse(node, "has none beside other words; write none alone, or leave it out")
        return _set_of(*words)

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
        self.secrets.update(secret for secret in kind.secrets(scalar) if secret not in NO_SECRETS)
        try:
            value = kind.parse(scalar)
        except Mistake as mistake:
            return self.refuse(node, mistake.sentence)
        if isinstance(kind, FilePathKind):
            self.outside.name_file(value)
        return value

    def _merge(self, node: Node) -> dict[str, Item]:
        """Return the keys that a `<<` brings; of several mappings the first that has a key gives it."""
        merged: dict[str, Item] = {}
        with self.at("<<"):
            for each in node.value if isinstance(node, SequenceNode) else [node]:
                merged = {**self._merged_items(each), **merged}
                self._take_steps(len(merged))
        return merged

    def _merged_items(self, node: Node) -> dict[str, Item]:
        if node in self._merging:
            self.refuse(node, "merges itself; remove the alias")
            return {}
        if len(self._merging) == DEPTH_LIMIT:
            raise TooLargeError(_UNFOLDS)
        self._merging.append(node)
        items = self.items(node)
        self._merging.pop()
        return items or {}

    def _take_steps(self, count: int) -> None:
        self._steps += count
        if self._steps > STEP_LIMIT:
            raise TooLargeError(_UNFOLDS)

    def _refuse_tag(self, node: Node) -> None:
        if node.tag not in _TAGS_WITHOUT_MEANING:
            tag = node.tag.replace(_YAML_TAG, "!!")
            self.refuse(node, f"has the tag {quoted(tag)}; tags mean nothing here: remove it")

    def _refuse_twice(self, key: ScalarNode, first: ScalarNode) -> None:
        line = first.start_mark.line + 1
        self.refuse(
            key,
            f"the key {quoted(key_alone(key.value))} stands here twice, first in line {line}; remove one",
        )

    def _refuse_unknown_keys(self, items: Mapping[str, Item], known: Sequence[str]) -> None:
        for name, item in items.items():
            if name not in known:
                self.refuse_unknown(item, sorted(known))

    def _construct(
        self, node: Node, items: Mapping[str, Item], section: Section, values: Mapping[str, Any]
    ) -> Any:
        built = section(**values)
        mistakes = list(built.rules()) if hasattr(built, "rules") else []
        for mistake in mistakes:
            item = items.get(mistake.key)
            with self.at(mistake.key) if mistake.key else nullcontext():
                self.refuse(item.key if item else node, mistake.sentence)
        return FLAWED if mistakes else built


class TooLargeError(Exception):
    """The document holds or unfolds into more than any configuration needs; the message is the sentence."""


def _is_flawed(values: Iterable[Any]) -> bool:
    return any(value is FLAWED for value in values)


@lru_cache(maxsize=None, typed=True)
def _set_of(*words: StrEnum | None) -> frozenset[StrEnum | None]:
    """Return the set of some words, one and the same for all who list them: it weighs 216 bytes."""
    return frozenset(words) - {None}


def _list_of(family: Family) -> str:
    return f"write a list of {family.what}s, each beginning with a dash"


def _shown_step(step: str | int) -> str:
    return f"[{step}]" if isinstance(step, int) else f".{one_line(key_alone(step), limit=SHOWN_VALUE_LIMIT)}"
