"""Counts what goes through it to a dependency: connections, bytes, round trips."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass


@dataclass
class Traffic:
    """What came by. A round trip is a change from asking to answering."""

    connections: int = 0
    sent: int = 0
    received: int = 0
    round_trips: int = 0
    is_asking: bool = False

    def ask(self, size: int) -> None:
        """Count bytes towards the dependency."""
        self.sent += size
        self.is_asking = True

    def answer(self, size: int) -> None:
        """Count bytes from it."""
        self.received += size
        self.round_trips += self.is_asking
        self.is_asking = False


@asynccontextmanager
async def counting(port: int) -> AsyncIterator[tuple[int, Traffic]]:
    """Yield a port that leads to another, and what goes through it."""
    traffic = Traffic()
    clients: set[asyncio.StreamWriter] = set()
    all_gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        traffic.connections += 1
        clients.add(writer)
        with suppress(OSError):
            await _carry(reader, writer, port, traffic)
        writer.close()
        clients.discard(writer)
        all_gone.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], traffic
    finally:
        server.close()
        while clients:
            all_gone.clear()
            for client in clients:
                client.transport.abort()
            await all_gone.wait()


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, traffic: Traffic
) -> None:
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        pumps = [
            asyncio.create_task(_pump(reader, far_writer, traffic.ask)),
            asyncio.create_task(_pump(far_reader, writer, traffic.answer)),
        ]
        _, pending = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pending:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
    finally:
        far_writer.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None]
) -> None:
    while chunk := await reader.read(65536):
        count(len(chunk))
        writer.write(chunk)
        await writer.drain()
