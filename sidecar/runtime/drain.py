"""Drains: begun by a stop signal, a POST or a preStop; ended by time, by a DELETE, or with the process."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Final

from sidecar.config.model import DrainConfig, DrainReadyz, NotifyConfig
from sidecar.core.drain import Condition, Drain, Plan, advance, next_moment, unmet
from sidecar.core.result import Result
from sidecar.core.state import Status
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.notify import notify, withdraw
from sidecar.support.text import show_age, show_duration

BEGINS_WITHIN: Final = 2.0
"""Seconds that those who wait for the end of a drain wait for its beginning: preStops race one another."""

log = logging.getLogger("sidecar.drain")


class Ending(StrEnum):
    """What became of a drain that somebody waited for."""

    OVER = "over"
    CANCELLED = "cancelled"
    NONE_BEGAN = "none began"


class StoppingError(Exception):
    """A stop signal has come: the drain ends the process, and nothing can end the drain before it is over."""


@dataclass(slots=True, eq=False)
class _Underway:
    """A drain under way, and those who wait for its end."""

    drain: Drain
    notify: NotifyConfig | None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Drainer:
    """Keeps the drain under way, of which there is one at most, and tells the board.

    Its methods are for the event loop's thread, but for `seconds_left`.
    """

    def __init__(self, board: Board, config: DrainConfig, clock: Clock | None = None) -> None:
        self._board = board
        self._config = config
        self._clock = clock or Clock()
        self._underway: _Underway | None = None
        self._is_stopping = False
        self._is_abandoned = False
        self._began = asyncio.Event()
        self._woken = asyncio.Event()
        self._notifying: asyncio.Task[None] | None = None
        self._ask_now: Callable[[Iterable[str]], object] = tuple
        board.subscribe_results(self._wake_if_awaited)

    def ask_with(self, ask_now: Callable[[Iterable[str]], object]) -> None:
        """Have the checks that a drain waits for asked when it begins, with what takes their names."""
        self._ask_now = ask_now

    def adopt(self, config: DrainConfig) -> None:
        """Drain as `config` says from the next drain on; one under way keeps its clocks."""
        self._config = config

    def seconds_left(self) -> float:
        """Return for how long the drain goes on at most: one that begins now if none is under way."""
        underway = self._underway
        if underway is None:
            return plan_of(self._config).longest
        return max(underway.drain.over_by - self._clock.monotonic(), 0.0)

    def begin(self) -> None:
        """Begin a drain; one that is under way goes on as if nothing had been said."""
        self._begin("a request")

    def stop(self) -> None:
        """Have the drain under way end the process when it is over; begin one if none is."""
        self._is_stopping = True
        self._begin("a stop signal")
        self._woken.set()

    def abandon(self) -> None:
        """Have the process end at once, without a drain."""
        self._is_abandoned = True
        self._began.set()

    def cancel(self) -> bool:
        """End the drain and serve on; return whether one was under way.

        Raises:
            StoppingError: a stop signal has come.
        """
        if self._is_stopping:
            raise StoppingError
        return self._end("a request")

    async def ended(self) -> Ending:
        """Wait until the drain under way is over, or for 2 seconds that one begins; change nothing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(BEGINS_WITHIN):
                await self._began.wait()
        underway = self._underway
        if underway is None:
            return Ending.NONE_BEGAN
        await underway.ended.wait()
        return Ending.OVER if underway.drain.is_over else Ending.CANCELLED

    async def run_until_stopped(self) -> None:
        """See drains through, one after another, until one is over that a stop signal wants to be the last.

        A file that told the app of a drain is removed when the process starts and when a drain leaves it
        serving: the app, or we, may have been restarted in between.
        """
        if self._config.notify is not None and not self._began.is_set():
            await withdraw(self._config.notify)
        while not self._is_abandoned:
            await self._began.wait()
            if self._underway is not None and await self._ends_process(self._underway):
                return

    async def aclose(self) -> None:
        """Give a notification that is still under way the rest of its 2 seconds."""
        if self._notifying is not None:
            await self._notifying

    def _begin(self, by: str) -> None:
        if self._underway is not None:
            return
        config, plan = self._config, plan_of(self._config)
        self._underway = _Underway(Drain(plan=plan, began_at=self._clock.monotonic()), config.notify)
        self._board.drain(keeps_ready=config.readyz is DrainReadyz.KEEP)
        self._began.set()
        self._ask_now(condition.check for condition in plan.until)
        log.info("drain began", extra={"by": by, "at_most": show_duration(plan.longest)})

    def _end(self, why: str) -> bool:
        underway = self._underway
        if underway is None:
            return False
        self._underway = None
        self._began.clear()
        self._woken.set()
        underway.ended.set()
        self._board.resume()
        log.info("drain ended, serving on", extra={"by": why, "after": show_age(self._age(underway))})
        return True

    async def _ends_process(self, underway: _Underway) -> bool:
        """See one drain through; return whether it was the last, and not ended by something else."""
        if underway.notify is not None:
            self._notifying = asyncio.create_task(notify(underway.notify), name="drain:notify")
        while self._underway is underway:
            self._advance(underway)
            if underway.drain.is_over and self._is_stopping:
                return True
            await self._pause(next_moment(underway.drain, self._clock.monotonic()))
        await self._take_back(underway)
        return False

    def _advance(self, underway: _Underway) -> None:
        now, was_over = self._clock.monotonic(), underway.drain.is_over
        underway.drain = advance(underway.drain, self._board.standings(), now)
        if underway.drain.is_over and not was_over:
            underway.ended.set()
            self._tell_over(underway, now)
        if now >= underway.drain.forsaken_at and not self._is_stopping:
            self._end("no stop signal")

    def _tell_over(self, underway: _Underway, now: float) -> None:
        """Log the end of a drain, and what it waited for in vain."""
        after = {"after": show_age(self._age(underway))}
        missed = unmet(underway.drain, self._board.standings(), now)
        if missed:
            stories = "; ".join(self._story(condition) for condition in missed)
            log.warning("drain is over", extra={**after, "waited_in_vain_for": stories})
        else:
            log.info("drain is over", extra=after)

    def _story(self, condition: Condition) -> str:
        """Return what a check that was waited for said last."""
        found = (each for each in self._board.standings() if each.name == condition.check)
        standing = next(found, None)
        if standing is None:
            return f"{condition.check}: is no check any more"
        last = standing.state.last
        story = (last.reason, last.message) if last else ("no result yet",)
        return ": ".join(part for part in (f"{condition.check} {condition.status}", *story) if part)

    async def _pause(self, until: float) -> None:
        """Wait until a monotonic second, or until something has happened."""
        wait = None if until == inf else max(until - self._clock.monotonic(), 0.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._woken.wait()
        self._woken.clear()

    async def _take_back(self, underway: _Underway) -> None:
        await self.aclose()
        if underway.notify is not None:
            await withdraw(underway.notify)

    def _wake_if_awaited(self, check: str, _result: Result) -> None:
        if self._underway is not None and self._underway.drain.plan.awaits(check):
            self._woken.set()

    def _age(self, underway: _Underway) -> float:
        return self._clock.monotonic() - underway.drain.began_at


def plan_of(config: DrainConfig) -> Plan:
    """Return the times and conditions of a configured drain."""
    return Plan(
        delay=config.delay,
        deadline=config.deadline,
        until=tuple(Condition(each.check, Status(each.status)) for each in config.until),
    )
