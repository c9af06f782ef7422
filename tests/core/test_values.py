"""The small values: failures, results, phases, events."""

from dataclasses import fields
from enum import StrEnum

import pytest

from sidecar.core.check import CheckFailed, Reason
from sidecar.core.events import StartupPassed, StatusChanged
from sidecar.core.phase import LEAVING, Phase, after_startup
from sidecar.core.result import Outcome, Result
from sidecar.core.state import State, Status
from sidecar.core.verdict import Answer, Gate, Latch, Line, Mark, Probe, Standing, Verdict
from tests.core.builders import result, states


def test_a_failure_reads_as_its_message() -> None:
    failure = CheckFailed(Reason.REFUSED, "redis:6379 refused the connection")

    assert (str(failure), failure.reason, failure.message) == (
        "redis:6379 refused the connection",
        Reason.REFUSED,
        "redis:6379 refused the connection",
    )


def test_a_reason_outside_the_closed_set_cannot_be_given() -> None:
    with pytest.raises(ValueError, match="'broken' is not a valid Reason"):
        CheckFailed("broken", "it is broken")  # type: ignore[arg-type]


def test_a_reason_given_as_text_and_a_message_given_as_an_error_are_read() -> None:
    failure = CheckFailed("dns", OSError("no such host"))  # type: ignore[arg-type]

    assert (failure.reason, failure.message) == (Reason.DNS, "no such host")


def test_reasons_are_the_closed_set_that_metrics_may_carry() -> None:
    assert " ".join(Reason) == (
        "refused timeout dns tls auth forbidden not_found protocol contract unavailable unexpected"
    )


def test_a_warning_counts_as_success() -> None:
    successes = {letter: result(letter).is_success for letter in "swf"}

    assert successes == {"s": True, "w": True, "f": False}


WORDS = {
    Outcome: "success warning failure",
    Status: "unknown up down",
    Phase: "starting serving draining stopped",
    Gate: "liveness readiness startup",
    Probe: "livez readyz startupz",
    Mark: "+ - !",
    Answer: "pass warn fail",
}


@pytest.mark.parametrize("words", WORDS)
def test_words_are_those_that_users_see(words: type[StrEnum]) -> None:
    assert " ".join(words) == WORDS[words]


VALUES = (Result, State, Standing, Latch, Line, Verdict, StatusChanged, StartupPassed)


@pytest.mark.parametrize("value", VALUES)
def test_values_are_frozen_and_slotted_and_named_where_they_are_made(value: type) -> None:
    is_frozen = value.__dataclass_params__.frozen  # type: ignore[attr-defined]

    assert (is_frozen, hasattr(value, "__slots__"), {each.kw_only for each in fields(value)}) == (
        True,
        True,
        {True},
    )


def test_a_plain_success_has_neither_reason_nor_message_and_opened_nothing() -> None:
    plain = Result(outcome=Outcome.SUCCESS, finished_at=1.0, duration=0.1, time=2.0)

    assert (plain.reason, plain.message, plain.connections_opened) == (None, "", 0)


def test_a_check_begins_unknown_with_nothing_behind_it() -> None:
    assert State() == State(status=Status.UNKNOWN, since=0.0, streak=0, has_been_up=False, last=None)


def test_a_line_may_be_a_name_alone() -> None:
    assert Line(name="draining", mark=Mark.FAILED) == Line(
        name="draining", mark=Mark.FAILED, text="", reason="", message=""
    )


def test_only_a_start_turns_into_serving() -> None:
    after = {phase: after_startup(phase) for phase in Phase}

    assert after == {
        Phase.STARTING: Phase.SERVING,
        Phase.SERVING: Phase.SERVING,
        Phase.DRAINING: Phase.DRAINING,
        Phase.STOPPED: Phase.STOPPED,
    }


def test_draining_and_stopped_want_no_traffic() -> None:
    assert [phase for phase in Phase if phase in LEAVING] == [Phase.DRAINING, Phase.STOPPED]


def test_a_status_change_knows_how_long_the_old_status_lasted() -> None:
    up, *_, down = states("ffsssfff")[3:]

    changed = StatusChanged(name="db", type="tcp", before=up, after=down, runs_before=4)

    assert changed.lasted == 5.0
