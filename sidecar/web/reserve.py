"""Descriptors kept back for whoever asks us: what leaks them elsewhere must not silence our probes.

The limit of a process has a soft part, which holds, and a hard part, up to which we may raise it. A listener
raises it for the moment in which it accepts; everybody else finds that none is left.
"""

import errno
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

RESERVE: Final = 64
"""Descriptors: probes under way, of a kubelet and of whoever looks why."""


class Listener(socket.socket):
    """A socket that is listened on, and accepts from the reserve when nothing else is left."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept as a socket does."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
        with _with_the_reserve():
            return super().accept()


def keep_reserve() -> None:
    """Lower the soft limit of this process so far that the reserve lies above it; safe twice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or hard - soft < RESERVE < hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard - RESERVE, hard))


@contextmanager
def _with_the_reserve() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = soft + RESERVE if hard == resource.RLIM_INFINITY else min(soft + RESERVE, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
