"""Finds check types by name: in the files beside this one, then among the installed plug-ins."""

import importlib
import pkgutil
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final

from sidecar.config.check import CheckType

ENTRY_POINT_GROUP: Final = "sidecar.checks"


class InstalledTypes:
    """The check types of this installation. A type's file is imported when the type is asked for."""

    def find(self, name: str) -> CheckType[Any] | None:
        """Return the type of this name, if there is one; a file of ours goes before a plug-in.

        Raises:
            TypeError: the plug-in of this name does not name a `CheckType`.
        """
        if name in _own_names():
            module = importlib.import_module(f"sidecar.checks.{name.replace('-', '_')}")
            return _checked(module.check_type, name)
        plugin = _plugins().get(name)
        return _checked(plugin.load(), name) if plugin else None

    def names(self) -> Sequence[str]:
        """Return the names of all types, in alphabetical order."""
        return sorted({*_own_names(), *_plugins()})


def _own_names() -> list[str]:
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return [module.name.replace("_", "-") for module in modules if not module.name.startswith("_")]


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _checked(found: object, name: str) -> CheckType[Any]:
    if not isinstance(found, CheckType):
        raise TypeError(
            f"the plug-in {name} of {ENTRY_POINT_GROUP} names a {type(found).__name__}, not a CheckType"
        )
    return found
