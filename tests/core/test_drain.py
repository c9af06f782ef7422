"""When a drain is over: the delay, the conditions, the deadline, and what was over once."""

from dataclasses import replace
from math import inf
from typing import Final

import pytest

from sidecar.core.check import Reason
from sidecar.core.drain import Condition, Drain, Plan, advance, next_moment
from sidecar.core.phase import Phase, after_drain
from sidecar.core.result import Outcome, Result
from sidecar.core.state import State, Status
from sidecar.core.verdict import Standing

BEGAN: Final = 1000.0
IDLE: Final = Condition("idle", Status.UP)
GONE: Final = Condition("app", Status.DOWN)


def drain(*until: Condition, delay: float = 5.0, deadline: float = 25.0) -> Drain:
    return Drain(plan=Plan(delay=delay, deadline=deadline, until=until), began_at=BEGAN)


def standing(
    name: str, status: Status, *, ended: float, lasted: float = 0.1, stale_at: float = inf
) -> Standing:
    """Return a check whose last run ended so many seconds after the drain began."""
    is_up = status is Status.UP
    last = Result(
        outcome=Outcome.SUCCESS if is_up else Outcome.FAILURE,
        finished_at=BEGAN + ended,
        duration=lasted,
        time=0.0,
        reason=None if is_up else Reason.REFUSED,
        message="",
    )
    state = State(status=status, since=0.0, streak=1, has_been_up=True, last=last)
    return Standing(name=name, gates=frozenset(), state=state, stale_at=stale_at)


def is_over(drained: Drain, *standings: Standing, after: float) -> bool:
    return advance(drained, standings, BEGAN + after).is_over


@pytest.mark.parametrize(("after", "over"), [(0.0, False), (4.999, False), (5.0, True), (6.0, True)])
def test_without_conditions_a_drain_is_over_after_its_delay(after: float, over: bool) -> None:
    assert is_over(drain(), after=after) is over


def test_without_a_delay_or_conditions_a_drain_is_over_at_once() -> None:
    assert is_over(drain(delay=0.0), after=0.0)


@pytest.mark.parametrize(
    ("after", "over"),
    [(4.9, False), (5.0, True)],
)
def test_a_condition_that_holds_early_does_not_cut_the_delay_short(after: float, over: bool) -> None:
    assert is_over(drain(IDLE), standing("idle", Status.UP, ended=1.0), after=after) is over


@pytest.mark.parametrize(
    ("idle", "app", "over"),
    [
        (Status.UP, Status.DOWN, True),
        (Status.UP, Status.UP, False),
        (Status.DOWN, Status.DOWN, False),
        (Status.UNKNOWN, Status.DOWN, False),
        (Status.UP, Status.UNKNOWN, False),
    ],
)
def test_every_condition_has_to_hold(idle: Status, app: Status, over: bool) -> None:
    standings = standing("idle", idle, ended=6.0), standing("app", app, ended=6.0)

    assert is_over(drain(IDLE, GONE), *standings, after=7.0) is over


@pytest.mark.parametrize(
    ("ended", "lasted", "over"),
    [
        # from before the drain: work may have come since
        (-1.0, 0.1, False),
        # begun before, ended after
        (0.5, 0.6, False),
        (0.5, 0.5, True),
    ],
)
def test_only_a_run_that_began_in_the_drain_counts(ended: float, lasted: float, over: bool) -> None:
    told = standing("idle", Status.UP, ended=ended, lasted=lasted)

    assert is_over(drain(IDLE), told, after=7.0) is over


@pytest.mark.parametrize("condition", [IDLE, replace(GONE, check="idle")])
def test_a_stale_status_holds_no_condition(condition: Condition) -> None:
    told = standing("idle", condition.status, ended=1.0, stale_at=BEGAN + 6.0)

    assert [is_over(drain(condition), told, after=after) for after in (5.9, 6.0)] == [True, False]


def test_a_check_that_never_ran_or_is_gone_holds_no_condition() -> None:
    never_ran = Standing(name="idle", gates=frozenset(), state=State(), stale_at=inf)

    assert (is_over(drain(IDLE), never_ran, after=7.0), is_over(drain(IDLE), after=7.0)) == (False, False)


@pytest.mark.parametrize(("after", "over"), [(24.999, False), (25.0, True)])
def test_the_deadline_ends_the_wait_for_conditions(after: float, over: bool) -> None:
    assert is_over(drain(IDLE), after=after) is over


@pytest.mark.parametrize(("after", "over"), [(25.0, False), (39.9, False), (40.0, True)])
def test_a_delay_longer_than_the_deadline_is_waited_for(after: float, over: bool) -> None:
    assert is_over(drain(IDLE, delay=40.0), after=after) is over


def test_what_was_over_once_stays_over() -> None:
    over = advance(drain(IDLE), [standing("idle", Status.UP, ended=1.0)], BEGAN + 6.0)

    assert advance(over, [standing("idle", Status.DOWN, ended=7.0)], BEGAN + 8.0) == over


@pytest.mark.parametrize(
    ("after", "moment"),
    [(0.0, 5.0), (5.0, 25.0), (24.9, 25.0), (25.0, 85.0), (85.0, inf)],
)
def test_the_next_moment_is_the_end_of_the_next_clock(after: float, moment: float) -> None:
    assert next_moment(drain(IDLE), BEGAN + after) == BEGAN + moment


@pytest.mark.parametrize(("delay", "forsaken"), [(5.0, 85.0), (40.0, 100.0)])
def test_a_drain_is_forsaken_a_minute_after_its_last_moment(delay: float, forsaken: float) -> None:
    assert drain(delay=delay).forsaken_at == BEGAN + forsaken


@pytest.mark.parametrize(
    ("until", "delay", "longest"),
    [((), 5.0, 5.0), ((IDLE,), 5.0, 25.0), ((IDLE,), 40.0, 40.0), ((), 0.0, 0.0)],
)
def test_the_longest_time_counts_the_deadline_only_where_something_is_awaited(
    until: tuple[Condition, ...], delay: float, longest: float
) -> None:
    assert Plan(delay=delay, deadline=25.0, until=until).longest == longest


def test_a_plan_knows_which_checks_it_awaits() -> None:
    plan = Plan(delay=5.0, deadline=25.0, until=(IDLE, GONE))

    assert [plan.awaits(name) for name in ("idle", "app", "db")] == [True, True, False]


@pytest.mark.parametrize(("passed", "phase"), [(True, Phase.SERVING), (False, Phase.STARTING)])
def test_a_drain_that_ends_nothing_leads_back_to_where_it_began(passed: bool, phase: Phase) -> None:
    assert after_drain(startup_passed=passed) is phase
