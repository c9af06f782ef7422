"""When a start is overdue, and when it is hopeless."""

from dataclasses import replace
from math import inf

import pytest

from sidecar.core.check import Reason
from sidecar.core.start import StartRules, hopeless_at, is_overdue
from sidecar.core.verdict import Gate, Latch, Mark, Standing, failing
from tests.core.builders import states
from tests.core.standings import AWAITED, DEADLINE, FRESH, LATCHED, NOW, standing

PERMANENT = frozenset({Reason.AUTH})
IN_A_MINUTE = StartRules(fail_fast=60.0)


def after(runs: str, *gates: Gate, is_new: bool = False) -> Standing:
    """Return a check after these runs, one a second from 0 on."""
    pending = frozenset(gates) if is_new else frozenset()
    return Standing(
        name="db", gates=frozenset(gates), state=states(runs)[-1], stale_at=FRESH, pending=pending
    )


@pytest.mark.parametrize(
    ("runs", "moment"),
    [
        ("", inf),
        ("a", 60.0),
        ("aaaa", 60.0),
        ("ffaa", 62.0),
        ("aafa", 63.0),
        ("aaf", inf),
        ("aab", inf),
        ("s", inf),
        ("saaa", inf),
    ],
)
def test_a_start_is_hopeless_after_a_minute_of_nothing_but_one_permanent_reason(
    runs: str, moment: float
) -> None:
    assert hopeless_at(after(runs, Gate.STARTUP), PERMANENT, IN_A_MINUTE) == moment


def test_a_warning_below_the_success_threshold_begins_the_minute_anew() -> None:
    state = states("aasaa", success_threshold=3)[-1]
    awaited = replace(after("", Gate.STARTUP), state=state)

    assert hopeless_at(awaited, PERMANENT, IN_A_MINUTE) == 63.0


def test_without_fail_fast_no_start_is_hopeless() -> None:
    assert hopeless_at(after("aaaa", Gate.STARTUP), PERMANENT, StartRules()) == inf


@pytest.mark.parametrize(
    "waited_in_vain", [after("a", Gate.READINESS), after("a", Gate.STARTUP, is_new=True)]
)
def test_a_check_that_the_start_does_not_wait_for_makes_none_hopeless(waited_in_vain: Standing) -> None:
    assert hopeless_at(waited_in_vain, PERMANENT, IN_A_MINUTE) == inf


@pytest.mark.parametrize(
    ("latch", "now", "overdue"),
    [
        (AWAITED, DEADLINE - 0.1, False),
        (AWAITED, DEADLINE, True),
        (LATCHED, DEADLINE, False),
    ],
)
def test_a_start_is_overdue_from_its_deadline_until_it_passes(
    latch: Latch, now: float, overdue: bool
) -> None:
    assert is_overdue(latch, now) is overdue


def test_failing_are_the_checks_that_hold_any_probe_back_once_each_in_order() -> None:
    checks = [
        standing("down", Gate.LIVENESS, Gate.READINESS, name="app"),
        standing("up", Gate.READINESS, name="fine"),
        standing("down", name="ungated"),
        standing("never ran", Gate.STARTUP, name="builds"),
        standing("down", Gate.LIVENESS, name="worker"),
    ]

    lines, expires_at = failing(checks, AWAITED, NOW)

    assert [(line.name, line.mark, line.reason) for line in lines] == [
        ("app", Mark.FAILED, "refused"),
        ("builds", Mark.FAILED, "no result yet"),
        ("worker", Mark.FAILED, "refused"),
    ]
    assert expires_at == FRESH
