"""Reads the configuration as the sidecar in a pod would, as far as the manifest tells what it finds there.

A variable that the container sets has its value. What a Secret brings is known by name only, as a variable or
as a file: a word stands in for it, so that no secret is needed where manifests are judged.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.config.check import CheckTypes
from sidecar.config.deploy import NO_SERVICES, ServiceTypes
from sidecar.config.interpolate import read_secret_file
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.problems import ConfigError, Problem
from sidecar.config.source import Source
from sidecar.lint.pod import Container

STAND_IN: Final = "stand-in"
"""A password, a host, a name: what most values from a Secret are, so that most kinds accept it."""

_WITHOUT_DEFAULT: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Loader:
    """Loads one configuration, in a pod or as it is here; `environ` is the environment here."""

    source: Source
    types: CheckTypes
    environ: Mapping[str, str]
    services: ServiceTypes = NO_SERVICES

    def load_in(self, containers: Sequence[Container]) -> Config:
        """Return the configuration as containers of a pod would read it.

        Raises:
            ConfigError: with every problem; one that only a stand-in has is told as it is without it.
        """
        try:
            return load(
                self.source,
                self.types,
                self._variables(containers),
                _Files(containers).read,
                services=self.services,
            )
        except ConfigError as error:
            plain = self._problems_here()
            raise ConfigError(plain.get(_where(each), each) for each in error.problems) from error

    def _variables(self, containers: Sequence[Container]) -> dict[str, str]:
        """Return what the containers set, else what is set here, else a stand-in for what is to come."""
        declared = [variable for container in containers for variable in container.variables]
        values = {each.name: each.value for each in declared if each.value is not None}
        names = [each.name for each in declared]
        if any(container.has_variables_from_elsewhere for container in containers):
            names += _WITHOUT_DEFAULT.findall(self.source.content.decode(errors="replace"))
        return {**dict.fromkeys(names, STAND_IN), **self.environ, **values}

    def _problems_here(self) -> dict[tuple[object, str], Problem]:
        """Return the problems that the configuration has without any stand-in, by where they are."""
        try:
            load(self.source, self.types, self.environ, services=self.services)
        except ConfigError as error:
            return {_where(each): each for each in error.problems}
        return {}


@dataclass(frozen=True, slots=True)
class _Files:
    """The files that containers find: those that are found here, and stand-ins where a volume is mounted."""

    containers: Sequence[Container]

    def read(self, path: Path) -> bytes:
        try:
            return read_secret_file(path)
        except OSError:
            mounts = [mount.path for container in self.containers for mount in container.mounts if mount.path]
            if not any(path.is_relative_to(mount) for mount in mounts):
                raise
            return STAND_IN.encode()


def _where(problem: Problem) -> tuple[object, str]:
    return problem.place, problem.path
