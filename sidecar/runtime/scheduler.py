"""When checks run: one supervised loop per check, their runs paced, never two runs of one check at once."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Never

from sidecar.config.check import CheckConfig, CheckType
from sidecar.core.state import next_delay
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.imports import Imports
from sidecar.runtime.pacer import Pacer
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.runner import CANCEL_GRACE, Runner
from sidecar.support.driver import Driver

JITTER: Final = 0.1
"""Share by which every delay varies, so that a thousand pods do not step in time."""
LOSS_SPREAD: Final = 0.5
"""Seconds within which the pods of a fleet come back with a run after they all lost one server."""
LOSS_SPACING: Final = 1.0
"""Seconds from a run to the next that a loss may cause: some servers close after every answer."""


def vary(delay: float, dice: Random) -> float:
    """Return `delay`, give or take a tenth."""
    return delay * dice.uniform(1 - JITTER, 1 + JITTER)


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
        self._config = config
        self._runner = runner
        self._shared = shared

    async def run_forever(self, first_delay: float) -> Never:
        """Begin after `first_delay` seconds, and end only when cancelled."""
        await self._sleep(first_delay)
        while True:
            await self._run_once()

    async def _run_once(self) -> None:
        self._expect_within(2 * (self._config.timeout + CANCEL_GRACE))
        result = await self._runner.run()
        state = self._shared.board.record(self._config.name, result)
        delay = next_delay(
            state, interval=self._config.interval, failure_threshold=self._config.failure_threshold
        )
        await self._pause(vary(delay, self._shared.dice))

    async def _pause(self, delay: float) -> None:
        """Wait until it is time, or until shortly after the connection was lost: a loss is a question."""
        began = self._shared.clock.monotonic()
        self._expect_within(delay)
        if not await self._runner.lost_within(delay):
            return
        passed = self._shared.clock.monotonic() - began
        spread = self._shared.dice.uniform(0, LOSS_SPREAD)
        await self._sleep(min(max(spread, LOSS_SPACING - passed), delay - passed))

    async def _sleep(self, seconds: float) -> None:
        self._expect_within(seconds)
        await asyncio.sleep(seconds)

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
        self._loops: dict[str, tuple[asyncio.Task[Never], Runner]] = {}
        self._imports = Imports()

    def start(self, configs: Sequence[CheckConfig]) -> None:
        """Start a loop for each check."""
        for config in configs:
            self._start_loop(config)

    async def aclose(self) -> None:
        """Stop every loop and close every check, side by side, within 1.3 seconds."""
        loops = list(self._loops.values())
        for task, _ in loops:
            task.cancel()
        await asyncio.gather(*(task for task, _ in loops), return_exceptions=True)
        await asyncio.gather(*(runner.aclose() for _, runner in loops))
        await self._imports.aclose()
        self._loops.clear()

    def _start_loop(self, config: CheckConfig) -> None:
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
        task = self._group.create_task(
            self._run_loop(loop, check_type.drivers, config.initial_delay), name=f"check:{config.name}"
        )
        self._loops[config.name] = (task, runner)

    async def _run_loop(self, loop: CheckLoop, drivers: Iterable[Driver], first_delay: float) -> Never:
        await self._imports.load(drivers)
        await loop.run_forever(first_delay)
