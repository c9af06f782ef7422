"""Third-party modules, imported at first use: a driver that no check needs costs no memory."""

import importlib
import importlib.util
from types import ModuleType
from typing import Any


class MissingDriverError(ImportError):
    """A driver is not installed; the message says which extra brings it."""


class Driver:
    """Stands for a module until one of its attributes is asked for.

    Importing takes from 50 ms to seconds under a CPU limit: call `load` in a thread first.
    """

    def __init__(self, module: str, *, extra: str) -> None:
        self._module = module
        self._extra = extra
        self._loaded: ModuleType | None = None

    def __str__(self) -> str:
        return self._module

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the module, importing it if need be."""
        return getattr(self.load(), name)

    @property
    def remedy(self) -> str:
        """What to do where the driver is missing."""
        return f"install the extra: pip install 'sidecar[{self._extra}]'"

    def is_installed(self) -> bool:
        """Whether the module could be imported; imports nothing but its parent packages' names."""
        return importlib.util.find_spec(self._module.partition(".")[0]) is not None

    def load(self) -> ModuleType:
        """Import and return the module.

        Raises:
            MissingDriverError: it is not installed.
        """
        if self._loaded is None:
            try:
                self._loaded = importlib.import_module(self._module)
            except ModuleNotFoundError as error:
                missing = f"the driver {self._module} is not installed; {self.remedy}"
                raise MissingDriverError(missing) from error
        return self._loaded
