"""When a change of our readiness is told to the cluster, which stores what it is told and has other work.

Every attempt to tell takes a token. What is held back until there is one is not queued: the newest readiness
is told then, if it is not what was told last, with how many changes were left out.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import Final

from sidecar.core.phase import Phase
from sidecar.core.verdict import Answer, Verdict

BURST: Final = 6
"""Attempts that may follow one another: a pod that starts, drains and recovers needs no more."""
TOKEN_EVERY: Final = 300.0
"""Seconds from one token to the next: a thousand flapping pods ask for three Events a second in all."""
START_PATIENCE: Final = 30.0
"""Seconds for which it is no news that a pod is not ready yet: until then it starts as all pods do."""
BACK_OFF: Final = 2.0
"""Seconds after a first attempt that failed; doubled after each that follows, so many times at most."""
DOUBLINGS: Final = 5


class Readiness(StrEnum):
    """The verdict of `/readyz` in one word, which is an Event's `reason`."""

    READY = "Ready"
    NOT_READY = "NotReady"
    DRAINING = "Draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What the cluster was told of our readiness, and what it was not."""

    newest: Readiness | None = None
    time: float = 0.0
    """Seconds since the epoch at which `newest` came about."""
    ripe_at: float = 0.0
    """Monotonic seconds from which `newest` is worth being told."""
    told: Readiness | None = None
    """None while nothing was told, and after an attempt of which we do not know what came of it."""
    changes: int = 0
    """Changes that were not told, the one to `newest` included."""
    has_been_ready: bool = False
    failures: int = 0
    """Attempts that failed in a row."""
    retry_at: float = 0.0
    """Monotonic seconds before which the cluster is left alone, whatever there is to tell."""
    tokens: float = float(BURST)
    counted_at: float = 0.0
    """Monotonic seconds at which there were so many `tokens`."""

    @property
    def left_out(self) -> int:
        """Changes before `newest` of which nobody will be told."""
        return max(self.changes - 1, 0)


def readiness_of(verdict: Verdict) -> Readiness:
    """Return a verdict of `/readyz` in one word: a drain is no check's fault, whatever fails beside it."""
    if any(isinstance(line.name, Phase) for line in verdict.lines):
        return Readiness.DRAINING
    return Readiness.NOT_READY if verdict.answer is Answer.FAIL else Readiness.READY


def observe(telling: Telling, readiness: Readiness, now: float, *, time: float, spread: float) -> Telling:
    """Take note of our readiness at the monotonic second `now`, which is `time` since the epoch.

    `spread` are the seconds for which this pod holds back what a check has changed, so that a thousand pods
    which lose one dependency do not all speak at once. A drain is told at once: soon nobody is left to do it.
    """
    if readiness is telling.newest:
        return telling
    is_start = readiness is Readiness.NOT_READY and not telling.has_been_ready
    patience = START_PATIENCE if is_start else 0.0
    return replace(
        telling,
        newest=readiness,
        time=time,
        ripe_at=now if readiness is Readiness.DRAINING else now + patience + spread,
        changes=telling.changes + 1 if telling.has_been_ready else 1,
        has_been_ready=telling.has_been_ready or readiness is Readiness.READY,
    )


def due_at(telling: Telling, now: float) -> float:
    """Return the monotonic second from which `newest` may be told; infinity if the cluster knows."""
    if telling.newest is telling.told:
        return inf
    missing = max(1.0 - _tokens(telling, now), 0.0)
    return max(telling.ripe_at, telling.retry_at, now + missing * TOKEN_EVERY)


def attempt(telling: Telling, now: float) -> Telling:
    """Take a token to tell `newest`; until it succeeds nobody knows what the cluster was told."""
    return replace(telling, told=None, tokens=_tokens(telling, now) - 1.0, counted_at=now)


def succeed(telling: Telling) -> Telling:
    """Have the cluster know `newest`."""
    return replace(telling, told=telling.newest, changes=0, failures=0)


def fail(telling: Telling, now: float, *, retry_after: float = 0.0, jitter: float = 1.0) -> Telling:
    """Back off after an attempt, at least for the `retry_after` seconds that the cluster asked for.

    `jitter` stretches the pause: pods that failed together shall not come back together.
    """
    pause = BACK_OFF * 2 ** min(telling.failures, DOUBLINGS) * jitter
    return replace(telling, failures=telling.failures + 1, retry_at=now + max(pause, retry_after))


def _tokens(telling: Telling, now: float) -> float:
    return min(telling.tokens + (now - telling.counted_at) / TOKEN_EVERY, float(BURST))
