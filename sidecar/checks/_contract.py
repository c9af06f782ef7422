"""What a delivery contract may ask of a broker, as keys of the configuration."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from sidecar.checks._broker import DEFAULT_EXCHANGE
from sidecar.config.check import option
from sidecar.config.fields import Label
from sidecar.config.kinds.number import IntegerKind
from sidecar.config.problems import Mistake, quoted

Number = Annotated[int, IntegerKind()]

OBJECT_LIMIT: Final = 50
"""Exchanges, queues and bindings of one check: each is a request to a broker that many pods ask."""
REQUIRED: Final = "required"


class QueueType(StrEnum):
    """The types of queues that RabbitMQ has."""

    CLASSIC = "classic"
    QUORUM = "quorum"
    STREAM = "stream"


class Unroutable(StrEnum):
    """What is thought of messages that no queue gets."""

    FORBID = "forbid"


@dataclass(frozen=True, kw_only=True)
class ExchangeConfig:
    """An exchange, as it is to be."""

    name: Label = option("Name of the exchange; `amq.default` is the one without a name.")
    type: Label | None = option("Its type, such as topic; any if left out.", default=None)
    durable: bool = option("Whether it outlives a restart of the broker.", default=True)
    auto_delete: bool = option("Whether it goes with its last binding.", default=False)
    internal: bool | None = option(
        "Whether only exchanges publish to it; not asked if left out.", default=None
    )


@dataclass(frozen=True, kw_only=True)
class QueueConfig:
    """A queue, as it is to be."""

    name: Label = option("Name of the queue.")
    durable: bool = option("Whether it outlives a restart of the broker.", default=True)
    auto_delete: bool = option("Whether it goes with its last consumer.", default=False)
    exclusive: bool = option("Whether it belongs to one connection, and goes with it.", default=False)
    type: QueueType | None = option("Its type: classic, quorum or stream; any if left out.", default=None)
    arguments: dict[str, Label] | None = option(
        "Arguments, such as `x-max-length`, each with the value that is in effect, by policy too.",
        default=None,
    )

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        lasts = self.durable and not self.auto_delete and not self.exclusive
        if self.type in (QueueType.QUORUM, QueueType.STREAM) and not lasts:
            yield Mistake(
                f"{self.type} queues are always durable, and neither auto-delete nor exclusive; "
                "remove what says otherwise",
                key="type",
            )


@dataclass(frozen=True, kw_only=True)
class BindingConfig:
    """A way for messages, as it is to be."""

    exchange: Label = option("Exchange that messages are published to.")
    queue: Label = option("Queue that they are to reach from there directly.")
    routing_key: Label | None = option(
        "Routing key that they are published with; any binding will do if left out.", default=None
    )
    arguments: dict[str, Label] | None = option(
        "Arguments of the binding, for exchanges that route by them.", default=None
    )


@dataclass(frozen=True, kw_only=True)
class PrefetchConfig:
    """How many messages a consumer takes before it has acknowledged one."""

    min: Number = option("At least so many.", default=1)
    max: Number | None = option("At most so many; 0, which is no limit, is too many then.", default=None)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if self.max is not None and self.max < max(self.min, 1):
            yield Mistake("is less than min, or nothing at all", key="max")


@dataclass(frozen=True, kw_only=True)
class ConsumersConfig:
    """Who takes messages from each queue."""

    min: Number = option("At least so many consumers.", default=1)
    manual_ack: bool = option("Whether they acknowledge by hand.", default=True)
    prefetch: PrefetchConfig | None = option("Bounds of each consumer's prefetch count.", default=None)


@dataclass(frozen=True, kw_only=True)
class MessagesConfig:
    """The messages in each queue."""

    persistent: bool = option("Whether all of them are persistent.", default=True)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if not self.persistent:
            yield Mistake("asks for nothing; remove messages, or write true", key="persistent")


@dataclass(frozen=True, kw_only=True)
class BacklogConfig:
    """What may wait in each queue."""

    max_ready: Number | None = option("At most so many messages that no consumer has.", default=None)
    max_unacked: Number | None = option("At most so many that are delivered, not acknowledged.", default=None)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if self.max_ready is None and self.max_unacked is None:
            yield Mistake("asks for nothing; write max_ready or max_unacked, or remove it")


@dataclass(frozen=True, kw_only=True)
class OwnConfig:
    """What tells this pod's consumers from those of others; its address if nothing is said."""

    consumer_tag_prefix: Label | None = option(
        "What the tags of this pod's consumers begin with, such as ${HOSTNAME}.", default=None
    )
    connection_name: Label | None = option(
        "Name that this pod gives its connections; to see it the user needs the tag monitoring.",
        default=None,
    )

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if self.consumer_tag_prefix is None and self.connection_name is None:
            yield Mistake("says nothing; write consumer_tag_prefix or connection_name, or remove it")


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What is to hold, so that no message is lost. That the broker takes messages always is."""

    exchanges: tuple[ExchangeConfig, ...] = option("Exchanges, as they are to be.", default=())
    queues: tuple[QueueConfig, ...] = option("Queues, as they are to be.", default=())
    bindings: tuple[BindingConfig, ...] = option("Ways from an exchange to a queue.", default=())
    dead_letter: Label | None = option(
        "The exchange that every listed queue gives its dead letters to, or `required` for any; it exists, "
        "is durable, and leads to another durable queue.",
        default=None,
    )
    consumers: ConsumersConfig | None = option("Consumers of every listed queue.", default=None)
    messages: MessagesConfig | None = option("Messages in every listed queue.", default=None)
    unroutable: Unroutable | None = option(
        "`forbid`: nobody publishes messages that no queue gets, in the whole virtual host.", default=None
    )
    backlog: BacklogConfig | None = option("What may wait in every listed queue.", default=None)
    own: OwnConfig | None = option(
        "What tells this pod's consumers from others; if left out, its address.", default=None
    )
    strict: bool = option(
        "Whether a topology rule that cannot be verified is a failure, instead of a warning.", default=False
    )

    def mistakes(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys of the contract."""
        yield from _twice("exchanges", (each.name for each in self.exchanges))
        yield from _twice("queues", (each.name for each in self.queues))
        if not self.queues:
            for key in ("dead_letter", "consumers", "messages", "backlog"):
                if getattr(self, key) is not None:
                    yield Mistake("is about the queues that the check lists; write some in queues", key=key)
        if self.own is not None and self.consumers is None:
            yield Mistake("has no use without consumers; write it, or remove own", key="own")
        streams = [queue.name for queue in self.queues if queue.type is QueueType.STREAM]
        if self.dead_letter is not None and streams:
            yield Mistake(f"is nothing that a stream has; give {streams[0]} another check", key="dead_letter")
        count = len(self.exchanges) + len(self.queues) + len(self.bindings)
        if count > OBJECT_LIMIT:
            yield Mistake(
                f"has {count} exchanges, queues and bindings, each of them a request; "
                f"write at most {OBJECT_LIMIT}, and more checks"
            )

    def routing_keys(self, queue: str) -> frozenset[str] | None:
        """Return the routing keys that messages for a queue have; None where it is not written."""
        ways = [each for each in self.bindings if each.queue == queue]
        keys = {queue if each.exchange == DEFAULT_EXCHANGE else each.routing_key for each in ways}
        return frozenset(key for key in keys if key is not None) or None


def _twice(key: str, names: Iterable[str]) -> Iterator[Mistake]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Mistake(f"has {quoted(name)} twice; remove one", key=key)
