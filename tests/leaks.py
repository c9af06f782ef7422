"""Fixture: an asynchronous test that leaves a task or a socket behind fails.

What the test's own fixtures hold is not its leak: this one is set up before them and looks after them.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from inspect import iscoroutinefunction
from pathlib import Path

import pytest

SETTLING_TURNS = 50
SETTLING_NAPS = 50


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> None:
    """Watch the tests that run on an event loop."""
    if iscoroutinefunction(getattr(request.node, "obj", None)):
        request.getfixturevalue("_nothing_left_on_the_loop")


@pytest.fixture
async def _nothing_left_on_the_loop() -> AsyncIterator[None]:
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    yield
    left = await left_behind(tasks, sockets)
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


async def left_behind(tasks: set[asyncio.Task[object]], sockets: dict[str, str]) -> list[str]:
    """Return what is still there once the loop has had time to close what was told to close."""
    for turn in range(SETTLING_TURNS + SETTLING_NAPS):
        left = [f"task {task.get_name()}" for task in asyncio.all_tasks() - tasks - {asyncio.current_task()}]
        left += [what for inode, what in open_sockets().items() if inode not in sockets]
        if not left:
            break
        await asyncio.sleep(0 if turn < SETTLING_TURNS else 0.01)
    return left


def open_sockets() -> dict[str, str]:
    """Describe every stream socket of this process by its inode.

    Datagram sockets are left out: c-ares keeps those of the loop's resolver for its next look-up.
    """
    found = {}
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            inode = str(descriptor.readlink())
            if inode.startswith("socket:") and (description := _describe(int(descriptor.name))):
                found[inode] = description
    return found


def _describe(descriptor: int) -> str | None:
    borrowed = socket.socket(fileno=descriptor)
    try:
        return f"{borrowed!r}" if borrowed.type == socket.SOCK_STREAM else None
    finally:
        borrowed.detach()
