"""A dependency for a thousand checks, on one port: `dependency PORT KIND [SECONDS]`.

`hung` accepts and says nothing, `http` answers each request after so many seconds and closes, `flapping`
turns from 200 to 503 and back with every connection, `names` knows every name in DNS, and `dns` takes
questions and never answers.
"""

import asyncio
import itertools
import socket
import sys
from collections import deque
from typing import Final

ANSWERS: Final = {
    200: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    503: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}
BACKLOG: Final = 4096


def hang(port: int) -> None:
    """Accept, keep, and say nothing."""
    with socket.create_server(("127.0.0.1", port), backlog=BACKLOG) as listener:
        kept: deque[socket.socket] = deque(maxlen=BACKLOG)
        while True:
            kept.append(listener.accept()[0])


def keep_silent(port: int) -> None:
    """Take datagrams and answer none."""
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", port))
        while True:
            listener.recv(4096)


def know_every_name(port: int) -> None:
    """Answer questions for an A record with 127.0.0.1, and others with nothing (RFC 1035)."""
    with socket.socket(type=socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", port))
        while True:
            query, client = listener.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            is_about_a = query[end - 4 : end - 2] == b"\0\1"
            head = query[:2] + b"\x85\x80\0\1" + bytes([0, is_about_a]) + b"\0\0\0\0"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if is_about_a else b""
            listener.sendto(head + query[12:end] + record, client)


async def answer(port: int, *, after: float, codes: tuple[int, ...]) -> None:
    """Answer every request with the next of `codes`."""
    turns = itertools.cycle(codes)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(after)
            writer.write(ANSWERS[next(turns)])
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=BACKLOG)
    async with server:
        await server.serve_forever()


def main(port: int, kind: str, seconds: float = 0.0) -> None:
    """Be a dependency of this kind, for ever."""
    match kind:
        case "hung":
            hang(port)
        case "dns":
            keep_silent(port)
        case "names":
            know_every_name(port)
        case "http":
            asyncio.run(answer(port, after=seconds, codes=(200,)))
        case "flapping":
            asyncio.run(answer(port, after=seconds, codes=(200, 503)))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *map(float, sys.argv[3:]))
