"""Runs commands: each in a process group of its own, with bounded output, killed and reaped as a whole."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.support.thread import OneThread

OUTPUT_KEPT: Final = 4096
"""Bytes: the end of what a command writes."""

_under_way: Final[set["_Group"]] = set()

_CHUNK: Final = 65536
_REAPING_NAPS: Final = 20
_REAPING_NAP: Final = 0.005


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    """Its exit code; below zero, the number of the signal that killed it."""
    output: str
    """The end of what it wrote to standard output and standard error."""


def kill_commands() -> None:
    """Kill every command that is running: for whoever is about to leave the process, from any thread."""
    for group in tuple(_under_way):
        group.kill()


class CommandRunner:
    """Runs commands without a shell, one at a time.

    Starting and waiting happen in a thread: a file system that hangs blocks the start of a program, and
    asyncio's own watchers of children differ from one version of Python to the next.
    """

    def __init__(self, name: str) -> None:
        self._in_thread = OneThread(name)
        self._group: _Group | None = None
        self._zombies: frozenset[int] = frozenset()

    async def run(self, command: Sequence[str], env: Mapping[str, str]) -> Ended:
        """Run a command to its end; cancelled, kill it.

        Then what is left of its process group is killed too, and reaped. Who has left the group, by `setsid`,
        escapes, but holds nobody up, and is reaped after its end where it becomes our child (as PID 1).

        Raises:
            OSError: the command cannot be started.
        """
        self._group = group = _Group(command, env)
        output = _Output(group.readable)
        _under_way.add(group)
        try:
            code = await self._in_thread(lambda: self._run(group))
        finally:
            group.kill()
            _under_way.discard(group)
            output.close()
        return Ended(code, output.text)

    def kill(self) -> None:
        """Kill the command that is running, if any."""
        if self._group is not None:
            self._group.kill()

    def _run(self, group: "_Group") -> int:
        code = group.run()
        zombies = frozenset(_zombies_of_ours())
        for stale in zombies & self._zombies:  # a command's own, another thread is about to wait for
            _reap(stale)
        self._zombies = zombies
        return code


class _Output:
    """Takes all that comes out of a pipe, and keeps the end of it."""

    def __init__(self, readable: int) -> None:
        self._readable = readable
        self._kept = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(readable, self._take)

    @property
    def text(self) -> str:
        return self._kept.decode(errors="replace")

    def close(self) -> None:
        """Take what is there, and close the pipe without waiting for its other end."""
        self._take()
        self._loop.remove_reader(self._readable)
        os.close(self._readable)

    def _take(self) -> None:
        with suppress(BlockingIOError):
            piece = os.read(self._readable, _CHUNK)
            self._kept = (self._kept + piece)[-OUTPUT_KEPT:]
            if not piece:
                self._loop.remove_reader(self._readable)


class _Group:
    """A command and its process group; `run` is for one thread, `kill` for another, at any time."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._command = command
        self._env = env
        self.readable, self._writable = os.pipe()
        os.set_blocking(self.readable, False)
        self._begun = threading.Lock()
        self._is_killed = False
        self._leader: int | None = None

    def run(self) -> int:
        """Start the command, wait for its end, and end what is left of its group."""
        if not self._begun.acquire(blocking=False):
            return -signal.SIGKILL
        leader = self._start()
        self._leader = leader.pid
        if self._is_killed:
            self.kill()
        os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOWAIT)  # a zombie keeps the group's number
        self.kill()
        self._leader = None
        code = leader.wait()
        _reap_group(leader.pid)
        return code

    def kill(self) -> None:
        """Kill the group, or keep it from being started."""
        self._is_killed = True
        if self._begun.acquire(blocking=False):
            os.close(self._writable)
        elif self._leader is not None:
            with suppress(ProcessLookupError, PermissionError):  # gone, or run as another user
                os.killpg(self._leader, signal.SIGKILL)

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - the command is the configuration's, and no shell reads it
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=self._writable,
                stderr=self._writable,
                start_new_session=True,
            )
        finally:
            os.close(self._writable)


def _reap_group(group: int) -> None:
    """Wait for the killed members of a group that became our children, which only PID 1 has; not for long."""
    with suppress(ChildProcessError):
        for _ in range(_REAPING_NAPS):
            while os.waitpid(-group, os.WNOHANG)[0]:
                pass
            time.sleep(_REAPING_NAP)


def _reap(child: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(child, os.WNOHANG)


def _zombies_of_ours() -> Iterator[int]:
    """Yield the children of ours that have ended, and that nobody has waited for yet.

    To look at every process costs milliseconds where a pod shares them: ask first whether there are any.
    """
    if not _has_zombies():
        return
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, *_ = stat.read_text().rpartition(")")[2].split()
            if state == "Z" and int(parent) == os.getpid():
                yield int(stat.parent.name)


def _has_zombies() -> bool:
    with suppress(ChildProcessError):  # no child at all
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return False
