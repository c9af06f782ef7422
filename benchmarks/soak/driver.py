"""The process that is measured: many checks of one type, run by the real scheduler in compressed time.

Reads an `Order` as JSON from standard input, and writes `Figures` as JSON to standard output.
"""

import asyncio
import gc
import json
import logging
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from selectors import DefaultSelector
from statistics import median
from typing import Any, Final

from sidecar.app.needs import find_type
from sidecar.checks import InstalledTypes
from sidecar.config.check import CheckConfig
from sidecar.config.load import Source, load
from sidecar.config.model import Config
from sidecar.core.result import Result
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.journal import log_event
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.scheduler import Scheduler, Surroundings
from sidecar.support.loop import SidecarLoop
from sidecar.support.text import Redactor

HASTE: Final = 20
"""Seconds of the loop in one of the clock on the wall."""
CHECKS: Final[Mapping[str, int]] = {"up": 4, "hung": 12, "flapping": 6, "garbage": 6}
"""How many checks of a crowd of one have a target in each state: what hangs runs seldom."""
REHEARSAL: Final = 0.05
"""Share of the runs after which what is made once, and kept, has been made."""
WARM_UP: Final = 0.5
"""Share of the runs that come before the memory is looked at."""
SAMPLES: Final = 60
"""How often the memory is looked at."""
SETTLES_WITHIN: Final = 3.0
"""Seconds on the wall that closing may take to be over: sockets are closed some turns later."""
PAGE: Final = 4
"""KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run: so many times in all, the checks of the targets by state, and `crowd` times as many."""

    runs: int
    crowd: int
    targets: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds while no check is there."""

    descriptors: int
    tasks: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured."""

    outcomes: Mapping[str, Mapping[str, int]]
    """Runs by the state of the target and the outcome, or the reason of a failure."""
    before: Held
    after: Held
    rss_slope: float
    """KiB in 1,000 runs."""


class _HastySelector(DefaultSelector):
    """Waits as long as a loop in a hurry wants to."""

    def select(self, timeout: float | None = None) -> list[Any]:
        return super().select(timeout / HASTE if timeout else timeout)


class _HastySelectorLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__(_HastySelector())


class HastyLoop(SidecarLoop, _HastySelectorLoop):
    """The sidecar's loop, whose seconds are short; sockets, processes and threads are real."""

    def time(self) -> float:
        """Return the second of the loop."""
        return super().time() * HASTE


class _Count:
    """Counts runs, and tells when there were enough."""

    def __init__(self, checks: Iterable[CheckConfig]) -> None:
        self.outcomes: dict[str, dict[str, int]] = {_state_of(check.name): {} for check in checks}
        self.runs = 0
        self._wanted = 0
        self._reached = asyncio.Event()

    def add(self, check: str, result: Result) -> None:
        of_state = self.outcomes[_state_of(check)]
        ending = result.reason or result.outcome
        of_state[ending] = of_state.get(ending, 0) + 1
        self.runs += 1
        if self.runs >= self._wanted:
            self._reached.set()

    async def until(self, runs: int) -> None:
        """Wait until there were so many."""
        self._wanted = runs
        self._reached.clear()
        if self.runs < runs:
            await self._reached.wait()


def _state_of(check: str) -> str:
    return check.partition("-")[0]


def main() -> None:
    """Obey the order on standard input."""
    order = Order(**json.load(sys.stdin))
    logging.disable()
    loop = HastyLoop()
    asyncio.set_event_loop(loop)
    figures = loop.run_until_complete(soak(order))
    loop.close()
    json.dump(asdict(figures), sys.stdout)


async def soak(order: Order) -> Figures:
    """Run the checks; measure once what is only made once has been made."""
    config = _configured(order)
    async with _running(config) as rehearsal:
        await rehearsal.until(int(order.runs * REHEARSAL))
    before = await _settled(Held(0, 0, 0))
    async with _running(config) as count:
        slope = await _slope(count, order.runs)
    after = await _settled(before)
    return Figures(outcomes=count.outcomes, before=before, after=after, rss_slope=round(slope, 3))


def _configured(order: Order) -> Config:
    checks = [
        {"interval": "1s", "gates": "none", **keys, "name": f"{state}-{number}"}
        for state, keys in order.targets.items()
        for number in range(order.crowd * CHECKS[state])
    ]
    source = Source("soak", json.dumps({"ungated": True, "checks": checks}).encode())
    return load(source, InstalledTypes(), {})


@asynccontextmanager
async def _running(config: Config) -> AsyncIterator[_Count]:
    """Run the checks as the server does until the end of the block; yield the count of the runs."""
    count = _Count(config.checks)
    clock = Clock(monotonic=asyncio.get_running_loop().time)
    board = Board(config.checks, started_at=clock.monotonic(), startup_deadline=300.0)
    board.subscribe(log_event)
    board.subscribe_results(count.add)
    async with asyncio.TaskGroup() as group:
        scheduler = Scheduler(
            group,
            Surroundings(board=board, pulse=Pulse(clock), clock=clock),
            find=partial(find_type, InstalledTypes()),
            redact=Redactor(config.secrets),
        )
        scheduler.start(config.checks)
        try:
            yield count
        finally:
            await scheduler.aclose()


async def _slope(count: _Count, runs: int) -> float:
    """Return by how many KiB the memory grows in 1,000 of so many runs."""
    points: list[tuple[int, int]] = []
    for sample in range(SAMPLES + 1):
        await count.until(int(runs * (WARM_UP + (1 - WARM_UP) * sample / SAMPLES)))
        gc.collect()
        points.append((count.runs, _resident()))
    return slope(points)


def slope(points: Sequence[tuple[int, int]]) -> float:
    """Return the median slope between any two points, in units of y for 1,000 of x (Theil and Sen).

    A straight line through all of them would follow the few that were taken amid a burst.
    """
    pairs = ((a, b) for index, a in enumerate(points) for b in points[index + 1 :] if b[0] > a[0])
    return median([(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs] or [0.0]) * 1000


def _resident() -> int:
    """Return the resident memory in KiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def _settled(limit: Held) -> Held:
    """Return what is held once it is within a limit, or has had time to be."""
    deadline = asyncio.get_running_loop().time() + SETTLES_WITHIN * HASTE
    while True:
        gc.collect()
        held = Held(_entries("fd"), len(asyncio.all_tasks()), _entries("task"))
        is_within = all(getattr(held, each) <= getattr(limit, each) for each in Held.__slots__)
        if is_within or asyncio.get_running_loop().time() > deadline:
            return held
        await asyncio.sleep(0.1 * HASTE)


def _entries(folder: str) -> int:
    return sum(1 for _ in Path("/proc/self", folder).iterdir())


if __name__ == "__main__":
    main()
