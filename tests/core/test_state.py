"""When a check flips, when it is asked again, and when its last result is too old."""

from dataclasses import replace
from math import inf

import pytest

from sidecar.core.check import Reason
from sidecar.core.state import State, Status, next_delay, settle, stale_at
from tests.core.builders import result, states, statuses


@pytest.mark.parametrize(
    ("runs", "failure_threshold", "success_threshold", "expected"),
    [
        ("", 3, 1, "?"),
        # one success is enough by default, and a warning is one
        ("s", 3, 1, "?+"),
        ("w", 3, 1, "?+"),
        # three failures are, whether unknown or up before
        ("fff", 3, 1, "???-"),
        ("sfff", 3, 1, "?+++-"),
        ("sffff", 3, 1, "?+++--"),
        # whatever their reasons
        ("afb", 3, 1, "???-"),
        # what interrupts a streak starts another
        ("sffsff", 3, 1, "?++++++"),
        ("sffwfff", 3, 1, "?++++++-"),
        ("ffsff", 3, 1, "???+++"),
        # a success that is not enough leaves it down
        ("ffs", 2, 2, "??--"),
        ("ffss", 2, 2, "??--+"),
        ("ffsw", 2, 2, "??--+"),
        ("ffsfs", 2, 2, "??----"),
        # or unknown
        ("ss", 1, 3, "???"),
        ("sss", 1, 3, "???+"),
        ("sfs", 2, 2, "????"),
        # once up a single failure and a success change nothing
        ("ssfsf", 2, 2, "??++++"),
        # thresholds of one
        ("sfsf", 1, 1, "?+-+-"),
    ],
)
def test_status_flips_when_a_streak_reaches_its_threshold(
    runs: str, failure_threshold: int, success_threshold: int, expected: str
) -> None:
    settled = states(runs, failure_threshold=failure_threshold, success_threshold=success_threshold)

    assert statuses(settled) == expected


def test_a_streak_counts_equal_outcomes_in_a_row_and_starts_over_at_one() -> None:
    streaks = [state.streak for state in states("swsffasf")]

    assert streaks == [0, 1, 2, 3, 1, 2, 3, 1, 1]


def test_a_first_failure_is_a_streak_of_one() -> None:
    assert states("f")[-1].streak == 1


def test_settling_keeps_everything_that_is_known() -> None:
    last = result("f", at=7.5, duration=0.25)
    before = replace(states("s")[-1], since=3.0, streak=4)

    after = settle(before, last, failure_threshold=1, success_threshold=1)

    assert after == State(
        status=Status.DOWN, since=7.5, streak=1, has_been_up=True, last=last, reason_since=7.5
    )


def test_reason_since_is_the_first_of_the_failures_that_all_had_one_reason() -> None:
    since = [state.reason_since for state in states("saafaawab")]

    assert since == [None, None, 1.0, 1.0, 3.0, 4.0, 4.0, None, 7.0, 8.0]


def test_since_is_the_second_of_the_flip_and_not_of_a_later_run() -> None:
    since = [state.since for state in states("ssffffss")]

    assert since == [0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 4.0, 6.0, 6.0]


def test_has_been_up_begins_with_the_first_up_and_never_ends() -> None:
    has_been_up = [state.has_been_up for state in states("fffssfff", success_threshold=2)]

    assert has_been_up == [False, False, False, False, False, True, True, True, True]


def delays(
    runs: str,
    *,
    interval: float = 10.0,
    failure_threshold: int = 3,
    success_threshold: int = 1,
    duration: float = 0.0,
) -> list[float]:
    """Return the delay after each run."""
    return [
        next_delay(state, interval=interval, failure_threshold=failure_threshold)
        for state in states(
            runs,
            failure_threshold=failure_threshold,
            success_threshold=success_threshold,
            duration=duration,
        )[1:]
    ]


def test_a_check_that_never_ran_is_asked_within_a_second() -> None:
    unknown = [next_delay(State(), interval=interval, failure_threshold=3) for interval in (10.0, 0.5)]

    assert unknown == [1.0, 0.5]


@pytest.mark.parametrize(
    ("duration", "interval", "expected"),
    [
        (0.0, 10.0, 10.0),
        (0.3, 10.0, 9.7),
        # never less rest than a retry gets
        (9.0, 10.0, 1.0),
        (9.5, 10.0, 1.0),
        (25.0, 10.0, 1.0),
        (0.2, 0.5, 0.5),
    ],
)
def test_runs_of_a_check_that_is_up_start_an_interval_apart(
    duration: float, interval: float, expected: float
) -> None:
    assert delays("s", interval=interval, duration=duration) == [pytest.approx(expected)]


def test_a_warning_is_asked_again_as_a_success_is() -> None:
    assert delays("ww") == [10.0, 10.0]


def test_retries_below_the_failure_threshold_are_a_flat_second_apart() -> None:
    assert delays("ffff", failure_threshold=5) == [1.0, 1.0, 1.0, 1.0]


def test_a_check_that_was_up_is_retried_after_a_second_until_it_is_settled_down() -> None:
    assert delays("sff", duration=0.5) == [9.5, 1.0, 1.0]


def test_retries_below_the_success_threshold_are_a_flat_second_apart() -> None:
    assert delays("ffsss", failure_threshold=2, success_threshold=3) == [1.0, 1.0, 1.0, 1.0, 10.0]


def test_an_unknown_check_is_retried_after_a_second_whatever_it_answers() -> None:
    assert delays("sfsf", failure_threshold=2, success_threshold=2) == [1.0, 1.0, 1.0, 1.0]


def test_once_down_the_delay_doubles_from_a_second_to_five() -> None:
    assert delays("fffffff") == [1.0, 1.0, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_delay_of_a_failure_is_counted_from_the_end_of_the_run() -> None:
    assert delays("fff", duration=2.1) == [1.0, 1.0, 1.0]


def test_the_delay_of_a_check_that_is_down_never_passes_its_interval() -> None:
    assert delays("fffff", interval=3.0) == [1.0, 1.0, 1.0, 2.0, 3.0]


def test_an_interval_below_a_second_bounds_every_delay() -> None:
    assert delays("sfffff", interval=0.5) == [0.5] * 6


@pytest.mark.parametrize("refused", ["a", "b"])
def test_refused_credentials_are_tried_ever_more_rarely_up_to_thirty_seconds(refused: str) -> None:
    assert delays(refused * 9) == [1.0, 1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_refused_credentials_are_retried_after_a_second_below_the_threshold() -> None:
    assert delays("saa") == [10.0, 1.0, 1.0]


@pytest.mark.parametrize("interval", [0.05, 0.5, 3.0, 10.0, 300.0])
def test_refused_credentials_reach_thirty_seconds_from_every_interval(interval: float) -> None:
    assert delays("a" * 1000, interval=interval)[-1] == 30.0


def test_another_reason_ends_the_long_delays() -> None:
    assert delays("aaaaaaaaf")[-2:] == [30.0, 5.0]


def test_a_failure_after_a_success_that_was_not_enough_starts_the_doubling_over() -> None:
    assert delays("fffffsfff", success_threshold=2)[4:] == [4.0, 1.0, 1.0, 1.0, 1.0]


def test_a_streak_of_a_thousand_failures_overflows_nothing() -> None:
    long_down = replace(states("fff")[-1], streak=100_000)

    assert next_delay(long_down, interval=3600.0, failure_threshold=3) == 5.0


def test_only_refused_credentials_are_tried_more_rarely_than_every_five_seconds() -> None:
    reached = {
        reason: next_delay(
            replace(states("fff")[-1], streak=50, last=replace(result("f"), reason=reason)),
            interval=10.0,
            failure_threshold=3,
        )
        for reason in Reason
    }

    assert reached == dict.fromkeys(Reason, 5.0) | {Reason.AUTH: 30.0, Reason.FORBIDDEN: 30.0}


def test_a_check_that_never_ran_is_not_stale() -> None:
    assert stale_at(State(), interval=10.0, timeout=2.0, failure_threshold=3) == inf


@pytest.mark.parametrize(("runs", "expected"), [("s", 27.0), ("f", 27.0), ("ffff", 30.0)])
def test_a_result_is_trusted_for_two_and_a_half_intervals_and_a_timeout(runs: str, expected: float) -> None:
    state = states(runs)[-1]

    assert stale_at(state, interval=10.0, timeout=2.0, failure_threshold=3) == expected


def test_a_result_that_refused_credentials_is_trusted_until_well_after_the_next_run() -> None:
    settled = states("a" * 9)

    trusted_for = [
        stale_at(state, interval=10.0, timeout=2.0, failure_threshold=3) - second
        for second, state in enumerate(settled[1:])
    ]

    assert trusted_for == [27.0] * 6 + [42.0, 77.0, 77.0]
