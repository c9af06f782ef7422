"""Servers that misbehave in one way each.

All of them take the clients' bytes as they come and end a connection when the client does, so that a
connection that is still open is one that a client left open.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final

from tests.network.address import Address

HOST: Final = "127.0.0.1"
RESPONSE: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
"""A beginning that HTTP takes for its own, and that no line-wise protocol refuses before its end."""
GARBAGE: Final = b"\xff\x00\x00\x00\x00\x00\x08garbage!\xff\r\n\r\n"
"""Wrong from its first byte, and complete for whoever waits for a line, or for an AMQP frame."""


class Connection:
    """One client's connection, as the script of a fake sees it."""

    def __init__(self, fake: "Fake", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._fake = fake
        self._reader = reader
        self._writer = writer
        self._socket: socket.socket = writer.get_extra_info("socket")
        self.bytes_received = 0

    async def read(self) -> bytes:
        """Return what came next, or nothing once the client has closed."""
        return self._counted(await self._reader.read(65536))

    async def read_until(self, separator: bytes) -> bytes:
        """Return what came up to and including a separator."""
        return self._counted(await self._reader.readuntil(separator))

    async def read_exactly(self, count: int) -> bytes:
        """Return the next bytes, that many."""
        return self._counted(await self._reader.readexactly(count))

    async def send(self, data: bytes) -> None:
        """Send all of it; return when the client, or the kernel for it, has taken most."""
        self._writer.write(data)
        self._fake.bytes_sent += len(data)
        await self._writer.drain()

    async def until_closed(self) -> None:
        """Take what comes, and say nothing, until the client closes."""
        while await self.read():
            pass

    def half_close(self) -> None:
        """Say that nothing more will be said, and go on listening."""
        if self._writer.can_write_eof():
            self._writer.write_eof()

    def reset(self) -> None:
        """End with a RST instead of a FIN, and forget what was not sent yet."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        """End with a FIN once everything is sent; give up after a second."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), 1)
        self._writer.transport.abort()

    def _counted(self, data: bytes) -> bytes:
        self.bytes_received += len(data)
        self._fake.bytes_received += len(data)
        return data


Script = Callable[[Connection], Awaitable[None]]


class Fake(Address):
    """An address at which a script answers each client, or at which a client gets no further.

    Holds its port from beginning to end: opening, shutting and clogging are about the same one.
    """

    def __init__(self, holder: socket.socket, script: Script, tls: ssl.SSLContext | None) -> None:
        super().__init__(*holder.getsockname()[:2])
        self._family = holder.family
        self._script = script
        self._tls = tls
        self._listener: socket.socket | None = None
        self._fillers: list[socket.socket] = []
        self._conversations: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self.connections = 0
        self.bytes_received = 0
        self.bytes_sent = 0

    @property
    def open_connections(self) -> int:
        """How many connections neither side has ended."""
        return len(self._conversations)

    async def emptied(self) -> None:
        """Return when no connection is open."""
        while self._conversations:
            await asyncio.wait(self._conversations)

    def open(self) -> None:
        """Accept connections from now on."""
        self.shut()
        self._listener = self._listen(backlog=128)
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def shut(self) -> None:
        """Refuse connections from now on; those that are open stay so."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for filler in self._fillers:
            filler.close()
        self._fillers = []

    def clog(self) -> None:
        """Let those who connect from now on wait: the queue is full, and the kernel drops their packets."""
        self.shut()
        self._listener = self._listen(backlog=0)
        self._fillers = [socket.socket() for _ in range(3)]
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex((self.host, self.port))

    async def close(self) -> None:
        """End whatever is open; raise what a script raised, an assertion for instance."""
        self.shut()
        for conversation in self._conversations:
            conversation.cancel()
        await self.emptied()
        if self._failures:
            raise self._failures[0]

    def _listen(self, *, backlog: int) -> socket.socket:
        listener = shared_socket(self._family)
        listener.bind((self.host, self.port))
        listener.listen(backlog)
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            accepted, _ = listener.accept()
            self.connections += 1
            conversation = asyncio.create_task(self._converse(accepted), name=f"fake:{self.port}")
            self._conversations.add(conversation)
            conversation.add_done_callback(self._ended)

    def _ended(self, conversation: asyncio.Task[None]) -> None:
        self._conversations.discard(conversation)
        if not conversation.cancelled() and (failure := conversation.exception()):
            self._failures.append(failure)

    async def _converse(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        try:
            connection = await self._greet(accepted)
        except OSError:  # a handshake that failed, which is what some tests are about
            return
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._script(connection)
                await connection.close()
        finally:
            connection.reset()

    async def _greet(self, accepted: socket.socket) -> Connection:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=self._tls)
        return Connection(self, reader, asyncio.StreamWriter(transport, protocol, reader, loop))


def shared_socket(family: int = socket.AF_INET) -> socket.socket:
    """Return a socket that can be bound to the same port as others of ours; only one of them listens."""
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.setblocking(False)
    return made


@contextlib.asynccontextmanager
async def refused() -> AsyncIterator[Fake]:
    """Refuse every connection, on a port that nobody else can open meanwhile."""
    with shared_socket() as holder:
        holder.bind((HOST, 0))
        fake = Fake(holder, Connection.until_closed, None)
        try:
            yield fake
        finally:
            await fake.close()


@contextlib.asynccontextmanager
async def black_hole() -> AsyncIterator[Fake]:
    """Answer not even the first packet."""
    async with refused() as fake:
        fake.clog()
        yield fake


@contextlib.asynccontextmanager
async def talking(script: Script, *, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Fake]:
    """Let a script have each connection, which is closed when the script returns; port 0 is any."""
    with shared_socket() as holder:
        holder.bind((HOST, port))
        fake = Fake(holder, script, tls)
        fake.open()
        try:
            yield fake
        finally:
            await fake.close()


def silent(*, tls: ssl.SSLContext | None = None) -> contextlib.AbstractAsyncContextManager[Fake]:
    """Accept, and never speak."""
    return talking(Connection.until_closed, tls=tls)


def resetting(
    *, after_bytes: int = 0, tls: ssl.SSLContext | None = None
) -> contextlib.AbstractAsyncContextManager[Fake]:
    """Accept, and reset: at once, or when that many bytes have come."""

    async def script(connection: Connection) -> None:
        while connection.bytes_received < after_bytes and await connection.read():
            pass
        connection.reset()

    return talking(script, tls=tls)


def garbage(
    data: bytes = GARBAGE, *, tls: ssl.SSLContext | None = None
) -> contextlib.AbstractAsyncContextManager[Fake]:
    """Speak nonsense at once, and again whenever something is said."""
    return talking(lambda connection: send_garbage(connection, data), tls=tls)


def dripping(
    data: bytes = RESPONSE, *, interval: float = 1.0, tls: ssl.SSLContext | None = None
) -> contextlib.AbstractAsyncContextManager[Fake]:
    """Speak one byte every interval in seconds, then say nothing more."""
    return talking(lambda connection: drip(connection, data, interval), tls=tls)


def half_closing(
    data: bytes = b"", *, tls: ssl.SSLContext | None = None
) -> contextlib.AbstractAsyncContextManager[Fake]:
    """Say a last word at once, and go on listening."""
    return talking(lambda connection: half_close(connection, data), tls=tls)


def endless(
    data: bytes = RESPONSE, *, tls: ssl.SSLContext | None = None
) -> contextlib.AbstractAsyncContextManager[Fake]:
    """Answer the first bytes, and never come to an end."""
    return talking(lambda connection: answer_without_end(connection, data), tls=tls)


async def send_garbage(connection: Connection, data: bytes = GARBAGE) -> None:
    """Be `garbage` on one connection."""
    await connection.send(data)
    while await connection.read():
        await connection.send(data)


async def drip(connection: Connection, data: bytes = RESPONSE, interval: float = 1.0) -> None:
    """Be `dripping` on one connection."""

    async def speak() -> None:
        for byte in data:
            await connection.send(bytes([byte]))
            await asyncio.sleep(interval)
        await asyncio.Event().wait()

    await first_of(speak(), connection.until_closed())


async def half_close(connection: Connection, data: bytes = b"") -> None:
    """Be `half_closing` on one connection."""
    await connection.send(data)
    connection.half_close()
    await connection.until_closed()


async def answer_without_end(connection: Connection, data: bytes = RESPONSE) -> None:
    """Be `endless` on one connection, at no more than 16 MB/s: who keeps it all shall not use up memory."""

    async def speak() -> None:
        await connection.send(data)
        while True:
            await connection.send(b"x" * 16384)
            await asyncio.sleep(0.001)

    if await connection.read():
        await first_of(speak(), connection.until_closed())


async def pass_on(connection: Connection, target: Address) -> None:
    """Pass bytes both ways between a client and a target until one of them ends."""
    reader, writer = await asyncio.open_connection(target.host, target.port)

    async def up() -> None:
        while data := await connection.read():
            writer.write(data)

    async def down() -> None:
        while data := await reader.read(65536):
            await connection.send(data)

    try:
        await first_of(up(), down())
    finally:
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def first_of(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Return, or raise, as the first of them does; the others are cancelled and have ended by then."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
