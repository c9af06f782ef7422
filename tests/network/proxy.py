"""A proxy in front of a real server, which breaks the connection between when a test says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from tests.network.address import Address
from tests.network.fakes import (
    Connection,
    Fake,
    Script,
    answer_without_end,
    drip,
    first_of,
    half_close,
    send_garbage,
    talking,
)


class Fault(StrEnum):
    """What can be wrong between a client and its server. The names are those of the fakes."""

    REFUSED = "refused"
    BLACK_HOLE = "black hole"
    SILENT = "silent"
    RESETTING = "resetting"
    GARBAGE = "garbage"
    DRIPPING = "dripping"
    HALF_CLOSING = "half-closing"
    ENDLESS = "endless"
    CUT_SHORT = "cut short"
    """The first half of the next reply comes, and then a reset."""


_STALLING: Final = frozenset({Fault.BLACK_HOLE, Fault.SILENT})
"""Nothing is lost by these: what was said meanwhile arrives when they end."""


async def _reset(connection: Connection) -> None:
    connection.reset()


_SCRIPTS: Final[Mapping[Fault, Script]] = {
    Fault.REFUSED: _reset,
    Fault.RESETTING: _reset,
    Fault.GARBAGE: send_garbage,
    Fault.DRIPPING: drip,
    Fault.HALF_CLOSING: half_close,
    Fault.ENDLESS: answer_without_end,
}


class Proxy:
    """A TCP proxy in front of a target: `async with Proxy(target) as proxy:`, then talk to `proxy.address`.

    `with proxy.fault("silent"):` breaks the connections that are open as well as new ones. Where a fault lost
    bytes, its connections stay broken when it ends; new ones are whole.
    """

    address: Fake
    """Where to connect, with the counts of connections and bytes."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._stack = contextlib.AsyncExitStack()
        self._fault: Fault | None = None
        self._broken = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        self.address = await self._stack.enter_async_context(talking(self._serve))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def lead_to(self, target: Address) -> None:
        """Lead new connections to another server, and reset those that are open."""
        self._target = target
        self.cut()

    @contextlib.contextmanager
    def fault(self, fault: Fault | str) -> Iterator[None]:
        """Break, and mend at the end."""
        self.break_off(Fault(fault))
        try:
            yield
        finally:
            self.mend()

    def break_off(self, fault: Fault) -> None:
        """Break every connection, open or new, in this way from now on."""
        self.mend()
        self._fault = fault
        if fault in _STALLING:
            self._flowing.clear()
        elif fault is not Fault.CUT_SHORT:
            self._broken.set()
        if fault is Fault.REFUSED:
            self.address.shut()
        elif fault is Fault.BLACK_HOLE:
            self.address.clog()

    def mend(self) -> None:
        """Be a plain proxy again."""
        if self._fault in (Fault.REFUSED, Fault.BLACK_HOLE):
            self.address.open()
        self._fault = None
        self._flowing.set()
        if self._broken.is_set():
            self._broken = asyncio.Event()

    def cut(self) -> None:
        """Reset the connections that are open now; new ones are not touched."""
        self._broken.set()
        self._broken = asyncio.Event()

    async def _serve(self, client: Connection) -> None:
        if self._fault not in _SCRIPTS:
            broken = self._broken
            await first_of(self._pass(client), broken.wait())
            if not broken.is_set():
                return
        await _SCRIPTS.get(self._fault or Fault.RESETTING, _reset)(client)

    async def _pass(self, client: Connection) -> None:
        """Pass both ways until either side ends. What the client says is taken even while nothing flows."""
        said: asyncio.Queue[bytes] = asyncio.Queue()

        async def listen() -> None:
            while data := await client.read():
                said.put_nowait(data)

        await first_of(listen(), self._pass_on(client, said))

    async def _pass_on(self, client: Connection, said: asyncio.Queue[bytes]) -> None:
        await self._flowing.wait()
        async with self._dialled() as (reader, writer):

            async def up() -> None:
                while True:
                    data = await said.get()
                    await self._flowing.wait()
                    writer.write(data)
                    await writer.drain()

            async def down() -> None:
                while data := await reader.read(65536):
                    await self._flowing.wait()
                    if self._fault is Fault.CUT_SHORT:
                        await client.send(data[: max(1, len(data) // 2)])
                        await _reset(client)
                        return
                    await client.send(data)

            await first_of(up(), down())

    @contextlib.asynccontextmanager
    async def _dialled(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(self._target.host, self._target.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
