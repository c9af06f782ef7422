"""Replies that are announced, or turn out, to be larger than anybody wants to hold."""

import struct
from collections.abc import Mapping
from typing import Final

import pytest

from tests.faults.cells import cells
from tests.faults.drill import UP, drill
from tests.faults.measures import MIB, within_room
from tests.faults.strikes import leading
from tests.faults.subjects import Servers, Subject
from tests.network import Connection, Proxy, talking

GIB: Final = 1 << 30
HTTP: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n[" % GIB
BEGINNINGS: Final[Mapping[str, bytes]] = {
    "redis": b"$%d\r\n" % GIB,
    "rabbitmq": struct.pack("!BHI", 1, 0, GIB),
    "rabbitmq (kept channel)": struct.pack("!BHI", 1, 0, GIB),
    "rabbitmq-delivery": HTTP,
    "rabbitmq-inflight": HTTP,
    "postgres": b"R" + struct.pack("!I", GIB),
    "postgres (keep)": b"R" + struct.pack("!I", GIB),
    "s3": HTTP,
    "http": HTTP,
    "tcp": b"",
}
"""By row, how a reply begins that is a gibibyte long."""
SAMPLES: Final[Mapping[str, str]] = {"oversized reply": "postgres"}


@pytest.mark.parametrize(("subject", "column"), cells(SAMPLES))
async def test_a_reply_of_a_gibibyte(subject: Subject, column: str, servers: Servers) -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.send(BEGINNINGS[subject.row])
        while True:
            await connection.send(b"x" * MIB)

    async with (
        subject.serve(servers) as up,
        talking(script) as oversized,
        Proxy(up) as proxy,
        drill(subject.keys(proxy.address)) as it,
    ):
        await it.until(UP)
        with within_room():
            await it.survives(leading(proxy, oversized, back_to=up), subject.expected(column))
