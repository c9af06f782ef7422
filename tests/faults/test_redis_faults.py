"""Redis' own faults: a real server that loads, has lost its primary, or takes no writes or clients."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final

import pytest

from sidecar.core.check import Reason
from tests.checks.contract import Keys
from tests.faults.drill import down, drill
from tests.faults.strikes import aside, doing
from tests.faults.troubles import Strike, Trouble, cells_of
from tools.servers import RedisServer

Command = Sequence[str | int]

SLOW_TO_LOAD: Final = (
    "key-load-delay 100000",  # microseconds, until it is set to 0
    "loading-process-events-interval-bytes 1024",
    "rdbcompression no",
    "enable-debug-command yes",
)
NOBODY: Final = ("127.0.0.1", 1)
"""A primary that refuses: nobody serves tcpmux."""


def commanding(begin: Sequence[Command], end: Sequence[Command]) -> Strike[RedisServer]:
    """Return the trouble that some commands begin, and others end."""

    def say(server: RedisServer, commands: Sequence[Command]) -> None:
        for command in commands:
            server.command(*command)

    def strike(server: RedisServer) -> AbstractAsyncContextManager[None]:
        return doing(partial(say, server, begin), partial(say, server, end))

    return strike


def setting(name: str, value: str, usual: str) -> Strike[RedisServer]:
    """Return the trouble that one setting makes."""
    return commanding([("CONFIG", "SET", name, value)], [("CONFIG", "SET", name, usual)])


@asynccontextmanager
async def loading(server: RedisServer) -> AsyncIterator[None]:
    """Restart it with data that takes it five seconds, or until the end of the block."""
    await aside(partial(server.command, "DEBUG", "POPULATE", 50, "key", 4096))
    restart = asyncio.create_task(aside(server.restart))
    try:
        yield
    finally:
        await aside(partial(server.command, "CONFIG", "SET", "key-load-delay", 0))
        await restart


@asynccontextmanager
async def without_room(server: RedisServer) -> AsyncIterator[None]:
    """Let one client be the only one: not the check."""
    reader, writer = await asyncio.open_connection(server.host, server.port)

    async def say(command: str) -> None:
        writer.write(f"{command}\r\n".encode())
        assert not (await reader.readline()).startswith(b"-")

    try:
        await say("CONFIG SET maxclients 1")
        await say("CLIENT KILL TYPE normal SKIPME yes")
        yield
        await say("CONFIG SET maxclients 10000")
    finally:
        writer.close()
        await writer.wait_closed()


UNAVAILABLE: Final = down(Reason.UNAVAILABLE)
TROUBLES: Final[Mapping[str, Trouble[RedisServer]]] = {
    "LOADING": Trouble(strike=loading, expected=UNAVAILABLE, told="answered LOADING"),
    "MASTERDOWN": Trouble(
        strike=commanding(
            [("CONFIG", "SET", "replica-serve-stale-data", "no"), ("REPLICAOF", *NOBODY)],
            [("REPLICAOF", "NO", "ONE")],
        ),
        expected=UNAVAILABLE,
        told="answered MASTERDOWN",
    ),
    "read-only": Trouble(
        strike=commanding([("REPLICAOF", *NOBODY)], [("REPLICAOF", "NO", "ONE")]),
        expected=UNAVAILABLE,
        told="answered READONLY",
    ),
    "OOM": Trouble(
        strike=setting("maxmemory", "100kb", usual="0"),
        expected=UNAVAILABLE,
        told="answered OOM",
    ),
    "NOREPLICAS": Trouble(
        strike=setting("min-replicas-to-write", "1", usual="0"),
        expected=UNAVAILABLE,
        told="answered NOREPLICAS",
    ),
    "maxclients": Trouble(
        strike=without_room,
        expected=UNAVAILABLE,
        told="answered ERR max number of clients reached",
    ),
}


@pytest.fixture
def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    return start_redis(config=SLOW_TO_LOAD)


def keys(server: RedisServer) -> Keys:
    return {"type": "redis", "url": server.url, "write": True}


@pytest.mark.parametrize("trouble", cells_of("redis", TROUBLES))
async def test_a_redis_in_trouble(trouble: Trouble[RedisServer], server: RedisServer) -> None:
    async with drill(keys(server)) as it:
        await trouble.meet(server, it)


@pytest.mark.parametrize("trouble", cells_of("redis", TROUBLES, pytest.mark.faults))
async def test_a_redis_that_is_in_trouble_already(trouble: Trouble[RedisServer], server: RedisServer) -> None:
    await trouble.greet(server, keys(server))
