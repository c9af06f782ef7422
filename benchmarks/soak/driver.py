"""The process that is measured: checks of many types, run together by the real scheduler in compressed time.

Reads an `Order` as JSON from standard input, and writes `Figures` as JSON to standard output.
"""

import asyncio
import gc
import json
import logging
import sys
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from selectors import DefaultSelector
from typing import Any, Final

from benchmarks.soak.memory import Look, Slope, allocated, allocated_slope, resident, resident_slope
from sidecar.app.needs import find_type
from sidecar.checks import InstalledTypes
from sidecar.config.check import CheckConfig
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.source import Source
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
CHECKS: Final[Mapping[str, int]] = {"up": 2, "hung": 4, "flapping": 2, "garbage": 2}
"""How many checks of a type have a target in each state: what hangs runs seldom."""
REHEARSAL: Final = 0.01
"""Share of the runs after which what is made once, and kept, has been made."""
WARM_UP: Final = 0.4
"""Runs before those that are judged, as a share of them: the heap takes its size."""
CLOSES_WITHIN: Final = 1.0
"""Seconds on the wall after which what was closed is gone: sockets are closed some turns later."""
CLOSES_AT_LAST: Final = 3.0
"""Seconds on the wall after which what is not gone was left behind, on a machine however busy."""
INTERNED: Final = 100_000
"""Strings that Python has interned and forgotten before the first look."""
FOREVER: Final = 1e9
"""Seconds of a delay that is not waited for."""
FAREWELL: Final = 0.05
"""Seconds on the wall that what a run closed gets to be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How many runs to judge, with how many looks at the memory, and the targets by type and state."""

    runs: int
    looks: int
    targets: Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds while no check is there."""

    descriptors: int
    tasks: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured."""

    outcomes: Mapping[str, Mapping[str, Mapping[str, int]]]
    """Runs by the type, the state of the target, and the outcome, or the reason of a failure."""
    before: Held
    after: Held
    looks: Sequence[Look]
    """At the memory, from the first run to the last."""
    resident: Slope
    """KiB in 1,000 runs, after the warm-up."""
    allocated: Slope
    """KiB in 1,000 runs, after the warm-up."""


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


class Dice(Random):
    """Spreads the runs as ever, or holds them up: every delay that begins meanwhile lasts for ever."""

    is_holding = False

    def uniform(self, a: float, b: float) -> float:
        """Return a number between two, or one beyond all."""
        return FOREVER if self.is_holding else super().uniform(a, b)


class _Crowd:
    """The checks that are run: counts their runs, and has them rest and go on."""

    def __init__(
        self, checks: Sequence[CheckConfig], dice: Dice, ask_now: Callable[[Iterable[str]], None]
    ) -> None:
        self._names = frozenset(check.name for check in checks)
        self.outcomes: dict[str, dict[str, dict[str, int]]] = {}
        for check in checks:
            self._endings(check.name)
        self.runs = 0
        self._dice = dice
        self._ask_now = ask_now
        self._busy = self._names
        self._ended = asyncio.Event()

    def add(self, check: str, result: Result) -> None:
        """Take the result of a run."""
        endings, ending = self._endings(check), result.reason or result.outcome
        endings[ending] = endings.get(ending, 0) + 1
        self.runs += 1
        self._busy -= {check}
        self._ended.set()

    async def until(self, runs: int) -> None:
        """Wait until there were so many runs, and every check rests after one more."""
        await self._until(lambda: self.runs >= runs)
        self._busy = self._names
        self._dice.is_holding = True
        await self._until(lambda: not self._busy)

    def go_on(self) -> None:
        """Have every check run again, from now on."""
        self._dice.is_holding = False
        self._ask_now(self._names)

    def _endings(self, check: str) -> dict[str, int]:
        state, kind = _subject(check)
        return self.outcomes.setdefault(kind, {}).setdefault(state, {})

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            self._ended.clear()
            await self._ended.wait()


def _named(state: str, kind: str, number: int) -> str:
    return f"{state}-{kind}-{number}"


def _subject(check: str) -> tuple[str, str]:
    """Return the state and the type that a check is named after."""
    state, _, rest = check.partition("-")
    return state, rest.rpartition("-")[0]


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
    _grow_table_of_strings()
    async with _running(config) as rehearsal:
        await rehearsal.until(int(order.runs * REHEARSAL))
    before = await _settled(Held(0, 0, 0), within=CLOSES_WITHIN)
    async with _running(config) as crowd:
        looks = await _looks(crowd, order)
    judged = looks[-order.looks :]
    return Figures(
        outcomes=crowd.outcomes,
        before=before,
        after=await _settled(before, within=CLOSES_AT_LAST),
        looks=looks,
        resident=resident_slope(judged),
        allocated=allocated_slope(judged),
    )


def _grow_table_of_strings() -> None:
    """Have Python's table of interned strings take the size that it takes once, after enough strings."""
    for number in range(INTERNED):
        sys.intern(f"string {number}")


def _configured(order: Order) -> Config:
    checks = [
        {"interval": "1s", "gates": "none", **keys, "name": _named(state, kind, number)}
        for kind, states in order.targets.items()
        for state, keys in states.items()
        for number in range(CHECKS[state])
    ]
    source = Source("soak", json.dumps({"ungated": True, "checks": checks}).encode())
    return load(source, InstalledTypes(), {})


@asynccontextmanager
async def _running(config: Config) -> AsyncIterator[_Crowd]:
    """Run the checks as the server does until the end of the block."""
    clock = Clock(monotonic=asyncio.get_running_loop().time)
    board = Board(config.checks, started_at=clock.monotonic(), startup_deadline=300.0)
    board.subscribe(log_event)
    dice = Dice()
    async with asyncio.TaskGroup() as group:
        scheduler = Scheduler(
            group,
            Surroundings(board=board, pulse=Pulse(clock), clock=clock, dice=dice),
            find=partial(find_type, InstalledTypes()),
            redact=Redactor(config.secrets),
        )
        crowd = _Crowd(config.checks, dice, scheduler.ask_now)
        board.subscribe_results(crowd.add)
        scheduler.start(config.checks)
        try:
            yield crowd
        finally:
            await scheduler.aclose()


async def _looks(crowd: _Crowd, order: Order) -> list[Look]:
    """Look at the memory so often in so many runs, and as often in the warm-up before them.

    Every check rests meanwhile: what lives is then the same each time, but for what was left behind.
    """
    count = order.looks + int(order.looks * WARM_UP)
    ran, kept, given = (array("q", [0] * count) for _ in range(3))  # which do not grow themselves
    for look in range(count):
        await crowd.until((look + 1) * order.runs // order.looks)
        await asyncio.sleep(FAREWELL * HASTE)
        ran[look], kept[look], given[look] = crowd.runs, resident(), allocated()
        crowd.go_on()
    return list(map(Look, ran, kept, given))


async def _settled(limit: Held, *, within: float) -> Held:
    """Return what is held once it is within a limit, or has had so many seconds to be."""
    deadline = asyncio.get_running_loop().time() + within * HASTE
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
