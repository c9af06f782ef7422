"""Checks that do as they are told, well or badly, and a clock that is the event loop's."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from types import ModuleType
from typing import Any, Final, NoReturn

from sidecar.config.check import CheckConfig, CheckType
from sidecar.core.check import Check, CheckFailed, Reason
from sidecar.core.state import Status
from sidecar.core.verdict import Gate
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.runner import Runner
from sidecar.runtime.scheduler import Scheduler, Surroundings
from sidecar.support.driver import Driver

EPOCH: Final = 1_800_000_000.0

Act = Callable[[], Awaitable[Any]]


def loop_clock() -> Clock:
    """Return a clock that shows the running loop's time, which tests compact."""
    loop = asyncio.get_running_loop()
    return Clock(monotonic=loop.time, wall=lambda: EPOCH + loop.time())


def now() -> float:
    """Return the running loop's time, without the last digits of floating point."""
    return round(asyncio.get_running_loop().time(), 5)


@dataclass(eq=False)
class FakeCheck:
    """Acts as told; notes when it was run and how often it was closed."""

    act: Act
    close: Act = field(default_factory=lambda: nothing)
    began: list[float] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    closed: int = 0

    async def run(self) -> str | None:
        self.began.append(now())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer: str | None = await self.act()
            return answer
        finally:
            self.at_once -= 1

    async def aclose(self) -> None:
        self.closed += 1
        await self.close()


@dataclass(eq=False)
class HoldingCheck(FakeCheck):
    """Holds a connection, whose loss is what `lose` waits for."""

    lose: Act = field(default_factory=lambda: for_ever)
    connections_opened: int = 0

    async def lost(self) -> None:
        await self.lose()


async def nothing() -> None:
    """Succeed at once."""


async def for_ever() -> None:
    """Answer never, and end when cancelled."""
    await asyncio.get_running_loop().create_future()


async def refused() -> NoReturn:
    raise CheckFailed(Reason.REFUSED, "db:5432 refused the connection")


def raising(error: BaseException) -> Act:
    """Return an act that raises `error`."""

    async def act() -> NoReturn:
        raise error

    return act


def taking(seconds: float) -> Act:
    """Return an act that succeeds after so many seconds."""

    async def act() -> None:
        await asyncio.sleep(seconds)

    return act


def cleaning_up_for(seconds: float) -> Act:
    """Return an act that never answers, and takes so many seconds to end when cancelled."""

    async def act() -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(seconds)

    return act


@dataclass(eq=False)
class Stubborn:
    """An act that ignores every cancellation until it is released."""

    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> None:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue


def in_turn(*acts: Act) -> Act:
    """Return an act that is another one each time; the last one is repeated."""
    left = list(acts)

    async def act() -> Any:
        return await (left.pop(0) if len(left) > 1 else left[0])()

    return act


@asynccontextmanager
async def stubborn() -> AsyncIterator[Stubborn]:
    """Yield an act that ignores cancellation; it and its task end with the block."""
    act = Stubborn()
    try:
        yield act
    finally:
        act.released.set()
        await asyncio.sleep(0)


def runner_of(check: Check, *, timeout: float = 2.0, **options: Any) -> Runner:
    """Return a runner of a check of `db:5432`."""
    return Runner(check, name="db", target="db:5432", timeout=timeout, clock=loop_clock(), **options)


def config(name: str = "db", **keys: Any) -> CheckConfig:
    """Return the configuration of a check that gates readiness."""
    return CheckConfig(name=name, type="fake", **{"gates": frozenset({Gate.READINESS}), **keys})


@dataclass(frozen=True)
class FakeTypes:
    """Builds for each configured check the one that a test made."""

    checks: Mapping[str, Check]
    drivers: Mapping[str, Sequence[Driver]] = field(default_factory=dict)
    """By the name of the check."""

    def __call__(self, wanted: CheckConfig) -> CheckType[CheckConfig]:
        return CheckType(
            config=CheckConfig,
            build=lambda built: self.checks[built.name],
            drivers=tuple(self.drivers.get(wanted.name, ())),
        )


@dataclass
class LoadedDie(Random):
    """Falls on the same share of every range: on the middle one unless told."""

    share: float = 0.5

    def uniform(self, a: float, b: float) -> float:
        return a + self.share * (b - a)


class FakeDriver(Driver):
    """A driver whose import does as it is told, and notes the threads that it ran in."""

    def __init__(self, name: str, load: Callable[[], object] = str) -> None:
        super().__init__(name, extra="redis")
        self.threads: list[str] = []
        self._act = load

    def load(self) -> ModuleType:
        self.threads.append(threading.current_thread().name)
        self._act()
        return sys


@dataclass
class Stage:
    """Scheduled checks, the board that they write, and what their loops promised."""

    board: Board
    pulse: Pulse
    scheduler: Scheduler

    def statuses(self) -> dict[str, Status]:
        return {entry.config.name: entry.state.status for entry in self.board.entries()}


@asynccontextmanager
async def scheduled(
    checks: Mapping[str, Check],
    *,
    configs: Sequence[CheckConfig] = (),
    drivers: Mapping[str, Sequence[Driver]] | None = None,
    share: float = 0.5,
    redact: Callable[[str], str] = str,
) -> AsyncIterator[Stage]:
    """Run checks as the server does until the end of the block; by default with a default configuration."""
    chosen = configs or [config(name) for name in checks]
    clock = loop_clock()
    board = Board(chosen, started_at=clock.monotonic(), startup_deadline=300.0)
    pulse = Pulse(clock)
    async with asyncio.TaskGroup() as group:
        scheduler = Scheduler(
            group,
            Surroundings(board=board, pulse=pulse, clock=clock, dice=LoadedDie(share)),
            find=FakeTypes(checks, drivers or {}),
            redact=redact,
        )
        scheduler.start(chosen)
        try:
            yield Stage(board, pulse, scheduler)
        finally:
            await scheduler.aclose()
