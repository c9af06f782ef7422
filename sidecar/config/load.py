"""Reads a configuration: all of it or none, with every problem at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from inspect import get_annotations
from pathlib import Path
from typing import Any, Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sidecar.config.advice import advice_on_check, advice_on_deploy
from sidecar.config.check import CheckConfig, CheckTypes
from sidecar.config.deploy import NO_SERVICES, ServiceTypes
from sidecar.config.fields import NAME
from sidecar.config.interpolate import Outside, interpolate, read_secret_file
from sidecar.config.model import Config, Sections
from sidecar.config.nodes import Item, what
from sidecar.config.problems import Mistake, Place, Problem, unknown
from sidecar.config.reader import FLAWED, Family, Reader
from sidecar.config.shape import keys_of
from sidecar.config.source import Source, new_reader, read_whole
from sidecar.core.verdict import Gate

DEFAULT_KEYS: Final = (
    "gates",
    "interval",
    "timeout",
    "initial_delay",
    "failure_threshold",
    "success_threshold",
)
"""The keys that the `defaults` block may have: those of every check that can have a default."""


def load(
    source: Source,
    types: CheckTypes,
    environ: Mapping[str, str],
    read_file: Callable[[Path], bytes] = read_secret_file,
    *,
    services: ServiceTypes = NO_SERVICES,
) -> Config:
    """Return the configuration that `source` holds; blocks while it reads the secret files named there.

    `services` are those that `deploy.announce` may name.

    Raises:
        ConfigError: with every problem that was found.
    """
    reader = new_reader(source, Outside(environ, read_file), services)
    return read_whole(source, reader, f"is empty; {_TOP_LEVEL}", _Loading(reader, types).read)


class _Loading:
    """Reads one document through its `Reader`."""

    def __init__(self, reader: Reader, types: CheckTypes) -> None:
        self._reader = reader
        self._types = Family("check type", _Remembered(types))
        self._places: dict[str, Place] = {}
        self._section_places: dict[str, Place] = {}
        self._names: dict[str, Place] = {}
        self._files_of: dict[str, frozenset[Path]] = {}
        self._advice: list[Problem] = []

    def read(self, root: Node) -> Config | None:
        """Return the configuration; None when there were problems."""
        if isinstance(root, SequenceNode):
            sections, checks = Sections(), self._read_checks(root, {})
        elif isinstance(root, MappingNode):
            sections, checks = self._read_top_level(root)
        else:
            self._reader.refuse(root, f"{what(root)}; {_TOP_LEVEL}")
            return None
        if not self._reader.problems:
            self._refuse_ungated(root, sections, checks)
        if self._reader.problems:
            return None
        return Config(
            checks=tuple(checks),
            sections=sections,
            secrets=frozenset(self._reader.secrets),
            files=frozenset(self._reader.outside.files),
            advice=tuple(self._advice),
            files_of=self._files_of,
            places=self._places,
            section_places=self._section_places,
        )

    def _read_top_level(self, root: Node) -> tuple[Any, list[CheckConfig]]:
        items = self._reader.items(root) or {}
        self._section_places = {name: self._reader.place(item.key) for name, item in items.items()}
        sections = self._reader.read_items(root, items, Sections, also=("checks", "defaults"))
        defaults = self._read_defaults(items["defaults"].value) if "defaults" in items else {}
        if "checks" not in items:
            self._reader.refuse(root, "the key checks is missing: the list of checks")
            return sections, []
        checks = self._read_checks(items["checks"].value, defaults)
        if not self._reader.problems:
            self._section_places.update(self._places_inside(items))
        if "drain" in items and not self._reader.problems:
            self._refuse_unknown_awaited(items["drain"].value, [check.name for check in checks])
        if "deploy" in items and not self._reader.problems:
            place = self._reader.place(items["deploy"].key)
            self._advice.extend(Problem(place, "deploy", each) for each in advice_on_deploy(sections.deploy))
        return sections, checks

    def _places_inside(self, items: Mapping[str, Item]) -> Iterator[tuple[str, Place]]:
        """Yield where the keys of each section stand, by both names with a dot between."""
        for name, section in items.items():
            if isinstance(section.value, MappingNode):
                for key, item in (self._reader.items(section.value) or {}).items():
                    yield f"{name}.{key}", self._reader.place(item.key)

    def _read_defaults(self, node: Node) -> dict[str, Any]:
        """Return the values of the `defaults` block by key, without those that have a problem."""
        keys = keys_of(CheckConfig)
        values = {}
        with self._reader.at("defaults"):
            for name, item in (self._reader.items(node) or {}).items():
                if name in DEFAULT_KEYS:
                    values[name] = self._reader.read_key(item, keys[name])
                else:
                    self._reader.refuse_unknown(item, DEFAULT_KEYS)
        return {name: value for name, value in values.items() if value is not FLAWED}

    def _read_checks(self, node: Node, defaults: Mapping[str, Any]) -> list[CheckConfig]:
        with self._reader.at("checks"):
            elements = self._reader.elements(node, rule=_LIST_OF_CHECKS) or []
            checks = [self._read_check(index, each, defaults) for index, each in enumerate(elements)]
        return [check for check in checks if check is not None]

    def _read_check(self, index: int, node: Node, defaults: Mapping[str, Any]) -> CheckConfig | None:
        with self._reader.at(_label(index, node)):
            items = self._reader.items(node)
            if items is None:
                return None
            self._refuse_duplicate_name(items)
            check_type = self._reader.member(node, items, self._types)
            if check_type is None:
                self._reader.read_known_keys(items, CheckConfig)
                return None
            fallback = {
                key: value for key, value in defaults.items() if not _has_own_default(check_type.config, key)
            }
            with self._reader.outside.files_apart() as files:
                check = self._reader.read_items(node, items, check_type.config, fallback)
                named = frozenset(files)
            if check is FLAWED:
                return None
            if named:
                self._files_of[check.name] = named
            self._places[check.name] = self._reader.place(node)
            self._advise(node, check, gates_are_given="gates" in items or "gates" in defaults)
            return check  # type: ignore[no-any-return]  # read_items returns what it was asked for

    def _refuse_duplicate_name(self, items: Mapping[str, Item]) -> None:
        name = self._name(items)
        if name is None:
            return
        node = items["name"].value
        if name not in self._names:
            self._names[name] = self._reader.place(node)
            return
        with self._reader.at("name"):
            first = self._names[name]
            if first == self._reader.place(node):
                self._reader.refuse(node, "an alias repeats the check, its name included; write another name")
            else:
                self._reader.refuse(node, f"the check in line {first.line} has this name too; write another")

    def _name(self, items: Mapping[str, Item]) -> str | None:
        node = items["name"].value if "name" in items else None
        if not isinstance(node, ScalarNode):
            return None
        try:
            return NAME.parse(interpolate(node.value, self._reader.outside))
        except Mistake:
            return None  # reported when the key is read

    def _refuse_unknown_awaited(self, drain: Node, names: Sequence[str]) -> None:
        """Refuse a drain that would wait for a check that does not exist, until its deadline."""
        with self._reader.at("drain"), self._reader.at("until"):
            until = (self._reader.items(drain) or {}).get("until")
            elements = self._reader.elements(until.value) or [] if until else []
            for index, element in enumerate(elements):
                with self._reader.at(index), self._reader.at("check"):
                    self._refuse_unknown_check((self._reader.items(element) or {})["check"].value, names)

    def _refuse_unknown_check(self, node: Node, names: Sequence[str]) -> None:
        written = self._reader.scalar(node)
        if written is not None and written.text not in names:
            self._reader.refuse(node, unknown("check", written.raw, names))

    def _refuse_ungated(self, root: Node, sections: Sections, checks: Sequence[CheckConfig]) -> None:
        gates = {gate for check in checks for gate in check.gates}
        if sections.ungated or gates & {Gate.STARTUP, Gate.READINESS}:
            return
        self._reader.refuse(
            root,
            "nothing gates startup or readiness, so that a broken pod would be ready; "
            "write gates: startup or gates: readiness at a check, or ungated: true if it is meant",
        )

    def _advise(self, node: Node, check: CheckConfig, *, gates_are_given: bool) -> None:
        place, path = self._reader.place(node), f"checks.{check.name}.gates"
        self._advice.extend(
            Problem(place, path, each) for each in advice_on_check(check, gates_are_given=gates_are_given)
        )


class _Remembered:
    """Check types, each looked for once: a plug-in's is imported for it."""

    def __init__(self, types: CheckTypes) -> None:
        self.find = cache(types.find)
        self.names = cache(types.names)


def _label(index: int, node: Node) -> str | int:
    """Return what a check is called in a problem's path: its name where it stands there, else its index."""
    for key, value in node.value if isinstance(node, MappingNode) else ():
        if isinstance(key, ScalarNode) and isinstance(value, ScalarNode) and key.value == "name":
            return value.value if NAME.matches(value.value) else index
    return index


def _has_own_default(section: type[CheckConfig], key: str) -> bool:
    """Whether a check type brings a default of its own for a key that every check has."""
    own = section.__mro__[: section.__mro__.index(CheckConfig)]
    return any(key in get_annotations(each) for each in own)


_LIST_OF_CHECKS: Final = "write a list of checks, each beginning with a dash"
_TOP_LEVEL: Final = "write a list of checks, or a mapping with the key checks"
