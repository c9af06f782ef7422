"""Watches the start: says when it is overdue, and gives it up where the configuration says so."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from math import inf
from typing import Final

from sidecar.core.check import Reason
from sidecar.core.phase import Phase
from sidecar.core.start import StartRules, hopeless_at, is_overdue
from sidecar.core.verdict import awaits_startup
from sidecar.runtime.board import Board, Entry
from sidecar.runtime.clock import Clock
from sidecar.runtime.news import News
from sidecar.support.text import show_age

NAMED: Final = 20
"""Checks that a summary names; the others are counted."""

log = logging.getLogger("sidecar.startup")


class StartWatch:
    """Watches the checks that gate startup until all have been up.

    `permanent` returns the reasons that waiting does not cure, by check type. `give_up` ends the process; it
    is called at most once, with one sentence that says why.
    """

    def __init__(
        self,
        board: Board,
        rules: StartRules,
        *,
        permanent: Callable[[str], Collection[Reason]],
        give_up: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._board = board
        self._rules = rules
        self._permanent = permanent
        self._give_up = give_up
        self._clock = clock
        self._is_told_overdue = False

    async def watch(self) -> None:
        """Return once startup has passed, or when the start was given up, which no drain is."""
        news = News(self._board)
        while not self._board.latch.startup_passed:
            now = self._clock.monotonic()
            if self._board.phase is Phase.STARTING and self._ends_now(now):
                return
            await news.within(self._next_moment() - now)

    def _ends_now(self, now: float) -> bool:
        """Say what is to be said at this moment; return whether the start was given up."""
        if hopeless := [entry for entry in self._awaited() if now >= self._hopeless_at(entry)]:
            self._end_hopeless(hopeless[0], now)
            return True
        if self._is_told_overdue or not is_overdue(self._board.latch, now):
            return False
        self._tell_overdue(now)
        if self._rules.exits_when_overdue:
            self._give_up(f"gave up the start at its deadline, {self._age(now)}")
        return self._rules.exits_when_overdue

    def _awaited(self) -> Iterator[Entry]:
        return (entry for entry in self._board.entries() if awaits_startup(entry.standing))

    def _hopeless_at(self, entry: Entry) -> float:
        return hopeless_at(entry.standing, self._permanent(entry.config.type), self._rules)

    def _next_moment(self) -> float:
        """Return the monotonic second at which time alone has something to say; infinity in a drain."""
        if self._board.phase is not Phase.STARTING:
            return inf
        deadline = inf if self._is_told_overdue else self._board.latch.liveness_deadline
        return min(deadline, *(self._hopeless_at(entry) for entry in self._awaited()), inf)

    def _end_hopeless(self, entry: Entry, now: float) -> None:
        last, since = entry.state.last, entry.state.reason_since
        reason, lasted = (last.reason if last else None), show_age(now - (since or now))
        log.error(
            "start is hopeless",
            extra={
                "check": entry.config.name,
                "reason": reason,
                "after": lasted,
                "detail": last.message if last else "",
            },
        )
        self._give_up(
            f"gave up the start: {entry.config.name} has failed for {lasted} with nothing but {reason}, "
            "which waiting does not cure"
        )

    def _tell_overdue(self, now: float) -> None:
        self._is_told_overdue = True
        awaited = list(self._awaited())
        log.error(
            "startup deadline exceeded",
            extra={"after": self._age(now), "missing": len(awaited), "checks": _summary(awaited)},
        )

    def _age(self, now: float) -> str:
        return show_age(now - self._board.started_at)


def _summary(entries: Sequence[Entry]) -> str:
    """Return what each check that is missing said last, in one line."""
    told = [_story(entry) for entry in entries[:NAMED]]
    if len(entries) > NAMED:
        told.append(f"and {len(entries) - NAMED} more")
    return "; ".join(told)


def _story(entry: Entry) -> str:
    last = entry.state.last
    story = (last.reason, last.message) if last else ("no result yet",)
    return ": ".join(part for part in (entry.config.name, *story) if part)
