"""What the verbs that read a configuration share: where it is, and how its problems are shown."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from sidecar.checks import InstalledTypes
from sidecar.config.document import SIZE_LIMIT
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.problems import ConfigError
from sidecar.config.source import Source
from sidecar.deploys import InstalledServices

EXIT_FAILURE: Final = 1
EXIT_CONFIGURATION: Final = 2
EXIT_TIMEOUT: Final = 124
DEFAULT_PATH: Final = "/etc/sidecar/config.yaml"

F = TypeVar("F", bound=Callable[..., Any])


def config_option(command: F) -> F:
    """Add `--config` to a verb."""
    return click.option(
        "--config",
        "path",
        envvar="SIDECAR_CONFIG",
        default=DEFAULT_PATH,
        metavar="FILE",
        help=f"The configuration; $SIDECAR_CONFIG or {DEFAULT_PATH} if not given, - for standard input.",
    )(command)


def read_configuration(path: str, types: InstalledTypes) -> Config:
    """Return the configuration at `path`.

    Raises:
        ConfigError: with every problem that was found.
    """
    return load(source_at(path), types, os.environ, services=InstalledServices())


def source_at(path: str, limit: int = SIZE_LIMIT) -> Source:
    """Return what the file at `path` holds, or for - standard input.

    Raises:
        ConfigError: it cannot be read.
    """
    if path == "-":
        return Source("<stdin>", sys.stdin.buffer.read(limit + 1))
    return Source.from_file(Path(path), limit)


@contextmanager
def exit_on_problems(what: str = "configuration") -> Iterator[None]:
    """Print the problems of what was refused and exit with 2."""
    try:
        yield
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        count = len(error.problems)
        click.echo(f"the {what} has {count} problem{'' if count == 1 else 's'}", err=True)
        sys.exit(EXIT_CONFIGURATION)
