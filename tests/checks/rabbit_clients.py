"""Other clients of a RabbitMQ than a check: what an application does there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from sidecar.support.thread import in_thread
from tools.servers import RabbitServer


@asynccontextmanager
async def connected(
    server: RabbitServer, name: str = "", *, vhost: str = "/"
) -> AsyncIterator[aiormq.Connection]:
    """Yield a connection of the application's."""
    url = server.url_for(server.user, server.password, vhost=vhost)
    connection = aiormq.Connection(url, client_properties={"connection_name": name})
    await connection.connect()
    try:
        yield connection
    finally:
        await connection.close()


async def until(found: Callable[[], Any]) -> None:
    """Return when the broker says so: it tells nobody of its statistics."""
    async with asyncio.timeout(20):
        while not await in_thread(found, name="until"):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.05)


class Worker:
    """Takes messages of a queue of its own, and acknowledges them when it is told."""

    def __init__(self, channel: AbstractChannel, name: str) -> None:
        self._channel = channel
        self._name = name
        self._taken: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self._tag = ""

    async def start(self) -> None:
        self._queue = await self._channel.declare_queue(self._name, exclusive=True)
        self._tag = await self._queue.consume(self._taken.put)

    async def take(self, count: int) -> list[AbstractIncomingMessage]:
        for _ in range(count):
            await self._channel.default_exchange.publish(aio_pika.Message(b"work"), self._name)
        return [await self._taken.get() for _ in range(count)]

    async def stop(self) -> None:
        await self._queue.cancel(self._tag)


@asynccontextmanager
async def working(
    server: RabbitServer, user: str = "app", name: str = "", *, vhost: str = "/"
) -> AsyncIterator[Worker]:
    """Connect a worker, from this address, under a name of the connection."""
    url = server.url_for(user, "pw", vhost=vhost)
    async with await aio_pika.connect(url, client_properties={"connection_name": name}) as connection:
        worker = Worker(await connection.channel(), f"work-of-{user}-{name}")
        await worker.start()
        yield worker
