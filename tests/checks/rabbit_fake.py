"""A broker of a few lines, for what a real one says only in trouble, or never; and a real one's listener."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pamqp.commands as spec
from pamqp.base import Frame
from pamqp.frame import marshal, unmarshal

from tests.network import Address, Connection, talking

START = spec.Connection.Start(
    server_properties={"capabilities": {"publisher_confirms": True}}, mechanisms="PLAIN AMQPLAIN"
)
TUNE = spec.Connection.Tune(channel_max=2047, frame_max=131072, heartbeat=60)
OPEN_OK = spec.Connection.OpenOk()
CHANNEL = (spec.Channel.OpenOk(), spec.Basic.QosOk())


def fake_broker(*frames: Frame | bytes) -> AbstractAsyncContextManager[Address]:
    """Say one frame, or these bytes, after each thing that the client says; then nothing more."""

    async def script(connection: Connection) -> None:
        for frame in frames:
            await connection.read()
            await connection.send(frame if isinstance(frame, bytes) else marshal(frame, 0))
        await connection.until_closed()

    return talking(script)


@asynccontextmanager
async def overhearing(target: Address) -> AsyncIterator[tuple[Address, list[object]]]:
    """Pass everything to a broker and back; yield where it listens, and the frames that a client will say."""
    said = bytearray()
    frames: list[object] = []

    async def script(client: Connection) -> None:
        reader, writer = await asyncio.open_connection(target.host, target.port)

        async def answer() -> None:
            while data := await reader.read(65536):
                await client.send(data)

        answering = asyncio.create_task(answer())
        try:
            while data := await client.read():
                said.extend(data)
                writer.write(data)
                _take_frames(said, frames)
        finally:
            answering.cancel()
            writer.transport.abort()

    async with talking(script) as address:
        yield address, frames


def _take_frames(said: bytearray, frames: list[object]) -> None:
    """Move every whole frame from the bytes to the list."""
    while len(said) >= 8 and len(said) >= _length(said):
        consumed, _, frame = unmarshal(bytes(said))
        del said[:consumed]
        frames.append(frame)


def _length(said: bytearray) -> int:
    """Return how long the first frame is; the greeting is a frame of its own kind."""
    return 8 if said.startswith(b"AMQP") else 8 + int.from_bytes(said[3:7], "big")
