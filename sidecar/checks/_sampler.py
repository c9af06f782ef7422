"""Looks at copies of messages through private queues, one beside each binding of production's.

What a broker is asked to make is made so that it goes by itself: exclusive and auto-delete, it ends with the
connection, which the kernel ends with the process. No production queue is named in anything that is sent.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from sidecar.checks._amqp import Link, aiormq
from sidecar.checks._sample import Tally, Way
from sidecar.core.sample import Message, Sample

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel, DeliveredMessage

PERSISTENT: Final = 2
"""The delivery mode (rabbitmq.com/docs/publishers, message properties)."""
NOWHERE: Final = "amq.gen-nowhere"
"""An exchange that cannot be: clients may declare nothing that begins with `amq.`."""
BYTES: Final = 8 * 1024 * 1024
"""Bytes that wait in a private queue at most."""


async def look(link: Link, ways: Sequence[Way], wanted: Sample) -> Sequence[Tally]:
    """Return what each way showed, when each has shown enough or the time is over.

    The private queues are gone then, and also when this is cancelled.

    Raises:
        aiormq.AMQPError: among the other exceptions of the driver, for which `link.attended` has words.
    """
    async with AsyncExitStack() as stack:
        glimpses = [await stack.enter_async_context(_glimpse(link, way, wanted)) for way in ways]
        done, _ = await asyncio.wait([each.enough for each in glimpses], timeout=wanted.seconds)
        for each in done:
            each.result()  # an error, if the channel ended
        return [each.tally for each in glimpses]


class _Glimpse:
    """A private queue with what came through it."""

    def __init__(self, channel: "AbstractChannel", wanted: Sample) -> None:
        self.tally = Tally(wanted.identifier)
        self.enough: asyncio.Future[Any] = channel.create_future()
        self._count = wanted.count

    async def take(self, delivered: "DeliveredMessage") -> None:
        """Count a message; never acknowledge it, so that the broker sends no more than we want."""
        properties = delivered.header.properties
        self.tally.take(
            Message(
                is_persistent=properties.delivery_mode == PERSISTENT,
                message_id=properties.message_id,
                headers=properties.headers,
                body=bytes(delivered.body),
            )
        )
        if self.tally.seen >= self._count and not self.enough.done():
            self.enough.set_result(None)


@asynccontextmanager
async def _glimpse(link: Link, way: Way, wanted: Sample) -> AsyncIterator[_Glimpse]:
    """Yield a look at a way, on a channel of its own; it ends with the block."""
    channel = await link.connection.channel(publisher_confirms=False)
    glimpse = _Glimpse(channel, wanted)
    await channel.basic_qos(prefetch_count=wanted.count)
    declared = await channel.queue_declare(exclusive=True, auto_delete=True, arguments=_bounds(wanted))
    queue = declared.queue or ""
    consumed = await channel.basic_consume(queue, glimpse.take)
    try:
        await channel.queue_bind(queue, way.exchange, way.routing_key)
        yield glimpse
    finally:
        with suppress(aiormq.AMQPError, OSError, RuntimeError):  # it goes with the connection too
            await channel.queue_unbind(queue, way.exchange, way.routing_key)
            await channel.basic_cancel(consumed.consumer_tag or "")
            await channel.queue_delete(queue)


def _bounds(wanted: Sample) -> dict[str, Any]:
    """Return the arguments of a private queue: bounded, and out of the reach of policies that match any name.

    One could make it refuse messages, of which publishers hear, or give dead letters to production's queues.
    """
    return {
        "x-queue-type": "classic",
        "x-max-length": wanted.count,
        "x-max-length-bytes": BYTES,
        "x-overflow": "drop-head",
        "x-message-ttl": 10_000,
        "x-expires": 60_000,
        "x-dead-letter-exchange": NOWHERE,
    }
