"""Whether the program understands the commands that we ship: of containers, hooks and health checks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import click

from sidecar.cli import drain, probe
from sidecar.cli.verbs import sidecar

NOBODY: Final = ("--port", "1")
"""Where no sidecar listens, in a test."""
_STANDALONE: Final[Mapping[str, Callable[[Sequence[str]], int]]] = {"probe": probe.main, "drain": drain.main}


def understands(words: Sequence[str]) -> bool:
    """Whether `sidecar WORDS` is a verb with options that it has; does nothing but ask nobody."""
    verb, *arguments = words
    try:
        if verb in _STANDALONE:
            return _STANDALONE[verb]([*arguments, *NOBODY]) == 1
        with click.Context(sidecar) as context:
            _, command, rest = sidecar.resolve_command(context, [verb, *arguments])
            if command is None:
                return False
            command.make_context(verb, rest)
    except (click.UsageError, SystemExit):
        return False
    return True
