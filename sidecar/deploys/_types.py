"""Finds the services by name, in the files beside this one."""

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sidecar.config.deploy import ServiceType


class InstalledServices:
    """The services that can be told. A service's file is imported when it is asked for."""

    def find(self, name: str) -> ServiceType[Any] | None:
        """Return the type of this name, if there is one."""
        if name not in self.names():
            return None
        module = importlib.import_module(f"sidecar.deploys.{name.replace('-', '_')}")
        found: ServiceType[Any] = module.service_type
        return found

    def names(self) -> Sequence[str]:
        """Return the names of all types, in alphabetical order."""
        modules = pkgutil.iter_modules([str(Path(__file__).parent)])
        return sorted(
            each.name.replace("_", "-")
            for each in modules
            if not each.ispkg and not each.name.startswith("_")
        )
