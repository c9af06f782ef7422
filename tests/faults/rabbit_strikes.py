"""How a broker's own troubles begin and end: its alarms, its operator, and what publishers do to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from aiormq.abc import AbstractChannel

from sidecar.support.thread import in_thread
from tests.checks.rabbit_clients import connected, until, working
from tests.faults.strikes import aside, doing
from tools.servers import Permissions, RabbitServer

VHOST: Final = "faults"
USER: Final = "app"
QUEUE: Final = "builds"


def set_up(broker: RabbitServer) -> None:
    """Have the virtual host, the user and the queue of an application."""
    broker.add_vhost(VHOST)
    broker.set_permissions(broker.user, Permissions(), vhost=VHOST)
    let_in(broker)
    declare(broker)


def let_in(broker: RabbitServer) -> None:
    broker.add_user(USER, "pw", tags="monitoring", vhosts={VHOST: Permissions()})


def declare(broker: RabbitServer) -> None:
    broker.api("PUT", f"/queues/{VHOST}/{QUEUE}", {"durable": True})


def low_on_memory(broker: RabbitServer) -> AbstractAsyncContextManager[None]:
    return doing(broker.raise_alarm, broker.clear_alarm)


def low_on_disk(broker: RabbitServer) -> AbstractAsyncContextManager[None]:
    return doing(broker.raise_disk_alarm, broker.clear_disk_alarm)


def without_vhost(broker: RabbitServer) -> AbstractAsyncContextManager[None]:
    return doing(lambda: broker.api("DELETE", f"/vhosts/{VHOST}"), lambda: set_up(broker))


def without_queue(broker: RabbitServer) -> AbstractAsyncContextManager[None]:
    return doing(lambda: broker.api("DELETE", f"/queues/{VHOST}/{QUEUE}"), lambda: declare(broker))


def shut_out(broker: RabbitServer) -> AbstractAsyncContextManager[None]:
    """Take from the user its virtual host and its tag."""

    def revoke() -> None:
        broker.add_user(USER, "pw")
        broker.api("DELETE", f"/permissions/{VHOST}/{USER}")

    return doing(revoke, lambda: let_in(broker))


@asynccontextmanager
async def disconnected(broker: RabbitServer) -> AsyncIterator[None]:
    """Close the user's connections, once and for a moment."""
    await aside(lambda: broker.disconnect(USER))
    yield


@asynccontextmanager
async def losing_its_mailbox(broker: RabbitServer) -> AsyncIterator[None]:
    """Delete the check's private queue: what it publishes finds none."""

    def private() -> list[str]:
        names = [each["name"] for each in broker.api("GET", f"/queues/{VHOST}?columns=name")]
        return [name for name in names if name.startswith("amq.gen-")]

    [ours] = await in_thread(private, name="queues")
    await aside(lambda: broker.control("delete_queue", "--vhost", VHOST, ours))
    yield


@asynccontextmanager
async def losing_a_worker(broker: RabbitServer) -> AsyncIterator[None]:
    """Have a worker that is busy with a message, and whose connection is closed at the end of the block."""
    async with working(broker, USER, vhost=VHOST) as worker:
        await worker.take(1)
        yield
        await aside(lambda: broker.disconnect(USER))


@asynccontextmanager
async def consuming(broker: RabbitServer) -> AsyncIterator[None]:
    """Have the queue consumed, and the statistics know it."""
    async with connected(broker, vhost=VHOST) as connection:
        channel = await connection.channel()
        await channel.basic_consume(QUEUE, _ignore)
        await until(lambda: consumers(broker) == 1)
        yield


@asynccontextmanager
async def publishing_to_nowhere(broker: RabbitServer) -> AsyncIterator[None]:
    """Let somebody publish what no queue gets, until the statistics know all of it."""
    is_over = asyncio.Event()

    async def publish(channel: AbstractChannel) -> int:
        sent = 0
        while not is_over.is_set():
            await channel.basic_publish(b"", routing_key="nowhere")
            sent += 1
            await asyncio.sleep(0.05)
        return sent

    async with connected(broker, vhost=VHOST) as connection:
        publishing = asyncio.create_task(publish(await connection.channel()))
        try:
            await until(lambda: dropped(broker))
            yield
        finally:
            is_over.set()
            sent = await publishing
        await until(lambda: dropped(broker) == sent)


def consumers(broker: RabbitServer) -> int:
    """Return how many consumers of the queue the statistics know."""
    return len(broker.api("GET", f"/queues/{VHOST}/{QUEUE}")["consumer_details"])


def dropped(broker: RabbitServer) -> int:
    """Return how many messages found no queue, as far as the statistics know."""
    counts = broker.api("GET", f"/vhosts/{VHOST}").get("message_stats", {})
    return int(counts.get("drop_unroutable", 0))


async def _ignore(_message: object) -> None: ...
