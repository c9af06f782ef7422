"""When checks run: one supervised loop per check, their runs paced, never two runs of one check at once."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from random import Random
from typing import Any, Final, Never

from sidecar.config.check import CheckConfig, CheckType
from sidecar.core.state import State, Status, next_delay
from sidecar.runtime.board import Board
from sidecar.runtime.changes import Changes
from sidecar.runtime.clock import Clock
from sidecar.runtime.imports import Imports
from sidecar.runtime.pacer import Pacer
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.runner import CANCEL_GRACE, Runner
from sidecar.support.driver import Driver

SPREAD: Final = 0.2
"""Share of a delay that its end varies by, so that a thousand pods do not step in time."""
LOSS_SPREAD: Final = 0.5
"""Seconds within which the pods of a fleet come back with a run after they all lost one server."""
LOSS_SPACING: Final = 1.0
"""Seconds at least from a run that a loss caused to the next: some servers close after every answer."""


def varied_delay(state: State, *, interval: float, failure_threshold: int, dice: Random) -> float:
    """Return the seconds from the end of a run to the next, give or take a tenth.

    To a retry a fifth is given and nothing taken: so a fleet asks a dependency that is dead, or just back,
    less than twice as often as one that is well.
    """
    delay = next_delay(state, interval=interval, failure_threshold=failure_threshold)
    is_well = state.status is Status.UP and state.last is not None and state.last.is_success
    earliest = 1.0 - SPREAD / 2 if is_well else 1.0
    return delay * dice.uniform(earliest, earliest + SPREAD)


def delay_after_loss(rest: float, since_last: float, dice: Random) -> float:
    """Return the seconds from a loss to the run that it causes.

    `rest` are the seconds to the run that is due in any case, `since_last` those since the last run that a
    loss caused, infinity if none was.
    """
    return min(max(dice.uniform(0, LOSS_SPREAD), LOSS_SPACING - since_last), rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every loop shares."""

    board: Board
    pulse: Pulse
    pacer: Pacer = field(default_factory=Pacer)
    clock: Clock = Clock()
    dice: Random = Random()  # noqa: S311 - spreads load, hides nothing


class CheckLoop:
    """Runs one check for ever: run, record, pause until it is time or the connection is lost."""

    def __init__(self, config: CheckConfig, runner: Runner, shared: Surroundings) -> None:
        self.is_running = False
        """Whether a run is under way."""
        self._is_asked_again = False
        self._asked_for_loss_at = -inf
        """Monotonic second of the last run that a loss caused."""
        self._config = config
        self._runner = runner
        self._shared = shared

    async def run_forever(self, first_delay: float) -> Never:
        """Begin after `first_delay` seconds, and end only when cancelled; can be begun again after that."""
        await self._sleep(first_delay)
        while True:
            await self._pause(await self._run_once())

    def ask_again(self) -> None:
        """Have the next run follow the one that is under way at once."""
        self._is_asked_again = self.is_running

    def adjust(self, config: CheckConfig) -> None:
        """Use the answers as `config` says, from the end of the next run on."""
        self._config = config

    def delay_after(self, state: State) -> float:
        """Return the seconds to the next run of a check in this state."""
        return varied_delay(
            state,
            interval=self._config.interval,
            failure_threshold=self._config.failure_threshold,
            dice=self._shared.dice,
        )

    async def _run_once(self) -> float:
        """Run and record; return the seconds to the next run."""
        self._expect_within(2 * (self._config.timeout + CANCEL_GRACE))
        self._shared.board.plan(self._config.name, None)
        self.is_running = True
        try:
            result = await self._runner.run()
        finally:
            self.is_running = False
        delay = self.delay_after(self._shared.board.record(self._config.name, result))
        if self._is_asked_again:
            self._is_asked_again = False
            return 0.0
        return delay

    async def _pause(self, delay: float) -> None:
        """Wait until it is time, or until shortly after the connection was lost: a loss is a question."""
        began = self._plan_in(delay)
        if not await self._runner.lost_within(delay):
            return
        now = self._shared.clock.monotonic()
        wait = delay_after_loss(began + delay - now, now - self._asked_for_loss_at, self._shared.dice)
        self._asked_for_loss_at = now + wait
        await self._sleep(wait)

    async def _sleep(self, seconds: float) -> None:
        self._plan_in(seconds)
        await asyncio.sleep(seconds)

    def _plan_in(self, seconds: float) -> float:
        """Tell when the next run is due, and promise it; return the monotonic second of now."""
        self._expect_within(seconds)
        now = self._shared.clock.monotonic()
        self._shared.board.plan(self._config.name, now + max(seconds, 0))
        return now

    def _expect_within(self, seconds: float) -> None:
        self._shared.pulse.expect(f"check:{self._config.name}", within=seconds)


class Scheduler:
    """Starts the loops of all checks inside `group`, and closes what they hold.

    `find` returns the type of a configured check; `redact` blots secrets out of messages.
    """

    def __init__(
        self,
        group: asyncio.TaskGroup,
        shared: Surroundings,
        *,
        find: Callable[[CheckConfig], CheckType[Any]],
        redact: Callable[[str], str],
    ) -> None:
        self._group = group
        self._shared = shared
        self._find = find
        self._redact = redact
        self._live: dict[str, _Live] = {}
        self._imports = Imports()

    def start(self, configs: Iterable[CheckConfig]) -> None:
        """Start a loop for each check."""
        for config in configs:
            self._start_one(config)

    def apply(self, configs: Sequence[CheckConfig], changes: Changes) -> None:
        """Have these checks run from now on; what did not change keeps its loop and its connection.

        Nobody waits: what is replaced is stopped and closed beside the others.
        """
        ended = [self._live.pop(name) for name in (*changes.removed, *changes.edited)]
        for name in changes.removed:
            self._shared.pulse.forget(f"check:{name}")
        _cancel(ended)
        if ended:
            self._group.create_task(_close(ended), name="close")
        self.start(config for config in configs if config.name in changes.added | changes.edited)
        for config in configs:
            if config.name in changes.adjusted:
                self._adjust(config)

    def ask_now(self, names: Iterable[str]) -> None:
        """Have a run of these checks begin now; after the one that is under way, if one is."""
        for name in self._live.keys() & set(names):
            loop = self._live[name].loop
            if loop.is_running:
                loop.ask_again()
            else:
                self._begin_anew(name, 0.0)

    async def aclose(self) -> None:
        """Stop every loop and close every check, side by side, within 1.3 seconds."""
        live, self._live = list(self._live.values()), {}
        _cancel(live)
        await _close(live)
        await self._imports.aclose()

    def _start_one(self, config: CheckConfig) -> None:
        check_type = self._find(config)
        runner = Runner(
            check_type.build(config),
            name=config.name,
            target=config.target,
            timeout=config.timeout,
            redact=self._redact,
            pacer=self._shared.pacer,
            clock=self._shared.clock,
        )
        loop = CheckLoop(config, runner, self._shared)
        task = self._begin(config.name, self._run_loop(loop, check_type.drivers, config.initial_delay))
        self._live[config.name] = _Live(loop, runner, check_type.drivers, task)

    def _adjust(self, config: CheckConfig) -> None:
        """Have a loop go on under another configuration; one that pauses begins a new pause."""
        loop = self._live[config.name].loop
        loop.adjust(config)
        if not loop.is_running:
            self._begin_anew(config.name, loop.delay_after(self._shared.board.state(config.name)))

    def _begin_anew(self, name: str, delay: float) -> None:
        """End the pause of a loop, and have its next run begin after so many seconds."""
        live = self._live[name]
        live.task.cancel()
        before = frozenset(task for task in (live.task, *live.before) if not task.done())
        task = self._begin(name, self._run_loop(live.loop, live.drivers, delay, after=before))
        self._live[name] = replace(live, task=task, before=before)

    def _begin(self, name: str, work: Coroutine[Any, Any, Never]) -> asyncio.Task[Never]:
        return self._group.create_task(work, name=f"check:{name}")

    async def _run_loop(
        self,
        loop: CheckLoop,
        drivers: Iterable[Driver],
        first_delay: float,
        *,
        after: Collection[asyncio.Task[Never]] = (),
    ) -> Never:
        """Run a loop for ever, once the tasks that ran it before have ended."""
        if after:
            await asyncio.wait(after)
        del after  # a cancelled task keeps its frames, and each would keep the one before it
        await self._imports.load(drivers)
        await loop.run_forever(first_delay)


@dataclass(frozen=True, slots=True)
class _Live:
    """A check that is being run."""

    loop: CheckLoop
    runner: Runner
    drivers: Sequence[Driver]
    task: asyncio.Task[Never]
    before: Collection[asyncio.Task[Never]] = ()
    """Tasks that ran the loop before, and have still to end."""


def _cancel(checks: Iterable[_Live]) -> None:
    """Have these loops write nothing more on the board, from this moment on."""
    for each in checks:
        each.task.cancel()


async def _close(checks: Sequence[_Live]) -> None:
    """Close what cancelled loops hold, side by side."""
    await asyncio.gather(*(each.task for each in checks), return_exceptions=True)
    await asyncio.gather(*(each.runner.aclose() for each in checks))
