r"""Asks on one kept connection, looks up queues and exchanges, and sends a message to itself.

The connection proves the address, the login and the virtual host; a question on it each run, that the broker
still answers. `queues` and `exchanges` must exist: whether durable, and bound to what, is not asked. With
`round_trip: true` a persistent message with a unique id is published through the default exchange, confirmed
by the broker, delivered to a private queue, and acknowledged. That queue is exclusive and kept between runs:
none of the application's queues is read or written. What may need a permission is asked on a channel of the
run's own, since the broker remembers what a channel may.

Down means that one of these fails. The reason is `auth` for a refused login, `not_found` for a virtual host,
queue or exchange that does not exist, `forbidden` for a missing permission, and `protocol` for a message that
is not confirmed, not routed, or not the one that was sent.

`unavailable` is also a broker that blocks publishers because its memory or disk is full. Only `round_trip`
proves that it does not: the broker lets everything else through, and blocks a connection after it published.
A blocked connection is kept, since a broker in need has no use for new ones, and replaced when it is over.

The virtual host is the URL's path, percent-encoded; none is `/`. Without credentials they are guest's. The
URL's query is meant for drivers and not read.

Permissions: the virtual host (RabbitMQ before 4.3 asks for no more in order to look up a queue or exchange;
since then one permission on each). With `round_trip` on the private queue: configure `^amq\.gen-.*$`, write
`^amq\.default$`, read `^amq\.gen-.*$`.
Reasons that waiting does not cure: auth, forbidden, tls.

```yaml
- name: builds
  type: rabbitmq
  url: amqps://rabbitmq.example.com/ci
  username: sidecar
  password: ${RABBITMQ_PASSWORD}
  round_trip: true
  queues: [builds]
  gates: startup
```
"""

import asyncio
import secrets
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import unquote

from sidecar.checks._amqp import Link, aiormq
from sidecar.checks._connect import Streams
from sidecar.checks._dial import TLS_SCHEMES, Dialer
from sidecar.config.check import CheckType, UrlCheckConfig, option
from sidecar.config.fields import Label
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.problems import Mistake
from sidecar.core.check import CheckFailed, Reason

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel, DeliveredMessage

MAILBOX_ARGUMENTS: Final[dict[str, Any]] = {"x-message-ttl": 10_000, "x-max-length": 10, "x-expires": 60_000}
"""Bounds of our private queue, should a broker keep it longer than the connection that it belongs to."""
PERSISTENT: Final = 2
"""The delivery mode (rabbitmq.com/docs/publishers, message properties)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RabbitmqConfig(UrlCheckConfig):
    """Which broker, and what must exist and work there."""

    url: Annotated[Url, UrlKind((("amqp", 5672), ("amqps", 5671)))] = option(
        "URL: amqp://HOST:PORT/VHOST, or amqps:// for TLS; slashes in the virtual host as %2F."
    )
    round_trip: bool = option("Also send a message through a private queue and back.", default=False)
    queues: tuple[Label, ...] = option("Queues that must exist.", default=())
    exchanges: tuple[Label, ...] = option("Exchanges that must exist.", default=())

    @property
    def vhost(self) -> str:
        """The virtual host."""
        return unquote(self.url.path[1:]) or "/"

    @property
    def uses_permissions(self) -> bool:
        """Whether anything is asked that may need a permission."""
        return bool(self.round_trip or self.queues or self.exchanges)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        if self.tls is not None and self.url.scheme not in TLS_SCHEMES:
            yield Mistake("has no use without TLS; write the URL with amqps://", key="tls")


class RabbitmqCheck:
    """Keeps one connection, and on it a channel and the private queue. Drops them all on any doubt."""

    def __init__(self, config: RabbitmqConfig) -> None:
        self.connections_opened = 0
        self._config = config
        self._dialer = Dialer(config.url, config.tls)
        self._link: Link | None = None
        self._channel: AbstractChannel | None = None
        self._mailbox: Mailbox | None = None

    async def run(self) -> None:
        """Ask the broker to prove itself; keep the connection if it did."""
        async with AsyncExitStack() as doubt:
            doubt.push_async_callback(self._hang_up_unless_blocked)
            link = await self._linked()
            async with link.attended():
                await self._ask(link)
            doubt.pop_all()

    async def lost(self) -> None:
        """Return when the connection is gone, which the end of a block ends too; wait while there is none."""
        if self._link is None:
            await asyncio.Event().wait()
            return
        await self._link.ended()
        await self.aclose()

    async def aclose(self) -> None:
        """Hang up, after a goodbye of 40 ms: without one the broker logs a warning."""
        link, self._link, self._channel, self._mailbox = self._link, None, None, None
        if link is not None:
            await link.close()

    async def _hang_up_unless_blocked(self) -> None:
        """Give up the connection, but none that is blocked: the broker would hold each for another 10 s."""
        if self._link is None or not self._link.is_blocked:
            await self.aclose()

    async def _linked(self) -> Link:
        """Return the kept connection if it is there, else a new one."""
        if self._link is not None and not self._link.is_open:
            await self.aclose()
        if self._link is None:
            aiormq.load()  # before a connection is there to be left behind
            streams = await self._dialer.dial()
            self.connections_opened += 1
            self._link = self._new_link(streams)
            await self._link.open()
        return self._link

    def _new_link(self, streams: Streams) -> Link:
        return Link(
            streams,
            address=self._config.target,
            login=self._config.credentials,
            vhost=self._config.vhost,
            name=self._config.name,
        )

    async def _ask(self, link: Link) -> None:
        if self._config.uses_permissions:
            await self._use_permissions(link)
        else:
            channel = await self._channel_on(link)
            await channel.basic_qos()  # sets what is set already, and is answered

    async def _use_permissions(self, link: Link) -> None:
        """Look up and send; close the channel, which would not notice that a permission is taken away."""
        await self._look_up(link)
        channel = await self._channel_on(link)
        if self._config.round_trip:
            await self._send_round(link, channel)
        await channel.close()

    async def _channel_on(self, link: Link) -> "AbstractChannel":
        """Return the kept channel, or a new one where it is closed."""
        if self._channel is None or self._channel.is_closed:
            self._channel = await link.connection.channel(publisher_confirms=self._config.round_trip)
        return self._channel

    async def _look_up(self, link: Link) -> None:
        queues, exchanges = self._config.queues, self._config.exchanges
        missing = [
            f"queue {name}" for name in queues if not await has_queue(await self._channel_on(link), name)
        ]
        missing += [
            f"exchange {name}"
            for name in exchanges
            if not await has_exchange(await self._channel_on(link), name)
        ]
        if missing:
            raise CheckFailed(Reason.NOT_FOUND, f"{self._config.target} has no {', no '.join(missing)}")

    async def _send_round(self, link: Link, channel: "AbstractChannel") -> None:
        """Send a message through our private queue and back."""
        if self._mailbox is None:
            self._mailbox = await open_mailbox(link)
        message_id = secrets.token_hex(16)
        await self._publish(channel, self._mailbox.queue, message_id)
        message = await self._mailbox.next()
        if message.header.properties.message_id != message_id:
            raise CheckFailed(Reason.PROTOCOL, f"{self._config.target} delivered another message than ours")
        await self._mailbox.channel.basic_ack(message.delivery_tag or 0)

    async def _publish(self, channel: "AbstractChannel", queue: str, message_id: str) -> None:
        """Publish a message; return when the broker has confirmed it.

        Raises:
            CheckFailed: it did not, or found no way to the queue.
        """
        properties = aiormq.spec.Basic.Properties(message_id=message_id, delivery_mode=PERSISTENT)
        try:
            await channel.basic_publish(b"", routing_key=queue, mandatory=True, properties=properties)
        except aiormq.DeliveryError as error:
            what = "route" if isinstance(error, aiormq.PublishError) else "confirm"
            raise CheckFailed(
                Reason.PROTOCOL, f"{self._config.target} did not {what} a message to our private queue"
            ) from error


class Mailbox:
    """Our private queue, and the message that came through it."""

    def __init__(self, channel: "AbstractChannel") -> None:
        self.channel = channel
        self.queue = ""
        self._arrival: asyncio.Future[DeliveredMessage] = channel.create_future()

    async def take(self, message: "DeliveredMessage") -> None:
        """Keep a message for who asks for the next one."""
        if not self._arrival.done():
            self._arrival.set_result(message)

    async def next(self) -> "DeliveredMessage":
        """Return the next message; fails when the channel ends."""
        message = await self._arrival
        self._arrival = self.channel.create_future()
        return message


async def open_mailbox(link: Link) -> Mailbox:
    """Return a new private queue, which ends with the connection."""
    mailbox = Mailbox(await link.connection.channel(publisher_confirms=False))
    declared = await mailbox.channel.queue_declare(
        exclusive=True, auto_delete=True, arguments=MAILBOX_ARGUMENTS
    )
    mailbox.queue = declared.queue or ""
    await mailbox.channel.basic_consume(mailbox.queue, mailbox.take)
    return mailbox


async def has_queue(channel: "AbstractChannel", name: str) -> bool:
    """Whether a queue exists; the broker closes the channel if it does not."""
    return await _exists(channel.queue_declare(name, passive=True))


async def has_exchange(channel: "AbstractChannel", name: str) -> bool:
    """Whether an exchange exists; the broker closes the channel if it does not."""
    return await _exists(channel.exchange_declare(name, passive=True))


async def _exists(looking_up: Awaitable[object]) -> bool:
    try:
        await looking_up
    except aiormq.ChannelNotFoundEntity:
        return False
    return True


check_type = CheckType(
    config=RabbitmqConfig,
    build=RabbitmqCheck,
    drivers=(aiormq,),
    holds_connection=True,
    permanent=frozenset({Reason.AUTH, Reason.FORBIDDEN, Reason.TLS}),
)
