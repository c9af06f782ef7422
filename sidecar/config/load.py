"""Reads a configuration: all of it or none, with every problem at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import get_annotations
from pathlib import Path
from typing import Any, Final

import yaml
from yaml.nodes import Node, ScalarNode, SequenceNode

from sidecar.config.check import CheckConfig, CheckType, CheckTypes
from sidecar.config.interpolate import Outside, interpolate
from sidecar.config.model import Config, Sections
from sidecar.config.problems import ConfigError, Mistake, Place, Problem, unknown
from sidecar.config.shape import FLAWED, Item, Reader, TooLargeError, keys_of
from sidecar.core.verdict import Gate

SIZE_LIMIT: Final = 1024 * 1024
"""Bytes: what Kubernetes lets a ConfigMap hold."""
DEFAULT_KEYS: Final = (
    "gates",
    "interval",
    "timeout",
    "initial_delay",
    "failure_threshold",
    "success_threshold",
)
"""The keys that the `defaults` block may have: those of every check that can have a default."""


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of a configuration, and the name that its problems are shown with."""

    name: str
    content: bytes

    @classmethod
    def from_file(cls, path: Path) -> "Source":
        """Read at most a byte more than a configuration may have.

        Raises:
            ConfigError: the file cannot be read.
        """
        try:
            with path.open("rb") as file:
                return cls(str(path), file.read(SIZE_LIMIT + 1))
        except OSError as error:
            sentence = f"cannot be read: {(error.strerror or 'unreadable').lower()}"
            raise ConfigError([Problem(Place(str(path)), "", sentence)]) from error


def load(source: Source, types: CheckTypes, environ: Mapping[str, str]) -> Config:
    """Return the configuration that `source` holds; blocks while it reads the secret files named there.

    Raises:
        ConfigError: with every problem that was found.
    """
    reader = Reader(source.name, Outside(environ))
    try:
        config = _Loading(reader, types).read(_compose(source))
    except TooLargeError:
        raise _whole(
            source, "unfolds into more than a configuration can need; write fewer or smaller anchors"
        ) from None
    if reader.problems or config is None:
        raise ConfigError(reader.problems)
    return config


def _compose(source: Source) -> Node:
    """Return the root node of the document: nodes have positions, and scalars that are still text."""
    if len(source.content) > SIZE_LIMIT:
        raise _whole(source, f"is larger than {SIZE_LIMIT // 1024} KiB, which is all that a ConfigMap holds")
    try:
        root = yaml.compose(source.content, Loader=yaml.CBaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source.name, mark.line + 1, mark.column + 1) if mark else Place(source.name)
        what = ": ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError([Problem(place, "", f"is not YAML: {what}{_tab_hint(source, place)}")]) from error
    except yaml.YAMLError as error:
        raise _whole(source, f"is not YAML: {str(error).partition(chr(10))[0]}") from error
    if root is None:
        raise _whole(source, "is empty; write a list of checks, or a mapping with the key checks")
    return root


def _whole(source: Source, sentence: str) -> ConfigError:
    return ConfigError([Problem(Place(source.name), "", sentence)])


def _tab_hint(source: Source, place: Place) -> str:
    lines = source.content.splitlines()
    line = lines[place.line - 1] if 0 < place.line <= len(lines) else b""
    return "; indent with spaces, not with a tab" if b"\t" in line[: len(line) - len(line.lstrip())] else ""


class _Loading:
    """Reads one document through its `Reader`."""

    def __init__(self, reader: Reader, types: CheckTypes) -> None:
        self._reader = reader
        self._types = types
        self._places: dict[str, Place] = {}
        self._names: dict[str, Place] = {}
        self._advice: list[Problem] = []

    def read(self, root: Node) -> Config | None:
        """Return the configuration; None when there were problems."""
        if isinstance(root, SequenceNode):
            sections, checks = Sections(), self._read_checks(root, {})
        else:
            items = self._reader.items(root)
            if items is None:
                return None
            sections = self._reader.read_section(root, Sections, also=("checks", "defaults"))
            checks = self._read_top_level(root, items)
        if self._reader.problems:
            return None
        self._refuse_ungated(root, sections, checks)
        if self._reader.problems:
            return None
        return Config(
            checks=tuple(checks),
            sections=sections,
            secrets=frozenset(self._reader.secrets),
            files=frozenset(self._reader.outside.files),
            advice=tuple(self._advice),
            places=self._places,
        )

    def _read_top_level(self, root: Node, items: Mapping[str, Item]) -> list[CheckConfig]:
        defaults = self._read_defaults(items["defaults"].value) if "defaults" in items else {}
        if "checks" not in items:
            self._reader.refuse(root, "the key checks is missing: the list of checks")
            return []
        with self._reader.at("checks"):
            return self._read_checks(items["checks"].value, defaults)

    def _read_defaults(self, node: Node) -> dict[str, Any]:
        """Return the values of the `defaults` block by key."""
        keys = keys_of(CheckConfig)
        with self._reader.at("defaults"):
            items = self._reader.items(node) or {}
            for name, item in items.items():
                if name not in DEFAULT_KEYS:
                    self._reader.refuse(item.key, unknown("key", name, DEFAULT_KEYS))
            return {
                name: self._reader.read_key(item, keys[name])
                for name, item in items.items()
                if name in DEFAULT_KEYS
            }

    def _read_checks(self, node: Node, defaults: Mapping[str, Any]) -> list[CheckConfig]:
        if not isinstance(node, SequenceNode):
            self._reader.refuse(node, "is no list; write a list of checks, each beginning with a dash")
            return []
        checks = [self._read_check(index, each, defaults) for index, each in enumerate(node.value)]
        return [check for check in checks if check is not None]

    def _read_check(self, index: int, node: Node, defaults: Mapping[str, Any]) -> CheckConfig | None:
        with self._reader.at(str(index)):
            items = self._reader.items(node)
        if items is None:
            return None
        with self._reader.at(_label(index, items)):
            self._refuse_duplicate_name(items)
            check_type = self._find_type(node, items)
            if check_type is None:
                return None
            fallback = {
                key: value for key, value in defaults.items() if not _has_own_default(check_type.config, key)
            }
            check = self._reader.read_section(node, check_type.config, fallback)
            if check is FLAWED:
                return None
            self._places[check.name] = self._reader.place(node)
            self._advise(node, check, gates_are_given="gates" in items or "gates" in defaults)
            return check  # type: ignore[no-any-return]  # read_section returns what it was asked for

    def _find_type(self, node: Node, items: Mapping[str, Item]) -> CheckType[Any] | None:
        if "type" not in items:
            choices = ", ".join(self._types.names())
            self._reader.refuse(node, f"the key type is missing; choose from {choices}")
            return None
        with self._reader.at("type"):
            written = self._reader.scalar(items["type"].value)
            if written is None:
                return None
            found = self._types.find(written.text)
            if found is None:
                self._reader.refuse(
                    items["type"].value, unknown("check type", written.text, self._types.names())
                )
            return found

    def _refuse_duplicate_name(self, items: Mapping[str, Item]) -> None:
        name = self._name(items)
        if name is None:
            return
        node = items["name"].value
        first = self._names.setdefault(name, self._reader.place(node))
        if first != self._reader.place(node):
            with self._reader.at("name"):
                self._reader.refuse(node, f"the check in line {first.line} has this name too; write another")

    def _name(self, items: Mapping[str, Item]) -> str | None:
        node = items["name"].value if "name" in items else None
        if not isinstance(node, ScalarNode):
            return None
        try:
            return interpolate(node.value, self._reader.outside).text
        except Mistake:
            return None  # reported when the key is read

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
            Problem(place, path, each) for each in _advice(check, gates_are_given=gates_are_given)
        )


def _advice(check: CheckConfig, *, gates_are_given: bool) -> Iterator[str]:
    if not check.is_remote:
        return
    if Gate.LIVENESS in check.gates:
        yield (
            f"an outage of {check.target} would restart the app, which cures nothing; "
            "liveness is for the app itself: write gates: readiness or gates: startup"
        )
    if not gates_are_given:
        yield (
            f"was left to the default, readiness: an outage of {check.target} takes every replica out of the "
            "endpoints; write gates: startup to hold back a broken rollout only, or gates: readiness if meant"
        )


def _label(index: int, items: Mapping[str, Item]) -> str:
    """Return what a check is called in a problem's path: its name where it has a usable one."""
    name = items["name"].value if "name" in items else None
    return name.value if isinstance(name, ScalarNode) and name.value else str(index)


def _has_own_default(section: type[CheckConfig], key: str) -> bool:
    """Whether a check type brings a default of its own for a key that every check has."""
    own = section.__mro__[: section.__mro__.index(CheckConfig)]
    return any(key in get_annotations(each) for each in own)
