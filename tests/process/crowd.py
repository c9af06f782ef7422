"""A crowd of hostile clients, in a process of its own: `python crowd.py KIND PORT CLIENTS SOURCE`.

It connects from the address SOURCE; says `ready` once there were as many connections as clients, or as many
ends of connections where those are what it provokes; goes on until its standard input ends; then prints what
became of it all as JSON.
"""

import asyncio
import json
import resource
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import cycle
from typing import Final

GET: Final = b"GET /readyz HTTP/1.1\r\nHost: pod\r\n\r\n"
METRICS: Final = b"GET /metrics HTTP/1.1\r\nHost: pod\r\n\r\n"
POST: Final = b"POST /readyz HTTP/1.1\r\nHost: pod\r\nContent-Length: 9000\r\n\r\n"
MANY_HEADERS: Final = b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 8000) for n in range(125))
GARBAGE: Final = (
    b"\x16\x03\x01\x02\x00" * 10_000,
    GET + b"\xff\x00garbage\r\n\r\n" * 5_000,
    b"GET / HTTP/1.1\r\nno colon\r\n\r\n" * 2_000,
    GET[:-2] + b"Transfer-Encoding: chunked\r\n\r\nnot hexadecimal\r\n" * 1_000,
    b"GET / HTTP/9.9\r\n\r\n" * 2_000,
    b"\r\n" * 20_000,
)
BIG_HEADS: Final = (MANY_HEADERS, b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000, b"GET /" + b"x" * 1_000_000)
RATE: Final = 2000.0
"""Requests a second that the heavy crowd asks together."""
ARRIVALS: Final = 350.0
"""Clients of a crowd that come in a second: five crowds are a third of what is accepted."""
IP_BIND_ADDRESS_NO_PORT: Final = 24
"""From linux/in.h; Python has no name for it before 3.12."""

Tally = Counter[str]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Behaviour = Callable[[Streams, Tally], Awaitable[None]]

_garbage = cycle(GARBAGE)
_big_heads = cycle(BIG_HEADS)


async def idle(streams: Streams, tally: Tally) -> None:
    """Say nothing, for ever."""
    reader, _ = streams
    with suppress(ConnectionError):
        await reader.read()
    tally["cut"] += 1
    await asyncio.Event().wait()


async def slow_head(streams: Streams, tally: Tally) -> None:
    """Send a byte of a head now and then."""
    await drip(streams, tally)


async def slow_body(streams: Streams, tally: Tally) -> None:
    """Send a byte of a body now and then."""
    streams[1].write(POST)
    await drip(streams, tally)


async def garbage(streams: Streams, tally: Tally) -> None:
    """Send garbage, and read what is said to that."""
    await send_and_read(next(_garbage), streams, tally)


async def big_heads(streams: Streams, tally: Tally) -> None:
    """Send a megabyte of head."""
    await send_and_read(next(_big_heads), streams, tally)


async def never_reads(streams: Streams, tally: Tally) -> None:
    """Ask, and ask again, and read nothing."""
    _, writer = streams
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    try:
        while True:
            writer.write(METRICS * 20)
            await writer.drain()
            await asyncio.sleep(0.01)
    finally:
        tally["cut"] += 1


async def heavy(streams: Streams, tally: Tally) -> None:
    """Ask on a kept connection, all clients together `RATE` times a second or as often as is answered."""
    reader, writer = streams
    loop = asyncio.get_running_loop()
    began, asked = loop.time(), 0
    while True:
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
        tally[head.split()[1].decode()] += 1
        asked += 1
        await asyncio.sleep(began + asked * clients() / RATE - loop.time())


async def drip(streams: Streams, tally: Tally) -> None:
    """Send a byte of a header every 50 ms until the connection is cut."""
    _, writer = streams
    try:
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)
    finally:
        tally["cut"] += 1


async def send_and_read(request: bytes, streams: Streams, tally: Tally) -> None:
    """Send all, read all, and note whatever looks like something that is none of a stranger's business."""
    reader, writer = streams
    writer.write(request)
    answer = b""
    with suppress(ConnectionError):
        await writer.drain()
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            answer += chunk
    tally["cut"] += 1
    tally["leaks"] += any(word in answer for word in (b"Traceback", b"aiohttp", b"garbage", b".py"))


BEHAVIOURS: Final[dict[str, Behaviour]] = {
    each.__name__: each for each in (idle, slow_head, slow_body, garbage, big_heads, never_reads, heavy)
}


def clients() -> int:
    """Return how many clients the crowd has."""
    return int(sys.argv[3])


async def keep_at_it(behave: Behaviour, address: tuple[int, str], tally: Tally, *, after: float) -> None:
    """Connect and behave, again and again."""
    loop = asyncio.get_running_loop()
    port, source = address
    await asyncio.sleep(after)
    while True:
        connection = new_socket(source)
        with suppress(ConnectionError):
            await loop.sock_connect(connection, ("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=connection)
            tally["opened"] += 1
            try:
                await behave((reader, writer), tally)
            finally:
                writer.transport.abort()


def new_socket(source: str) -> socket.socket:
    """Return a socket with little room for answers, that keeps no port from anybody, not even behind it."""
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    connection.bind((source, 0))
    return connection


async def main(behave: Behaviour, port: int, source: str) -> None:
    """Run the crowd until standard input ends."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    crowd = [
        asyncio.create_task(keep_at_it(behave, (port, source), tally, after=n / ARRIVALS))
        for n in range(clients())
    ]
    goal = "opened" if behave in (idle, heavy) else "cut"
    while tally[goal] < clients():  # noqa: ASYNC110 - a start of a tenth of a second
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await ended.wait()
    print(
        json.dumps({**tally, "failed": [repr(each.exception()) for each in crowd if each.done()]}), flush=True
    )
    for each in crowd:
        each.cancel()
    await asyncio.wait(crowd)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(BEHAVIOURS[sys.argv[1]], int(sys.argv[2]), sys.argv[4]))
