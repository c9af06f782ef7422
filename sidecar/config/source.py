"""The bytes of a configuration, which are read as a whole or not at all."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from yaml.nodes import Node

from sidecar.config.deploy import ServiceConfig, ServiceTypes
from sidecar.config.document import SIZE_LIMIT, compose
from sidecar.config.interpolate import Outside
from sidecar.config.problems import ConfigError, Place, Problem
from sidecar.config.reader import Family, Reader, TooLargeError

T = TypeVar("T")


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


def new_reader(source: Source, outside: Outside, services: ServiceTypes) -> Reader:
    """Return what reads a source and knows the services that may be named in it."""
    return Reader(source.name, outside, {ServiceConfig: Family("service", services)})


def read_whole(source: Source, reader: Reader, if_empty: str, read: Callable[[Node], T | None]) -> T:
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
