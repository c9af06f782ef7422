"""What a broker's management API says of its objects, as frozen values; and where a message goes. Pure.

A statistic that is missing is None, never nought: the broker answers without any when they are switched off,
and in the first seconds of an object's life.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard, TypeVar

from sidecar.core.check import CheckFailed, Reason

DEFAULT_EXCHANGE: Final = "amq.default"
"""How the API and the permissions call the exchange whose name is empty."""
T = TypeVar("T")

Arguments = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stands for a fact that could not be had, and says why."""

    reason: Reason
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An exchange, as it was declared."""

    COLUMNS = ("name", "type", "durable", "auto_delete", "internal", "arguments", "policy")

    name: str
    type: str = "direct"
    durable: bool = True
    auto_delete: bool = False
    internal: bool = False
    arguments: Arguments = field(default_factory=dict)
    has_policy: bool = False
    """Whether a policy adds to it; what it adds is not told."""

    @classmethod
    def read(cls, answer: Any) -> "Exchange":
        """Return what the API says of an exchange."""
        return cls(
            name=take(answer, "name", str),
            type=take(answer, "type", str),
            durable=take(answer, "durable", bool),
            auto_delete=take(answer, "auto_delete", bool),
            internal=take(answer, "internal", bool),
            arguments=_arguments(answer),
            has_policy=isinstance(answer.get("policy"), str),
        )

    @property
    def alternate(self) -> str | None:
        """The exchange that gets what this one cannot route, by its arguments."""
        name = self.arguments.get("alternate-exchange")
        return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What leads from an exchange to a queue, or to another exchange."""

    COLUMNS = ("destination", "destination_type", "routing_key", "arguments")

    destination: str
    is_to_queue: bool = True
    routing_key: str = ""
    arguments: Arguments = field(default_factory=dict)

    @classmethod
    def read(cls, answer: Any) -> "Binding":
        """Return what the API says of a binding."""
        return cls(
            destination=take(answer, "destination", str),
            is_to_queue=take(answer, "destination_type", str) == "queue",
            routing_key=take(answer, "routing_key", str),
            arguments=_arguments(answer),
        )

    def takes(self, kind: str, routing_keys: Collection[str] | None) -> bool:
        """Whether messages go this way from an exchange of that type, with any of these routing keys.

        Without routing keys: whether any message may. So it is with types that do not route by them.
        """
        if routing_keys is None or kind not in ("direct", "topic"):
            return True
        if kind == "direct":
            return self.routing_key in routing_keys
        return any(matches(self.routing_key, each) for each in routing_keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A consumer of a queue: its connection's name is the broker's, `address:port -> address:port`."""

    COLUMNS = (
        "consumer_details.consumer_tag",
        "consumer_details.ack_required",
        "consumer_details.prefetch_count",
        "consumer_details.channel_details.connection_name",
        "consumer_details.channel_details.peer_host",
    )

    tag: str
    acks: bool = True
    prefetch: int = 0
    connection: str = ""
    peer: str = ""

    @classmethod
    def read(cls, answer: Any) -> "Consumer":
        """Return what the API says of a consumer; one whose channel just went away has no connection."""
        channel = answer.get("channel_details") if isinstance(answer, dict) else None
        channel = channel if isinstance(channel, dict) else {}
        return cls(
            tag=take(answer, "consumer_tag", str),
            acks=take(answer, "ack_required", bool),
            prefetch=take(answer, "prefetch_count", int),
            connection=str(channel.get("connection_name", "")),
            peer=str(channel.get("peer_host", "")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What the broker counts of a queue, some seconds ago."""

    COLUMNS = (
        "messages",
        "messages_ready",
        "messages_unacknowledged",
        "messages_persistent",
        "message_stats.deliver_no_ack",
    )

    messages: int
    ready: int
    unacked: int
    persistent: int | None = None
    """None where the broker does not count them: of streams, which keep everything on disk."""
    without_ack: int = 0
    """Messages delivered to consumers that do not acknowledge, since the broker began to count."""
    consumers: tuple[Consumer, ...] | None = None
    """None where they were not asked for."""

    @classmethod
    def read(cls, answer: Any) -> "Statistics | None":
        """Return what the API says of a queue's traffic; None if it has no statistics of it."""
        if not isinstance(answer.get("messages"), int):
            return None
        consumers = answer.get("consumer_details")
        persistent = answer.get("messages_persistent")
        return cls(
            messages=answer["messages"],
            ready=take(answer, "messages_ready", int),
            unacked=take(answer, "messages_unacknowledged", int),
            persistent=persistent if isinstance(persistent, int) else None,
            without_ack=count(answer, "deliver_no_ack"),
            consumers=tuple(map(Consumer.read, consumers)) if isinstance(consumers, list) else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue as it was declared, its effective policy, and its statistics."""

    COLUMNS = (
        *("name", "durable", "auto_delete", "exclusive", "type", "arguments"),
        *("effective_policy_definition", *Statistics.COLUMNS),
    )

    name: str
    durable: bool = True
    auto_delete: bool = False
    exclusive: bool = False
    type: str = "classic"
    arguments: Arguments = field(default_factory=dict)
    policy: Arguments | None = field(default_factory=dict)
    """Policy and operator policy, as they are in effect; None where that is not known."""
    statistics: Statistics | None = None

    @classmethod
    def read(cls, answer: Any) -> "Queue":
        """Return what the API says of a queue; before statistics there is no word of its policy either."""
        policy = answer.get("effective_policy_definition") if isinstance(answer, dict) else None
        return cls(
            name=take(answer, "name", str),
            durable=take(answer, "durable", bool),
            auto_delete=take(answer, "auto_delete", bool),
            exclusive=take(answer, "exclusive", bool),
            type=take(answer, "type", str),
            arguments=_arguments(answer),
            policy=None if policy is None else _mapping(policy),
            statistics=Statistics.read(answer),
        )

    def effective(self, argument: str) -> object:
        """Return what is in effect of an argument such as `x-max-length`, by declaration or by policy.

        None if neither says anything. Of two numbers the lower one counts, else the queue's own
        (rabbitmq.com/docs/parameters, "How Policies Work with Arguments").
        """
        own, policy = self.arguments.get(argument), (self.policy or {}).get(argument.removeprefix("x-"))
        if _is_number(own) and _is_number(policy):
            return min(own, policy)
        return policy if own is None else own

    def is_settled(self, argument: str) -> bool:
        """Whether `effective` tells all: an unknown policy may set what is not, and lower a number."""
        own = self.arguments.get(argument)
        return self.policy is not None or (own is not None and not _is_number(own))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """Where a queue's dead letters go."""

    exchange: str
    found: Exchange | None
    """None if there is no such exchange."""
    queues: tuple[Queue, ...] = ()
    """Queues that they reach, the queue itself left out; none behind the first durable one was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Messages that were published in the virtual host, since the broker began to count."""

    COLUMNS = (
        *("name", "message_stats.publish"),
        *("message_stats.return_unroutable", "message_stats.drop_unroutable"),
    )

    published: int
    unroutable: int

    @classmethod
    def read(cls, answer: Any) -> "Traffic":
        """Return what the API says of a virtual host; one without traffic has no numbers."""
        return cls(
            published=count(answer, "publish"),
            unroutable=count(answer, "return_unroutable") + count(answer, "drop_unroutable"),
        )

    def since(self, before: "Traffic | None") -> "Traffic":
        """Return what came after `before`; all of it, where the broker began to count anew meanwhile."""
        if before is None or self.published < before.published or self.unroutable < before.unroutable:
            return self
        return Traffic(
            published=self.published - before.published, unroutable=self.unroutable - before.unroutable
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What tells this pod's own consumers from others."""

    addresses: frozenset[str] = frozenset()
    """The pod's addresses, as the broker sees them."""
    connections: frozenset[str] | Unknown = frozenset()
    """The broker's names of the connections that carry the configured name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that one visit found out."""

    vhost: str = "/"
    alarm: str | Unknown | None = None
    """Why the broker takes no messages; None if it takes them."""
    exchanges: Mapping[str, Exchange | Unknown | None] = field(default_factory=dict)
    """By name; None is one that does not exist."""
    queues: Mapping[str, Queue | Unknown | None] = field(default_factory=dict)
    """The same of queues."""
    bindings: Mapping[tuple[str, str], tuple[Binding, ...] | Unknown] = field(default_factory=dict)
    """From an exchange to a queue."""
    dead_letters: Mapping[str, DeadLetters | Unknown] = field(default_factory=dict)
    """By queue; of a queue that names no exchange for them there is no entry."""
    traffic: Traffic | Unknown | None = None
    """None where the broker has no statistics, or nobody asked."""
    ours: Ours = Ours()

    def known_queues(self, names: Iterable[str]) -> Iterator[Queue]:
        """Yield those of the named queues that are there and could be seen."""
        for name in names:
            queue = self.queues.get(name)
            if isinstance(queue, Queue):
                yield queue


def matches(pattern: str, routing_key: str) -> bool:
    """Whether a topic exchange's binding takes a routing key: `*` is one word, `#` any number of them.

    A routing key that is itself a pattern is taken by that very pattern.
    """
    words = _words(routing_key)
    ends = {0}
    """How many words the pattern can have taken so far."""
    for part in _words(pattern):
        if part == "#":
            ends = set(range(min(ends), len(words) + 1)) if ends else ends
        else:
            ends = {end + 1 for end in ends if end < len(words) and part in ("*", words[end])}
    return len(words) in ends


def _words(key: str) -> list[str]:
    return key.split(".") if key else []


def take(answer: Any, key: str, kind: type[T]) -> T:
    """Return a value of an answer.

    Raises:
        CheckFailed: it is not there, or of another kind; what answers is no management API that we know.
    """
    value = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(value, kind):
        raise CheckFailed(
            Reason.PROTOCOL, f"the management API answered without the {key} that it should have"
        )
    return value


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _arguments(answer: Any) -> Arguments:
    return _mapping(answer.get("arguments"))


def _mapping(value: Any) -> Arguments:
    """Return a mapping; Erlang's JSON writes an empty one as a list at times."""
    return value if isinstance(value, dict) else {}


def count(answer: Any, key: str) -> int:
    """Return a number of an answer's `message_stats`, which has only those that are not nought."""
    numbers = answer.get("message_stats") if isinstance(answer, dict) else None
    number = numbers.get(key, 0) if isinstance(numbers, dict) else 0
    return number if isinstance(number, int) else 0
