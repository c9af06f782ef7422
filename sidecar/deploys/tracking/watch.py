"""Watches our own readiness for the deploy: since when it lasts, and what fails without hope."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from math import inf
from typing import Never

from sidecar.core.check import Reason
from sidecar.core.deploy import HOPELESS_AFTER, FailedCheck, Sighting
from sidecar.core.phase import Phase
from sidecar.core.start import StartRules, hopeless_at
from sidecar.core.verdict import Answer, Line, Probe, Verdict, failing
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.news import News


class Watch:
    """Keeps the newest `sighting`, and calls `changed` when there is another one.

    `permanent` returns the reasons that waiting does not cure, by check type; `fail_fast` are the seconds of
    such a reason after which the start is given up, None if it is not.
    """

    def __init__(
        self,
        board: Board,
        *,
        permanent: Callable[[str], Collection[Reason]],
        fail_fast: float | None,
        redact: Callable[[str], str],
        clock: Clock,
    ) -> None:
        self.sighting = Sighting()
        self.changed: Callable[[], object] = tuple
        self._board = board
        self._permanent = permanent
        self._rules = StartRules(fail_fast=min(fail_fast or HOPELESS_AFTER, HOPELESS_AFTER))
        self._redact = redact
        self._clock = clock

    async def follow_forever(self) -> Never:
        """Look at each change of the board."""
        news = News(self._board)
        while True:
            now = self._clock.monotonic()
            await news.within(self.look(now) - now)

    def look(self, now: float) -> float:
        """See how we are at the monotonic second `now`; return the one at which time alone may change it."""
        verdict = self._board.verdict(Probe.READYZ, now)
        sighting = self._sight(verdict, now)
        if sighting != self.sighting:
            self.sighting = sighting
            self.changed()
        return verdict.expires_at

    def _sight(self, verdict: Verdict, now: float) -> Sighting:
        if self._board.phase is Phase.DRAINING:
            return Sighting(is_leaving=True)
        if self._board.phase is Phase.STOPPED:  # whoever gave up the start has something to say yet
            return replace(self.sighting, ready_since=None)
        if verdict.answer is not Answer.FAIL:
            since = self.sighting.ready_since
            return Sighting(ready_since=now if since is None else since)
        lines, _ = failing(self._board.standings(), self._board.latch, now)
        return Sighting(hopeless_at=self._hopeless_at(), failures=self._failures(lines))

    def _hopeless_at(self) -> float:
        moments = (
            hopeless_at(entry.standing, self._permanent(entry.config.type), self._rules)
            for entry in self._board.entries()
        )
        return min(moments, default=inf)

    def _failures(self, lines: Sequence[Line]) -> tuple[FailedCheck, ...]:
        return tuple(FailedCheck(line.name, line.reason, self._redact(line.message)) for line in lines)
