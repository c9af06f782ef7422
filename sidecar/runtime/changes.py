"""What differs between two configurations, for those who must keep what does not.

Pure. A check asks the same question as before when at most keys changed that say how its answers are used.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sidecar.config.check import CheckConfig
from sidecar.config.model import Config

USE_KEYS: Final = ("gates", "interval", "failure_threshold", "success_threshold", "description")
"""An edit of only these keeps a check's state and connection."""
RESTART_SECTIONS: Final = ("server", "startup", "deploy", "log", "kubernetes")
"""Sections that are read when the process starts."""
LIVE_SECTIONS: Final = ("drain",)
"""Sections that are in force with the reload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The names of the checks that differ, and the sections that wait for a restart."""

    added: frozenset[str]
    edited: frozenset[str]
    """They ask another question, or read files that have changed."""
    adjusted: frozenset[str]
    """They ask the same, and their answers are used in another way."""
    removed: frozenset[str]
    sections: tuple[str, ...] = ()
    """Sections that differ, and are in force from now on."""
    waiting: tuple[str, ...]
    """Sections that differ and change nothing before a restart."""

    def __bool__(self) -> bool:
        """Whether any check differs."""
        return bool(self.added or self.edited or self.adjusted or self.removed)


def compare(old: Config, new: Config, changed_files: AbstractSet[Path]) -> Changes:
    """Return what differs between the configuration in force and a new one."""
    before = {check.name: check for check in old.checks}
    after = {check.name: check for check in new.checks}
    common = before.keys() & after.keys()
    edited = {
        name
        for name in common
        if not _asks_the_same(before[name], after[name])
        or new.files_of.get(name, frozenset()) & changed_files
    }
    return Changes(
        added=frozenset(after.keys() - before.keys()),
        edited=frozenset(edited),
        adjusted=frozenset(name for name in common - edited if before[name] != after[name]),
        removed=frozenset(before.keys() - after.keys()),
        sections=_differing(LIVE_SECTIONS, old, new),
        waiting=_differing(RESTART_SECTIONS, old, new),
    )


def changed_paths(old: Mapping[Path, object], new: Mapping[Path, object]) -> frozenset[Path]:
    """Return the files that both fingerprints know and that differ between them."""
    return frozenset(path for path in old.keys() & new.keys() if old[path] != new[path])


def _differing(names: Iterable[str], old: Config, new: Config) -> tuple[str, ...]:
    return tuple(name for name in names if getattr(old.sections, name) != getattr(new.sections, name))


def _asks_the_same(before: CheckConfig, after: CheckConfig) -> bool:
    if type(before) is not type(after):
        return False
    return replace(before, **{key: getattr(after, key) for key in USE_KEYS}) == after
