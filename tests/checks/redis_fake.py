"""A Redis of a few lines, for the answers that a real one gives only in trouble, or never."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from tests.network import Address, Connection, talking

Commands = list[list[str]]


@asynccontextmanager
async def fake_redis(answers: Mapping[str, bytes] | None = None) -> AsyncIterator[tuple[Address, Commands]]:
    """Yield where it listens, and the commands that it will have received.

    It knows the check's commands; `answers` has the bytes with which it answers some of them instead.
    """
    commands: Commands = []

    async def script(connection: Connection) -> None:
        stored = b""
        while True:
            command = await _read_command(connection)
            commands.append(command)
            name, *rest = command
            if name == "SET":
                stored = _bulk(rest[1])
            usual = {"ECHO": _bulk(rest[0]) if rest else b"", "PING": b"+PONG\r\n", "GET": stored}
            usual |= {"ROLE": b"*1\r\n$6\r\nmaster\r\n", "DEL": b":1\r\n"}
            await connection.send((answers or {}).get(name) or usual.get(name, b"+OK\r\n"))

    async with talking(script) as address:
        yield address, commands


async def _read_command(connection: Connection) -> list[str]:
    """Read one command (redis.io/docs/latest/develop/reference/protocol-spec)."""
    count = int((await connection.read_until(b"\r\n"))[1:])
    words = []
    for _ in range(count):
        await connection.read_until(b"\r\n")
        words.append((await connection.read_until(b"\r\n"))[:-2].decode())
    return words


def _bulk(text: str) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text.encode())
