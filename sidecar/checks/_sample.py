"""Where copies of messages may be looked at without harm, and what they show. Pure.

A private queue bound beside another one gets a copy of each message only on an exchange that copies; other
types hand each message to one of their queues. Where the exchange has an alternate one our binding could
keep a message from it, should the other binding go meanwhile.
"""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.checks._behaviour import ON_DISK
from sidecar.checks._broker import DEFAULT_EXCHANGE, Binding, Exchange, Facts, Queue, Unknown
from sidecar.checks._contract import BindingConfig, Contract
from sidecar.checks._findings import Rule, judged, unverifiable
from sidecar.checks._topology import is_wanted
from sidecar.core.finding import Finding, Standing
from sidecar.core.sample import Identifier, Message, Sample

COPYING: Final = ("direct", "fanout", "topic")
"""Types of exchanges that give every queue that is bound a copy of its own."""


@dataclass(frozen=True, slots=True)
class Way:
    """A binding of production's, verified, beside which a private queue may be bound."""

    exchange: str
    routing_key: str
    queue: str
    keeps_all: bool = False
    """Whether the queue keeps messages on disk that were not published as persistent."""

    def __str__(self) -> str:
        return f"from exchange {self.exchange} to queue {self.queue}"


def ways(contract: Contract, facts: Facts) -> Iterator[Way | Finding]:
    """Yield for each wanted binding the way to look at, or why it may not be looked at."""
    if not contract.bindings:
        yield unverifiable(Rule.SAMPLE, "no binding is listed beside which messages could be looked at")
    for wanted in contract.bindings:
        found = _way(wanted, facts)
        if isinstance(found, Way):
            yield found
        else:
            subject = f"messages from exchange {wanted.exchange} to queue {wanted.queue}"
            yield unverifiable(Rule.SAMPLE, f"{subject} are not looked at: {found}")


def _way(wanted: BindingConfig, facts: Facts) -> Way | str:
    """Return the way, or why there is none."""
    exchange = facts.exchanges[wanted.exchange]
    if not isinstance(exchange, Exchange):
        return exchange.why if isinstance(exchange, Unknown) else "the exchange does not exist"
    bindings = facts.bindings[wanted.exchange, wanted.queue]
    if isinstance(bindings, Unknown):
        return bindings.why
    why = _why_not(exchange)
    if why:
        return why
    beside = [each for each in bindings if is_wanted(each, wanted, exchange)]
    return _beside(beside[0], wanted, facts) if beside else "the queue is not bound so"


def _why_not(exchange: Exchange) -> str | None:
    """Return why no queue may be bound to an exchange in order to look."""
    if exchange.name in ("", DEFAULT_EXCHANGE):
        return "nothing can be bound to the default exchange"
    if exchange.type not in COPYING:
        return f"another queue on an exchange of type {exchange.type} could take messages away"
    if exchange.alternate is not None:
        return f"it has the alternate exchange {exchange.alternate}, which another binding could starve"
    if exchange.has_policy:
        return "a policy may give it an alternate exchange, which another binding could starve"
    return None


def _beside(binding: Binding, wanted: BindingConfig, facts: Facts) -> Way:
    queue = facts.queues.get(wanted.queue)
    keeps_all = isinstance(queue, Queue) and queue.type in ON_DISK
    return Way(wanted.exchange, binding.routing_key, wanted.queue, keeps_all)


class Tally:
    """Counts messages, and forgets them: of identifiers it keeps hashes, with a key that never leaves it."""

    def __init__(self, identifier: Identifier) -> None:
        self.seen = 0
        self.transient = 0
        self.nameless = 0
        self._identifier = identifier
        self._key = secrets.token_bytes(32)
        self._hashes: set[bytes] = set()

    @property
    def repeated(self) -> int:
        """How many had an identifier that one before them had."""
        return self.seen - self.nameless - len(self._hashes)

    def take(self, message: Message) -> None:
        """Count a message."""
        self.seen += 1
        self.transient += not message.is_persistent
        identifier = self._identifier.of(message)
        if identifier is None:
            self.nameless += 1
        else:
            self._hashes.add(hashlib.blake2b(identifier, key=self._key, digest_size=16).digest())


def judge_sample(way: Way, tally: Tally, wanted: Sample) -> Sequence[Finding]:
    """Return what the messages of one way show."""
    if not tally.seen:
        return [
            unverifiable(
                Rule.SAMPLE,
                f"no message went {way} within {wanted.seconds:g}s: "
                "neither persistence nor identifiers can be verified",
            )
        ]
    return [_persistence(way, tally), *_identity(way, tally, wanted.identifier)]


def _persistence(way: Way, tally: Tally) -> Finding:
    if way.keeps_all:
        return Finding(Rule.MESSAGES, Standing.HELD, f"queue {way.queue} keeps every message on disk")
    return judged(
        Rule.MESSAGES,
        not tally.transient,
        held=f"each of {_messages(tally)} {way} is persistent",
        violated=f"{tally.transient} of {_messages(tally)} {way} would not survive a restart of the broker",
    )


def _identity(way: Way, tally: Tally, identifier: Identifier) -> Iterator[Finding]:
    yield judged(
        Rule.IDENTIFIER,
        not tally.nameless,
        held=f"each of {_messages(tally)} {way} has a {identifier}",
        violated=f"{tally.nameless} of {_messages(tally)} {way} had no {identifier}",
    )
    if tally.seen - tally.nameless > 1:
        yield judged(
            Rule.IDENTIFIER,
            not tally.repeated,
            held=f"no two of {_messages(tally)} {way} have the same {identifier}",
            violated=f"{tally.repeated} of {_messages(tally)} {way} repeated the {identifier} of another",
        )


def _messages(tally: Tally) -> str:
    return f"{tally.seen} message" if tally.seen == 1 else f"{tally.seen} messages"
