"""Processes of a deploy in compressed time: a board each, one store, services that remember and misbehave."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from sidecar.core.announcement import Announcement, Origin
from sidecar.core.check import Reason
from sidecar.core.deploy import Deploy, DeployEvent, Plan, Process, Receipt, Record
from sidecar.core.result import Outcome, Result
from sidecar.core.verdict import Gate
from sidecar.deploys._service import DeliveryError, Send
from sidecar.deploys.claims.claim import Claim, ClaimError, Held
from sidecar.deploys.claims.memory import MemoryClaim
from sidecar.deploys.tracking import Surroundings, Tracking, Watch
from sidecar.runtime.board import Board
from tests.deploys.records import DEPLOY
from tests.runtime.fakes import EPOCH, config, for_ever, loop_clock, now

SLOWEST = 1e9
"""Seconds between two runs: nothing goes stale."""

Step = Callable[[str], Awaitable[None]]
"""Called before and after whatever a process does to the world outside, with what that is."""


async def carry_on(_what: str) -> None:
    """Let everything happen."""


@dataclass
class Service:
    """Takes announcements; fails with the next of `errors` as long as there are any, or hangs."""

    errors: list[DeliveryError] = field(default_factory=list)
    takes: float = 0.0
    """Seconds for one announcement."""
    hangs: bool = False
    told: list[Announcement] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    """What it was given with each announcement."""
    attempts: list[float] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def events(self) -> list[str]:
        """The events that it was told of, in order."""
        return [str(each.event) for each in self.told]

    async def tell(self, announcement: Announcement, receipt: Receipt, _send: Send) -> Receipt:
        self.attempts.append(now())
        if self.hangs:
            await for_ever()
        await asyncio.sleep(self.takes)
        if self.errors:
            raise self.errors.pop(0)
        self.told.append(announcement)
        self.receipts.append(receipt)
        return {"number": str(next(self._numbers))}


@dataclass
class KnowingService(Service):
    """One that can be asked what it was told."""

    async def find(self, announcement: Announcement, _send: Send) -> Receipt | None:
        there = any(each.key == announcement.key for each in self.told)
        return {"number": "found"} if there else None


@dataclass
class Store:
    """A store that all processes share; silent, or refusing, when told."""

    claim: MemoryClaim = field(default_factory=lambda: MemoryClaim(DEPLOY))
    is_silent: bool = False
    refuses: bool = False

    async def record(self) -> Record:
        """Return what it holds."""
        held = await self.claim.read()
        assert held is not None
        return held.record


@dataclass
class SteppingClaim:
    """One process's way to the store, through `step`."""

    store: Store
    step: Step

    async def identify(self) -> Deploy:
        return await self.store.claim.identify()

    async def read(self) -> Held | None:
        await self._ask("read")
        return await self.store.claim.read()

    async def create(self, record: Record) -> bool:
        await self._ask("create")
        done = await self.store.claim.create(record)
        await self.step("created")
        return done

    async def replace(self, record: Record, held: Held) -> bool:
        await self._ask("replace")
        done = await self.store.claim.replace(record, held)
        await self.step("replaced")
        return done

    async def renew(self) -> None:
        await self._ask("renew")

    async def _ask(self, what: str) -> None:
        await self.step(what)
        if self.store.is_silent:
            await for_ever()
        if self.store.refuses:
            raise ClaimError("refused")


@dataclass
class SteppingService:
    """One process's way to a service, through `step`."""

    name: str
    service: Service
    step: Step

    async def tell(self, announcement: Announcement, receipt: Receipt, send: Send) -> Receipt:
        await self.step(f"{self.name} is told {announcement.event}")
        told = await self.service.tell(announcement, receipt, send)
        await self.step(f"{self.name} was told {announcement.event}")
        return told


@dataclass
class FindingService(SteppingService):
    """The same, to a service that can be asked."""

    service: KnowingService

    async def find(self, announcement: Announcement, send: Send) -> Receipt | None:
        await self.step(f"{self.name} is asked for {announcement.event}")
        return await self.service.find(announcement, send)


@dataclass(eq=False)
class Replica:
    """One process: its board, and the loops that follow its deploy."""

    name: str
    board: Board
    tracking: Tracking
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def start(self) -> "Replica":
        self.tasks = [asyncio.create_task(work, name=name) for name, work in self.tracking.loops()]
        return self

    def say(self, reason: Reason | None = None, message: str = "") -> None:
        """Have its check say something."""
        self.board.record(
            "db",
            Result(
                outcome=Outcome.FAILURE if reason else Outcome.SUCCESS,
                finished_at=now(),
                duration=0.01,
                time=EPOCH + now(),
                reason=reason,
                message=message,
            ),
        )

    def kill(self) -> None:
        """End it at once, as SIGKILL does."""
        for task in self.tasks:
            task.cancel()

    async def stop(self) -> None:
        """End it as SIGTERM does."""
        await self.tracking.aclose()
        self.kill()

    @property
    def outcomes(self) -> Mapping[tuple[str, str], int]:
        """What it counted, by event and outcome."""
        counts: Counter[tuple[str, str]] = Counter()
        for (_, event, outcome), number in self.board.announcements.items():
            counts[event, outcome] += number
        return counts


@dataclass
class World:
    """A deploy: its store, its services, and the processes that there have been."""

    services: Mapping[str, Service]
    store: Store = field(default_factory=Store)
    plan: Plan = field(default_factory=lambda: Plan(deploy=DEPLOY, stable_for=30.0, deadline=600.0))
    replicas: list[Replica] = field(default_factory=list)
    events: Mapping[str, frozenset[DeployEvent]] = field(default_factory=dict)

    def replica(
        self,
        name: str = "",
        *,
        claim: Claim | None = None,
        step: Step = carry_on,
        fail_fast: float | None = None,
        redact: Callable[[str], str] = str,
    ) -> Replica:
        """Start one more process."""
        pod = name or f"builds-{len(self.replicas)}"
        checks = [config("db", gates=frozenset(Gate), interval=SLOWEST, failure_threshold=1)]
        board = Board(checks, started_at=now(), startup_deadline=SLOWEST)
        clock = loop_clock()
        everything = frozenset(DeployEvent)
        audience = {each: self.events.get(each, everything) for each in self.services}
        tracking = Tracking(
            replace(self.plan, audience=audience),
            Process(f"{pod}-{len(self.replicas)}", pod),
            claim=claim or SteppingClaim(self.store, step),
            services={name: _reached(name, service, step) for name, service in self.services.items()},
            origin=Origin(),
            watch=Watch(
                board,
                permanent=lambda _: {Reason.AUTH},
                fail_fast=fail_fast,
                redact=redact,
                clock=clock,
            ),
            surroundings=Surroundings(board=board, clock=clock, draw=lambda low, high: (low + high) / 2),
        )
        self.replicas.append(Replica(pod, board, tracking).start())
        return self.replicas[-1]

    async def end(self) -> None:
        """End every process, and see that none crashed."""
        for each in self.replicas:
            each.kill()
        tasks = [task for each in self.replicas for task in each.tasks]
        if tasks:
            await asyncio.wait(tasks)
        crashes = [task.exception() for task in tasks if not task.cancelled()]
        assert crashes == []


def _reached(name: str, service: Service, step: Step) -> SteppingService:
    if isinstance(service, KnowingService):
        return FindingService(name, service, step)
    return SteppingService(name, service, step)
