"""A deploy, and what happens to it: the record that all of its processes share, and how it may go on.

A process looks at its own readiness (`Sighting`) and at the record; `step` says what the record becomes.
Who stores the record, and who delivers what it has pending, is for others. Times are seconds since the epoch
where processes share them, and monotonic where they are one process's own.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import blake2b
from math import inf
from typing import Final

LEASE: Final = 30.0
"""Seconds for which the courier of a record is left alone; it renews them while it is alive."""
HOPELESS_AFTER: Final = 60.0
"""Seconds of nothing but one reason that waiting does not cure, after which a deploy has failed."""
CLOCKS_DIFFER: Final = 5.0
"""Seconds that a lease may seem too long: one that ends later was given by a clock that is wrong."""
FAILURES_NAMED: Final = 20
"""Checks that an announcement names; the others are counted."""


class DeployEvent(StrEnum):
    """What can happen to a deploy; the last that did is its phase."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


BAD_NEWS: Final = frozenset({DeployEvent.FAILED, DeployEvent.TIMED_OUT})
MAY_FOLLOW: Final[Mapping[DeployEvent | None, frozenset[DeployEvent]]] = {
    None: frozenset({DeployEvent.STARTED}),
    DeployEvent.STARTED: frozenset({DeployEvent.SUCCEEDED, DeployEvent.FAILED, DeployEvent.TIMED_OUT}),
    DeployEvent.FAILED: frozenset({DeployEvent.SUCCEEDED}),
    DeployEvent.TIMED_OUT: frozenset({DeployEvent.SUCCEEDED}),
    DeployEvent.SUCCEEDED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """A revision reaching an environment: by its `id`, of which the same revision has another each time."""

    service: str
    environment: str
    revision: str
    id: str

    @property
    def key(self) -> str:
        """A short text that is the same for the same deploy, and for no other: lower-case hexadecimal."""
        told = "\0".join((self.service, self.environment, self.id))
        return blake2b(told.encode(), digest_size=10).hexdigest()


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that holds a deploy back, and what it said last; the message has no secret."""

    name: str
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that happened to a deploy, as the process saw it that wrote it down."""

    event: DeployEvent
    time: float
    """Seconds since the epoch."""
    pod: str
    failures: tuple[FailedCheck, ...] = ()
    unnamed: int = 0
    """Failing checks beside those of `failures`."""


class Progress(StrEnum):
    """How far one announcement got."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one service."""

    service: str
    """The name of an element of `deploy.announce`."""
    event: DeployEvent
    progress: Progress = Progress.PENDING


Receipt = Mapping[str, str]
"""What a service answered, so that what it was told can be updated: an identifier, a channel and a time."""
Audience = Mapping[str, frozenset[DeployEvent]]
"""The events that each service wants to hear of, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a deploy: what happened, how far each announcement got, and who delivers."""

    deploy: Deploy
    facts: tuple[Fact, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    """In the order of their events."""
    receipts: Mapping[str, Receipt] = field(default_factory=dict)
    """By service."""
    courier: str = ""
    """The process that delivers what is pending; empty while nobody does."""
    courier_until: float = 0.0
    """Seconds since the epoch from which another process may take over."""

    @property
    def phase(self) -> DeployEvent | None:
        """The last event; None before the first."""
        return self.facts[-1].event if self.facts else None

    @property
    def started_at(self) -> float:
        """Seconds since the epoch at which the first process of the deploy claimed it."""
        return self.facts[0].time if self.facts else 0.0

    @property
    def pending(self) -> tuple[Delivery, ...]:
        """What is to be delivered yet."""
        return tuple(each for each in self.deliveries if each.progress is Progress.PENDING)

    def pending_for(self, services: Collection[str]) -> tuple[Delivery, ...]:
        """Return what is to be delivered yet to these services: another process may know others."""
        return tuple(each for each in self.pending if each.service in services)

    def is_held(self, time: float) -> bool:
        """Whether somebody delivers, at `time` seconds since the epoch."""
        return bool(self.courier) and time < self.courier_until <= time + LEASE + CLOCKS_DIFFER

    def fact(self, event: DeployEvent) -> Fact | None:
        """Return what was written down of an event, if it happened."""
        return next((each for each in self.facts if each.event is event), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A deploy, how long it takes in seconds, and who hears of what."""

    deploy: Deploy
    stable_for: float
    deadline: float
    audience: Audience = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a deploy: its `name`, unlike any other's, and the pod that it is in."""

    name: str
    pod: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one process sees of itself; times are its monotonic seconds."""

    ready_since: float | None = None
    """Since when `/readyz` has passed without a break; None while it does not."""
    hopeless_at: float = inf
    """When what waiting does not cure has lasted for too long; infinity if nothing of that kind fails."""
    failures: tuple[FailedCheck, ...] = ()
    """What holds a probe back now."""
    is_leaving: bool = False
    """Whether it was told to stop: nothing that time brings about is its news any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A process that looks at its deploy: what it sees of itself, and when."""

    process: Process
    sighting: Sighting
    now: float
    """Monotonic seconds."""
    time: float
    """Seconds since the epoch, at the same moment."""
    began_at: float
    """Seconds since the epoch at which the process began."""
    deadline_at: float | None = None
    """Monotonic seconds at which the deploy times out; None for one that has never seen the record."""
    announced: Fact | None = None
    """What it has announced while no store answered."""


def due(record: Record | None, plan: Plan, witness: Witness) -> DeployEvent | None:
    """Return what has happened to a deploy, as one process sees it; None if nothing new has."""
    if record is None or record.phase is None:
        return DeployEvent.STARTED
    return next((event for event, at in _moments(record, plan, witness) if witness.now >= at), None)


def next_moment(record: Record, plan: Plan, witness: Witness) -> float:
    """Return the monotonic second at which time alone makes something `due`; infinity if it does not."""
    return min((at for _, at in _moments(record, plan, witness)), default=inf)


def deadline_at(record: Record, plan: Plan, witness: Witness) -> float:
    """Return the monotonic second at which a deploy times out.

    It counts from the claim, not from the process. Whoever keeps it is not misled by a clock that jumps.
    """
    left = record.started_at + plan.deadline - witness.time
    return witness.now + min(left, plan.deadline)


def step(record: Record | None, plan: Plan, witness: Witness) -> Record:
    """Return what the record becomes when one process looks at it.

    What has happened is written down, if it may follow what is there; and what is pending gets a courier, if
    it has none who is alive and the process can deliver any of it.
    """
    stepped = _with_facts(record, plan, witness)
    if stepped.pending_for(plan.audience) and not stepped.is_held(witness.time):
        until = witness.time + LEASE
        stepped = replace(stepped, courier=witness.process.name, courier_until=until)
    return stepped


def is_foreign(record: Record, plan: Plan) -> bool:
    """Whether a record is about another revision, whose deploy has the same `id`: none of our business."""
    return record.deploy.revision != plan.deploy.revision


def settle(record: Record, delivery: Delivery, progress: Progress, receipt: Receipt) -> Record:
    """Return the record in which a pending delivery got so far; another record if it is not pending there."""
    if replace(delivery, progress=Progress.PENDING) not in record.deliveries:
        return record
    return replace(
        record,
        deliveries=tuple(
            replace(each, progress=progress) if _is_same(each, delivery) else each
            for each in record.deliveries
        ),
        receipts={**record.receipts, delivery.service: receipt} if receipt else record.receipts,
    )


def keep(record: Record, name: str, time: float, services: Collection[str]) -> Record:
    """Renew the lease of the courier `name`; one with nothing left for its `services` is one no more.

    Somebody else's record is returned as it is.
    """
    if record.courier != name:
        return record
    if not record.pending_for(services):
        return release(record, name)
    return replace(record, courier_until=time + LEASE)


def release(record: Record, name: str) -> Record:
    """Let another process deliver at once what the courier `name` leaves behind."""
    return replace(record, courier="", courier_until=0.0) if record.courier == name else record


def is_recovery(record: Record) -> bool:
    """Whether a deploy went live after it was said to have failed."""
    return any(fact.event in BAD_NEWS for fact in record.facts)


def _moments(record: Record, plan: Plan, witness: Witness) -> Iterator[tuple[DeployEvent, float]]:
    """Yield what may happen next and when, in monotonic seconds, the best news first."""
    sighting, possible = witness.sighting, MAY_FOLLOW[record.phase]
    if DeployEvent.SUCCEEDED in possible and sighting.ready_since is not None:
        yield DeployEvent.SUCCEEDED, sighting.ready_since + plan.stable_for
    if sighting.is_leaving:
        return
    if DeployEvent.FAILED in possible:
        yield DeployEvent.FAILED, sighting.hopeless_at
    if DeployEvent.TIMED_OUT in possible:
        known = witness.deadline_at
        yield DeployEvent.TIMED_OUT, deadline_at(record, plan, witness) if known is None else known


def _with_facts(record: Record | None, plan: Plan, witness: Witness) -> Record:
    """Return the record with what has happened since; what was announced without it, as it was announced."""
    announced, event = witness.announced, due(record, plan, witness)
    if record is None:
        started = Fact(event=DeployEvent.STARTED, time=witness.began_at, pod=witness.process.pod)
        begun = Record(deploy=plan.deploy)
        if announced is None:
            return _add(begun, started, plan.audience)
        return _add(_add(begun, started, {}), announced, plan.audience)
    if announced is not None and announced.event in MAY_FOLLOW[record.phase]:
        return _add(record, announced, plan.audience)
    return record if event is None else _add(record, _fact(event, witness), plan.audience)


def _fact(event: DeployEvent, witness: Witness) -> Fact:
    failures = witness.sighting.failures if event in BAD_NEWS else ()
    return Fact(
        event=event,
        time=witness.time,
        pod=witness.process.pod,
        failures=failures[:FAILURES_NAMED],
        unnamed=len(failures[FAILURES_NAMED:]),
    )


def _add(record: Record, fact: Fact, audience: Audience) -> Record:
    """Write a fact down, with a delivery for each service that wants to hear of it."""
    announced = tuple(Delivery(name, fact.event) for name, events in audience.items() if fact.event in events)
    return replace(record, facts=(*record.facts, fact), deliveries=(*record.deliveries, *announced))


def _is_same(one: Delivery, other: Delivery) -> bool:
    return one.service == other.service and one.event is other.event
