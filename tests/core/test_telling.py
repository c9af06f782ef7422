"""What is told of our readiness, and when: no more than the cluster can bear, and never what is past."""

from collections.abc import Iterable
from math import inf

import pytest

from sidecar.core.phase import Phase
from sidecar.core.telling import (
    BURST,
    TOKEN_EVERY,
    Readiness,
    Telling,
    attempt,
    due_at,
    fail,
    observe,
    readiness_of,
    succeed,
)
from sidecar.core.verdict import Gate, Probe, judge
from tests.core.standings import LATCHED, NOW, standing

READY, NOT_READY, DRAINING = Readiness.READY, Readiness.NOT_READY, Readiness.DRAINING
EMPTY = Telling(tokens=0.0)


def saw(telling: Telling, readiness: Readiness, now: float, *, spread: float = 0.0) -> Telling:
    return observe(telling, readiness, now, time=1000.0 + now, spread=spread)


def told(readinesses: Iterable[Readiness], telling: Telling | None = None) -> Telling:
    """Return what became of telling each of them, one a second."""
    telling = telling or Telling()
    for now, readiness in enumerate(readinesses):
        telling = succeed(attempt(saw(telling, readiness, float(now)), float(now)))
    return telling


@pytest.mark.parametrize(
    ("situation", "phase", "readiness"),
    [
        ("up", Phase.SERVING, READY),
        ("up with a warning", Phase.SERVING, READY),
        ("down", Phase.SERVING, NOT_READY),
        ("up", Phase.DRAINING, DRAINING),
        ("down", Phase.DRAINING, DRAINING),
        ("up", Phase.STOPPED, DRAINING),
    ],
)
def test_a_verdict_is_one_word(situation: str, phase: Phase, readiness: Readiness) -> None:
    check = standing(situation.removesuffix(" with a warning"), Gate.READINESS, name="draining")

    assert readiness_of(judge(Probe.READYZ, [check], phase, LATCHED, NOW)) is readiness


def test_a_change_is_due_when_its_spread_is_over_and_a_drain_at_once() -> None:
    ready = told([READY])

    assert due_at(ready, 10.0) == inf
    assert due_at(saw(ready, NOT_READY, 10.0, spread=1.5), 10.0) == 11.5
    assert due_at(saw(ready, DRAINING, 10.0, spread=1.5), 10.0) == 10.0


def test_a_start_is_not_ready_for_half_a_minute_before_it_is_news() -> None:
    starting = saw(Telling(), NOT_READY, 5.0, spread=1.0)

    assert (due_at(starting, 5.0), due_at(starting, 40.0)) == (36.0, 40.0)
    assert due_at(saw(starting, READY, 8.0), 8.0) == 8.0
    assert saw(starting, READY, 8.0).left_out == 0


def test_a_change_has_the_time_at_which_it_came_about() -> None:
    ready = saw(Telling(), READY, 5.0)

    assert (ready.time, saw(ready, READY, 9.0)) == (1005.0, ready)


def test_a_burst_may_be_told_at_once_and_then_one_each_five_minutes() -> None:
    telling = told([READY, NOT_READY] * (BURST // 2), Telling(counted_at=0.0))
    last = float(BURST - 1)
    waiting = saw(telling, READY, last)
    due = due_at(waiting, last)

    assert due == pytest.approx(TOKEN_EVERY)
    assert due_at(waiting, due + 1.0) == due + 1.0
    again = saw(succeed(attempt(waiting, due)), NOT_READY, due)
    assert due_at(again, due) == pytest.approx(2 * TOKEN_EVERY)


def test_tokens_do_not_pile_up_over_a_quiet_week() -> None:
    week = 604_800.0
    telling = Telling()
    for each in [READY, NOT_READY] * (BURST // 2):
        telling = succeed(attempt(saw(telling, each, week), week))

    assert due_at(saw(telling, READY, week), week) == pytest.approx(week + TOKEN_EVERY)


def test_what_is_held_back_is_counted_and_only_the_newest_is_told() -> None:
    telling = told([READY])
    for now in (10.0, 20.0, 30.0):
        telling = saw(telling, NOT_READY, now)
        telling = saw(telling, READY, now + 5.0)

    assert due_at(telling, 40.0) == inf  # it is what was told last
    telling = saw(telling, NOT_READY, 50.0)
    assert (telling.left_out, succeed(attempt(telling, 50.0)).left_out) == (6, 0)


def test_a_failed_attempt_backs_off_longer_each_time_whatever_changes_meanwhile() -> None:
    telling = saw(told([READY]), NOT_READY, 10.0)
    pauses = []
    for _ in range(3):
        now = due_at(telling, telling.retry_at)
        telling = fail(attempt(telling, now), now)
        pauses.append(telling.retry_at - now)

    assert pauses == [2.0, 4.0, 8.0]
    flapped = saw(saw(telling, READY, now + 1.0), NOT_READY, now + 2.0)
    assert due_at(flapped, now + 2.0) == now + 8.0


def test_attempts_of_a_week_without_an_api_are_no_more_than_one_each_five_minutes() -> None:
    telling, now, attempts = saw(Telling(), READY, 0.0), 0.0, 0
    while (now := due_at(telling, now)) < 604_800.0:
        telling, attempts = fail(attempt(telling, now), now), attempts + 1

    assert attempts <= BURST + 604_800.0 / TOKEN_EVERY


def test_the_cluster_is_left_alone_for_as_long_as_it_asks() -> None:
    telling = attempt(saw(told([READY]), NOT_READY, 10.0), 10.0)

    assert due_at(fail(telling, 10.0, retry_after=90.0, jitter=1.2), 10.0) == 100.0
    assert due_at(fail(telling, 10.0, retry_after=1.0, jitter=1.2), 10.0) == 12.4


def test_after_an_attempt_that_may_have_got_through_even_the_old_readiness_is_told_again() -> None:
    telling = saw(told([READY]), NOT_READY, 10.0)
    telling = saw(fail(attempt(telling, 10.0), 10.0), READY, 11.0)

    assert (due_at(telling, 12.0), telling.left_out) == (12.0, 1)


def test_without_a_token_a_drain_waits_too() -> None:
    assert due_at(saw(EMPTY, DRAINING, 0.0), 0.0) == TOKEN_EVERY
