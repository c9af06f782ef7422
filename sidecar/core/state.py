"""The state of a check over its runs: when it flips, when to ask again, when it is too old to trust."""

from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Final

from sidecar.core.check import Reason
from sidecar.core.result import Result

RETRY_DELAY: Final = 1.0
"""Seconds from the end of a run to the next, while the answer is not settled."""
RETRY_DELAY_LIMIT: Final = 5.0
"""Seconds that the delay of a settled failure doubles up to, unless the interval is shorter."""
LOCKOUT_DELAY_LIMIT: Final = 30.0
"""Seconds, for refused credentials: dependencies lock accounts that knock too often."""
LOCKOUT_REASONS: Final = frozenset({Reason.AUTH, Reason.FORBIDDEN})
ENOUGH_DOUBLINGS: Final = 16
"""More would only overflow: the limits are reached long before, from the shortest interval too."""
STALE_INTERVALS: Final = 2.5
"""Intervals that a result is trusted for, beside a timeout."""


class Status(StrEnum):
    """What a check's runs have settled on."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A check's settled status, and the streak that may flip it."""

    status: Status = Status.UNKNOWN
    since: float = 0.0
    """Monotonic seconds at which the status was reached."""
    streak: int = 0
    """How many runs in a row ended as the last one did, successes and warnings being alike."""
    has_been_up: bool = False
    last: Result | None = None
    reason_since: float | None = None
    """Monotonic seconds since when every run has failed for the reason of the last; None after a success."""


def settle(state: State, result: Result, *, failure_threshold: int, success_threshold: int) -> State:
    """Return the state after one more result.

    The status flips when `success_threshold` successes or `failure_threshold` failures have come in a row;
    below that it stays what it was, as the kubelet's own thresholds do.
    """
    streak = state.streak + 1 if _continues_streak(state, result) else 1
    threshold = success_threshold if result.is_success else failure_threshold
    settled = Status.UP if result.is_success else Status.DOWN
    status = settled if streak >= threshold else state.status
    return State(
        status=status,
        since=state.since if status is state.status else result.finished_at,
        streak=streak,
        has_been_up=state.has_been_up or status is Status.UP,
        last=result,
        reason_since=_reason_since(state, result),
    )


def next_delay(state: State, *, interval: float, failure_threshold: int) -> float:
    """Return the seconds from the end of the last run to the next, before it is varied.

    Up: so that runs start an `interval` apart, with never less rest than a retry gets. Unsettled: a second.
    Settled down: a second, doubling to 5s or the interval if that is shorter, and to 30s where
    credentials were refused.
    """
    retry = min(RETRY_DELAY, interval)
    if state.last is None or not _is_settled(state, state.last):
        return retry
    if state.last.is_success:
        return max(interval - state.last.duration, retry)
    limit = LOCKOUT_DELAY_LIMIT if state.last.reason in LOCKOUT_REASONS else min(interval, RETRY_DELAY_LIMIT)
    doublings = min(max(state.streak - failure_threshold, 0), ENOUGH_DOUBLINGS)
    return min(retry * 2.0**doublings, limit)


def stale_at(state: State, *, interval: float, timeout: float, failure_threshold: int) -> float:
    """Return the monotonic second from which the last result is too old to trust; infinity without one.

    It is trusted for two and a half intervals and a timeout, or for as many delays where refused
    credentials make us ask less often than every interval: what we put off ourselves is not old.
    """
    if state.last is None:
        return inf
    delay = next_delay(state, interval=interval, failure_threshold=failure_threshold)
    return state.last.finished_at + STALE_INTERVALS * max(interval, delay) + timeout


def _continues_streak(state: State, result: Result) -> bool:
    return state.last is not None and state.last.is_success is result.is_success


def _reason_since(state: State, result: Result) -> float | None:
    if result.is_success:
        return None
    is_same = state.last is not None and state.last.reason is result.reason
    return state.reason_since if is_same else result.finished_at


def _is_settled(state: State, last: Result) -> bool:
    return state.status is (Status.UP if last.is_success else Status.DOWN)
