"""Whether a container runs the sidecar, and with which verb: from its command, image, ports and name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import PurePosixPath
from typing import Final

from sidecar.lint.pod import Container

PROGRAM: Final = "sidecar"
SERVE: Final = "serve"
"""The verb that the image runs if none is given."""
CHECK: Final = "check"
PROBE: Final = "probe"
DRAIN: Final = "drain"
VERBS: Final = frozenset({SERVE, CHECK, PROBE, DRAIN, "validate", "announce"})
"""What containers run."""


class Evidence(IntEnum):
    """What says that a container is the sidecar; the more, the surer."""

    NONE = 0
    NAME = 1
    PORT = 2
    IMAGE = 3
    COMMAND = 4


@dataclass(frozen=True, slots=True)
class Invocation:
    """The verb that a container runs, and what follows it."""

    verb: str
    arguments: tuple[str, ...] = ()

    def values_of(self, option: str) -> tuple[str, ...]:
        """Return what is given for an option, as `--option VALUE` or `--option=VALUE`."""
        return tuple(_values(option, self.arguments))

    def value_of(self, option: str, default: str) -> str:
        """Return what is given for an option, the last of several."""
        return (default, *self.values_of(option))[-1]


def evidence_of(container: Container, port: int) -> Evidence:
    """Return the best evidence that a container is the sidecar, which listens on `port`."""
    if _behind_program(_words(container)) is not None:
        return Evidence.COMMAND
    if _repository(container.image) == PROGRAM:
        return Evidence.IMAGE
    if any(each.number == port for each in container.ports):
        return Evidence.PORT
    return Evidence.NAME if container.name == PROGRAM else Evidence.NONE


def invocation_of(container: Container) -> Invocation:
    """Return what the sidecar's container runs: a verb behind the program, else one in the arguments."""
    written = _behind_program(_words(container))
    words = container.arguments if written is None and not container.command else written
    return Invocation(words[0], tuple(words[1:])) if words else Invocation(SERVE)


def invocation_in(command: Sequence[str]) -> Invocation | None:
    """Return what a command runs; None if it does not run the sidecar."""
    words = _behind_program(_split(command))
    return Invocation(words[0], tuple(words[1:])) if words else None


def _words(container: Container) -> list[str]:
    return _split((*container.command, *container.arguments))


def _split(words: Sequence[str]) -> list[str]:
    """Return words one by one, also those of a line that a shell would split."""
    return [part.rstrip(";") for word in words for part in word.split()]


def _behind_program(words: Sequence[str]) -> Sequence[str] | None:
    """Return the words behind the program's name, which comes first or before a verb; None if it does not."""
    for index, word in enumerate(words):
        is_program = PurePosixPath(word).name == PROGRAM
        if is_program and (index == 0 or VERBS.intersection(words[index + 1 : index + 2])):
            return words[index + 1 :]
    return None


def _repository(image: str) -> str:
    """Return the last part of an image's name, without registry, tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _values(option: str, words: Sequence[str]) -> Iterator[str]:
    for index, word in enumerate(words):
        name, has_value, value = word.partition("=")
        if name == option and has_value:
            yield value
        elif word == option:
            yield from words[index + 1 : index + 2]
