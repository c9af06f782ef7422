"""When a drain is over: long enough for the endpoints to know, and until work is done."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from sidecar.core.state import Status
from sidecar.core.verdict import Standing

FORSAKEN_AFTER: Final = 60.0
"""Seconds from the last moment of a drain to that at which no stop signal is expected any more.

A preStop also runs when the kubelet merely restarts the app's container: then none ever comes.
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """A check, and the status that a drain waits for."""

    check: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long a drain lasts, in seconds: `delay`, and until every condition holds, but for `deadline`."""

    delay: float
    deadline: float
    until: tuple[Condition, ...] = ()

    @property
    def longest(self) -> float:
        """Seconds that a drain takes at most."""
        return max(self.delay, self.deadline) if self.until else self.delay

    def awaits(self, check: str) -> bool:
        """Whether a condition is about this check."""
        return any(condition.check == check for condition in self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """A drain under way. What was over once stays over, whatever its checks say later."""

    plan: Plan
    began_at: float
    """Monotonic seconds; both clocks start here and never again."""
    is_over: bool = False

    @property
    def over_by(self) -> float:
        """Monotonic seconds at which it is over at the latest."""
        return self.began_at + self.plan.longest

    @property
    def forsaken_at(self) -> float:
        """Monotonic seconds from which it has been in vain, unless a stop signal has come."""
        return self.began_at + max(self.plan.delay, self.plan.deadline) + FORSAKEN_AFTER


def advance(drain: Drain, standings: Iterable[Standing], now: float) -> Drain:
    """Return the drain as it stands now."""
    return replace(drain, is_over=drain.is_over or _is_over(drain, standings, now))


def next_moment(drain: Drain, now: float) -> float:
    """Return the next monotonic second at which time alone may change a drain; infinity if it cannot."""
    moments = (drain.began_at + drain.plan.delay, drain.over_by, drain.forsaken_at)
    return min((moment for moment in moments if moment > now), default=inf)


def unmet(drain: Drain, standings: Iterable[Standing], now: float) -> list[Condition]:
    """Return what a drain waits for still; a check that is gone holds no condition."""
    by_name = {standing.name: standing for standing in standings}
    return [
        condition
        for condition in drain.plan.until
        if not _holds(condition, by_name.get(condition.check), drain.began_at, now)
    ]


def _is_over(drain: Drain, standings: Iterable[Standing], now: float) -> bool:
    if now >= drain.over_by:
        return True
    has_waited = now >= drain.began_at + drain.plan.delay
    return has_waited and not unmet(drain, standings, now)


def _holds(condition: Condition, standing: Standing | None, began_at: float, now: float) -> bool:
    """Whether a check has the status, and a run that began in the drain says so: work may have come since."""
    if standing is None or standing.state.last is None or standing.is_stale(now):
        return False
    last = standing.state.last
    return standing.state.status is condition.status and last.finished_at - last.duration >= began_at
