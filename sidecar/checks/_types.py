"""Finds check types by name: in the files beside this one, then among the installed plug-ins."""

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sidecar.config.check import CheckConfig, CheckType
from sidecar.config.problems import ConfigError, Place, Problem

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP: Final = "sidecar.checks"


class InstalledTypes:
    """The check types of this installation. A type's file is imported when the type is asked for."""

    def find(self, name: str) -> CheckType[Any] | None:
        """Return the type of this name, if there is one; a file of ours goes before a plug-in.

        Raises:
            ConfigError: the plug-in of this name is broken.
        """
        if name in _own_names():
            module = importlib.import_module(f"sidecar.checks.{name.replace('-', '_')}")
            return _checked(module.check_type)
        plugin = _plugins().get(name)
        return _load(plugin) if plugin else None

    def names(self) -> Sequence[str]:
        """Return the names of all types, in alphabetical order."""
        return sorted({*_own_names(), *_plugins()})


@cache
def _own_names() -> list[str]:
    modules = pkgutil.iter_modules([str(Path(__file__).parent)])
    return [module.name.replace("_", "-") for module in modules if not module.name.startswith("_")]


def _plugins() -> "dict[str, EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 modules that a pod without plug-ins never needs

    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def _load(plugin: "EntryPoint") -> CheckType[Any]:
    try:
        return _checked(plugin.load())
    except Exception as error:  # somebody else's code, which may raise anything
        package = plugin.dist.name if plugin.dist else plugin.module
        sentence = f"{plugin.value} cannot be loaded: {type(error).__name__}: {error}"
        raise ConfigError([Problem(Place(package), f"check type {plugin.name}", sentence)]) from error


def _checked(found: object) -> CheckType[Any]:
    if not isinstance(found, CheckType):
        raise TypeError(f"it is a {type(found).__name__}, not a CheckType")
    if not issubclass(found.config, CheckConfig):
        raise TypeError("its config is not a class derived from CheckConfig")
    return found
