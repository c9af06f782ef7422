"""A broker of a few lines, for what a real one says only in trouble, or never."""

from contextlib import AbstractAsyncContextManager

import pamqp.commands as spec
from pamqp.base import Frame
from pamqp.frame import marshal

from tests.network import Address, Connection, talking

START = spec.Connection.Start(
    server_properties={"capabilities": {"publisher_confirms": True}}, mechanisms="PLAIN AMQPLAIN"
)
TUNE = spec.Connection.Tune(channel_max=2047, frame_max=131072, heartbeat=60)
OPEN_OK = spec.Connection.OpenOk()
CHANNEL = (spec.Channel.OpenOk(), spec.Channel.CloseOk())


def fake_broker(*frames: Frame | bytes) -> AbstractAsyncContextManager[Address]:
    """Say one frame, or these bytes, after each thing that the client says; then nothing more."""

    async def script(connection: Connection) -> None:
        for frame in frames:
            await connection.read()
            await connection.send(frame if isinstance(frame, bytes) else marshal(frame, 0))
        await connection.until_closed()

    return talking(script)
