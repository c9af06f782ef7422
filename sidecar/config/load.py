"""Reads a configuration: all of it or none, with every problem at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from inspect import get_annotations
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sidecar.config.check import CheckConfig, CheckTypes
from sidecar.config.deploy import NO_SERVICES, DeployConfig, ServiceConfig, ServiceTypes, advice_on_deploy
from sidecar.config.document import SIZE_LIMIT, compose
from sidecar.config.fields import NAME
from sidecar.config.interpolate import Outside, UnsetVariable, interpolate, read_secret_file
from sidecar.config.model import Config, Sections
from sidecar.config.problems import ConfigError, Mistake, Place, Problem, unknown
from sidecar.config.reader import FLAWED, Family, Item, Reader, TooLargeError, what
from sidecar.config.shape import keys_of
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

KEYS_OF_PODS: Final = frozenset({"claim", "redis"})
"""Keys of the section `deploy` that a pipeline does not read: it claims nothing, and has no such secrets."""


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of a configuration, and the name that its problems are shown with."""

    name: str
    content: bytes = field(repr=False)

    @classmethod
    def from_file(cls, path: Path, limit: int = SIZE_LIMIT) -> "Source":
        """Read at most a byte more than `limit`, which is what a configuration may have.

        Raises:
            ConfigError: the file cannot be read.
        """
        try:
            with path.open("rb") as file:
                return cls(str(path), file.read(limit + 1))
        except OSError as error:
            sentence = f"cannot be read: {(error.strerror or 'unreadable').lower()}"
            raise ConfigError([Problem(Place(str(path)), "", sentence)]) from error


@dataclass(frozen=True, slots=True)
class LoadedDeploy:
    """The section `deploy` alone, and every text of it that must never be shown."""

    deploy: DeployConfig
    secrets: frozenset[str] = field(repr=False)


T = TypeVar("T")


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
    reader = _new_reader(source, Outside(environ, read_file), services)
    return _whole_of(source, reader, f"is empty; {_TOP_LEVEL}", _Loading(reader, types).read)


def load_deploy(
    source: Source,
    environ: Mapping[str, str],
    *,
    services: ServiceTypes,
    given: Mapping[str, str] = MappingProxyType({}),
    otherwise: Mapping[str, str] = MappingProxyType({}),
) -> LoadedDeploy:
    """Return the section `deploy` of a configuration, as a pipeline reads it: without the keys of pods.

    Whatever else the file holds is not read. Keys in `given` are not read either, but are as they are given;
    those in `otherwise` are so where the section leaves them out, or names a variable that is not set. Blocks
    while it reads the secret files named there.

    Raises:
        ConfigError: with every problem of the section, or that there is none.
    """
    reader = _new_reader(source, Outside(environ), services)

    def read(root: Node) -> LoadedDeploy | None:
        items = (reader.items(root) if isinstance(root, MappingNode) else None) or {}
        if "deploy" not in items:
            reader.refuse(root, f"the key deploy is missing: {keys_of(Sections)['deploy'].doc}")
            return None
        with reader.at("deploy"):
            deploy = _read_deploy(reader, items["deploy"].value, given, otherwise)
        if deploy is None or reader.problems:
            return None
        return LoadedDeploy(deploy, frozenset(reader.secrets))

    return _whole_of(source, reader, "is empty; write a mapping with the key deploy", read)


def _read_deploy(
    reader: Reader, node: Node, given: Mapping[str, str], otherwise: Mapping[str, str]
) -> DeployConfig | None:
    items = reader.items(node)
    if items is None:
        return None
    read = {
        name: item
        for name, item in items.items()
        if name not in KEYS_OF_PODS
        and name not in given
        and not (name in otherwise and _says_nothing(item.value, reader.outside))
    }
    deploy: DeployConfig | None = reader.read_items(node, read, DeployConfig, {**otherwise, **given})
    return deploy


def _says_nothing(node: Node, outside: Outside) -> bool:
    """Whether a scalar is empty, or would be if the variables that it names were set."""
    try:
        return isinstance(node, ScalarNode) and not interpolate(node.value, outside).text
    except UnsetVariable:
        return True
    except Mistake:
        return False


def _new_reader(source: Source, outside: Outside, services: ServiceTypes) -> Reader:
    return Reader(source.name, outside, {ServiceConfig: Family("service", services)})


def _whole_of(source: Source, reader: Reader, if_empty: str, read: Callable[[Node], T | None]) -> T:
    """Return what `read` makes of the document; it returns None where the reader has problems.

    Raises:
        ConfigError: with every problem that was found.
    """
    root = compose(source.name, source.content)
    if root is None:
        raise ConfigError([_whole(source, if_empty)])
    try:
        found = read(root)
    except TooLargeError as error:
        raise ConfigError([*reader.problems, _whole(source, str(error))]) from error
    if found is None:
        raise ConfigError(reader.problems)
    return found


def _whole(source: Source, sentence: str) -> Problem:
    return Problem(Place(source.name), "", sentence)


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
            Problem(place, path, each) for each in _advice(check, gates_are_given=gates_are_given)
        )


class _Remembered:
    """Check types, each looked for once: a plug-in's is imported for it."""

    def __init__(self, types: CheckTypes) -> None:
        self.find = cache(types.find)
        self.names = cache(types.names)


def _advice(check: CheckConfig, *, gates_are_given: bool) -> Iterator[str]:
    if check.hosts and not check.is_remote and Gate.STARTUP in check.gates:
        yield (
            f"holds back a start until {check.target} answers, which is inside the pod: a native sidecar or "
            "an init container waits before the app is started, so that neither ever would; "
            "write gates: readiness, or keep it where the sidecar is a plain container"
        )
    if check.is_about_file and Gate.STARTUP in check.gates:
        yield (
            f"holds back a start until {check.target} is as wanted: where the app writes it, a native "
            "sidecar or an init container waits before the app is started, so that neither ever would; "
            "write gates: [liveness, readiness], or keep it where the file is there before the app is"
        )
    if not check.is_remote:
        return
    if Gate.LIVENESS in check.gates:
        yield (
            f"an outage of {check.target} would restart the app, which cures nothing; "
            "liveness is for the app itself: write gates: readiness or gates: startup"
        )
    if not gates_are_given and check.gates:
        yield (
            f"was left to the default, readiness: an outage of {check.target} takes every replica out of the "
            "endpoints; write gates: startup to hold back a broken rollout only, or gates: readiness if meant"
        )


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
