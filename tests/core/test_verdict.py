"""What the gates mean: every gate, status, staleness, latch, phase and deadline, against one table."""

from dataclasses import replace
from itertools import chain, combinations, product
from math import inf
from typing import Final

import pytest

from sidecar.core.phase import Phase
from sidecar.core.state import State
from sidecar.core.verdict import (
    Answer,
    Gate,
    Latch,
    Line,
    Mark,
    Probe,
    Standing,
    Verdict,
    has_started,
    judge,
    judge_one,
    pending_after_edit,
)
from tests.core.standings import AWAITED, DEADLINE, FRESH, LATCHED, NOW, SITUATIONS, UP_WITH_WARNING, standing

# The mark of a check's line by what it gates. `start` and `late` are `startup` and `liveness` before the
# latch and from the deadline on, `passed` and `early` after the latch and before the deadline.
TABLE = {
    Probe.STARTUPZ: """
        situation             start passed ready early late none
        never ran             -     !      !     !     !    !
        unknown               -     !      !     !     !    !
        unknown, stale        -     !      !     !     !    !
        up                    +     +      +     +     +    +
        up, failing           +     +      +     +     +    +
        up, stale             +     +      !     !     !    !
        down                  +     +      !     !     !    !
        down, recovering      +     +      !     !     !    !
        down, stale           +     +      !     !     !    !
        never up              -     !      !     !     !    !
        never up, stale       -     !      !     !     !    !
        new, never ran        !     !      !     !     !    !
        new, unknown          !     !      !     !     !    !
        new, never up         !     !      !     !     !    !
        new, never up, stale  !     !      !     !     !    !
        new, up               +     +      +     +     +    +
        new, up, stale        +     +      !     !     !    !
        new, down             +     +      !     !     !    !
        """,
    Probe.READYZ: """
        situation             start passed ready early late none
        never ran             -     !      -     !     !    !
        unknown               -     !      -     !     !    !
        unknown, stale        -     !      -     !     !    !
        up                    +     +      +     +     +    +
        up, failing           +     +      +     +     +    +
        up, stale             !     !      -     !     !    !
        down                  !     !      -     !     !    !
        down, recovering      !     !      -     !     !    !
        down, stale           !     !      -     !     !    !
        never up              -     !      -     !     !    !
        never up, stale       -     !      -     !     !    !
        new, never ran        !     !      !     !     !    !
        new, unknown          !     !      !     !     !    !
        new, never up         !     !      !     !     !    !
        new, never up, stale  !     !      !     !     !    !
        new, up               +     +      +     +     +    +
        new, up, stale        !     !      !     !     !    !
        new, down             !     !      !     !     !    !
        """,
    Probe.LIVEZ: """
        situation             start passed ready early late none
        never ran             !     !      !     !     !    !
        unknown               !     !      !     !     !    !
        unknown, stale        !     !      !     !     !    !
        up                    +     +      +     +     +    +
        up, failing           +     +      +     +     +    +
        up, stale             !     !      !     !     !    !
        down                  !     !      !     -     -    !
        down, recovering      !     !      !     -     -    !
        down, stale           !     !      !     !     !    !
        never up              !     !      !     !     -    !
        never up, stale       !     !      !     !     !    !
        new, never ran        !     !      !     !     !    !
        new, unknown          !     !      !     !     !    !
        new, never up         !     !      !     !     !    !
        new, never up, stale  !     !      !     !     !    !
        new, up               +     +      +     +     +    +
        new, up, stale        !     !      !     !     !    !
        new, down             !     !      !     !     !    !
        """,
}
COLUMNS = ["start", "passed", "ready", "early", "late", "none"]


def read(table: str) -> dict[str, dict[str, str]]:
    """Return the rows by situation, each a mark by column."""
    rows = [line.rsplit(maxsplit=len(COLUMNS)) for line in table.strip().splitlines()]
    assert rows[0][1:] == COLUMNS
    return {situation.strip(): dict(zip(COLUMNS, marks, strict=True)) for situation, *marks in rows[1:]}


MARKS = {probe: read(table) for probe, table in TABLE.items()}
GATE_SETS = list(chain.from_iterable(combinations(Gate, size) for size in range(len(Gate) + 1)))
Moment = tuple[tuple[Gate, ...], bool, Phase, bool]
MOMENTS: list[Moment] = list(product(GATE_SETS, (False, True), Phase, (False, True)))
"""Gates, whether startup has passed, the phase, whether the deadline has passed."""


def marks_at(probe: Probe, situation: str, moment: Moment) -> str:
    """Return the marks that the probe gives at a moment."""
    gates, has_passed, phase, is_late = moment
    latch = Latch(startup_passed=has_passed, liveness_deadline=NOW if is_late else DEADLINE)
    verdict = judge(probe, [standing(situation, *gates)], phase, latch, NOW)
    return "".join(line.mark for line in verdict.lines)


def expected_at(probe: Probe, situation: str, moment: Moment) -> str:
    """Return what the table says: a gate that holds back wins, then one that shows the check as good."""
    gates, has_passed, phase, is_late = moment
    row = MARKS[probe][situation]
    column = {
        Gate.STARTUP: "passed" if has_passed else "start",
        Gate.READINESS: "ready",
        Gate.LIVENESS: "late" if is_late else "early",
    }
    shown = [row[column[gate]] for gate in gates] or [row["none"]]
    strongest = next(mark for mark in "-+!" if mark in shown)
    is_leaving = probe is Probe.READYZ and phase in (Phase.DRAINING, Phase.STOPPED)
    return strongest + "-" * is_leaving


def test_the_table_lists_every_situation() -> None:
    assert {probe: list(rows) for probe, rows in MARKS.items()} == {
        probe: list(SITUATIONS) for probe in Probe
    }


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("probe", Probe)
def test_a_probe_marks_a_check_as_the_table_says_at_every_moment(probe: Probe, situation: str) -> None:
    marks = {moment: marks_at(probe, situation, moment) for moment in MOMENTS}

    assert marks == {moment: expected_at(probe, situation, moment) for moment in MOMENTS}


# What a line says beside its mark: text, reason, message.
REFUSED = ("refused", "db:5432 refused")
STORIES = {
    "never ran": ("unknown", "no result yet", ""),
    "unknown": ("unknown", *REFUSED),
    "unknown, stale": ("unknown", "stale", "db:5432 refused"),
    "up, stale": ("up", "stale", ""),
    "down": ("down", *REFUSED),
    "down, recovering": ("down", "", ""),
    "down, stale": ("down", "stale", "db:5432 refused"),
    "never up": ("down", *REFUSED),
    "never up, stale": ("down", "stale", "db:5432 refused"),
    "new, never ran": ("new", "no result yet", ""),
    "new, unknown": ("new", *REFUSED),
    "new, never up": ("new", *REFUSED),
    "new, never up, stale": ("new", "stale", "db:5432 refused"),
    "new, up, stale": ("new", "stale", ""),
    "new, down": ("new", *REFUSED),
}


@pytest.mark.parametrize("situation", STORIES)
def test_what_does_not_gate_is_noted_with_its_status_and_its_reason(situation: str) -> None:
    status, reason, message = STORIES[situation]
    gates = [Gate.READINESS] if status == "new" else []

    verdict = judge(Probe.READYZ, [standing(situation, *gates)], Phase.SERVING, LATCHED, NOW)

    expected = Line(name="db", mark=Mark.NOTED, text=f"{status}, not gating", reason=reason, message=message)
    assert verdict.lines == (expected,)


@pytest.mark.parametrize("situation", [s for s in STORIES if MARKS[Probe.READYZ][s]["ready"] == "-"])
def test_what_holds_back_is_failed_with_its_reason(situation: str) -> None:
    _, reason, message = STORIES[situation]

    verdict = judge(Probe.READYZ, [standing(situation, Gate.READINESS)], Phase.SERVING, LATCHED, NOW)

    expected = Line(name="db", mark=Mark.FAILED, text="failed", reason=reason, message=message)
    assert verdict.lines == (expected,)


@pytest.mark.parametrize("probe", Probe)
def test_what_is_up_is_ok_and_says_no_more(probe: Probe) -> None:
    ok = (Line(name="db", mark=Mark.OK, text="ok"),)

    lines = [
        judge(probe, [standing(situation)], Phase.SERVING, LATCHED, NOW).lines
        for situation in ("up", "up, failing", "new, up")
    ]

    assert lines == [ok, ok, ok]


@pytest.mark.parametrize("probe", Probe)
def test_a_warning_is_noted_and_passes(probe: Probe) -> None:
    warned = replace(standing("up", *Gate), state=UP_WITH_WARNING)

    verdict = judge(probe, [warned], Phase.SERVING, LATCHED, NOW)

    expected = Line(name="db", mark=Mark.NOTED, text="warning", message="ends in 6 days")
    assert (verdict.lines, verdict.answer) == ((expected,), Answer.WARN)


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.STOPPED])
def test_leaving_is_a_failed_line_of_its_own_at_the_end_of_readyz_alone(phase: Phase) -> None:
    checks = [standing("up", Gate.READINESS, name=name) for name in ("a", "b")]

    lines = {probe: judge(probe, checks, phase, LATCHED, NOW).lines for probe in Probe}

    ok = tuple(Line(name=name, mark=Mark.OK, text="ok") for name in ("a", "b"))
    assert lines == {
        Probe.LIVEZ: ok,
        Probe.STARTUPZ: ok,
        Probe.READYZ: (*ok, Line(name=phase, mark=Mark.FAILED)),
    }


def test_lines_keep_the_configured_order() -> None:
    checks = [standing(situation, *Gate, name=situation) for situation in reversed(SITUATIONS)]

    verdict = judge(Probe.READYZ, checks, Phase.SERVING, AWAITED, NOW)

    assert [line.name for line in verdict.lines] == list(reversed(SITUATIONS))


@pytest.mark.parametrize("probe", Probe)
@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.SERVING])
def test_without_checks_every_probe_passes(probe: Probe, phase: Phase) -> None:
    verdict = judge(probe, [], phase, AWAITED, NOW)

    assert (verdict, verdict.answer) == (Verdict(lines=(), expires_at=DEADLINE), Answer.PASS)


@pytest.mark.parametrize(
    ("marks", "answer"),
    [
        ("", Answer.PASS),
        ("+", Answer.PASS),
        ("+!+", Answer.WARN),
        ("-", Answer.FAIL),
        ("+!-", Answer.FAIL),
        ("-+", Answer.FAIL),
    ],
)
def test_the_worst_line_is_the_answer(marks: str, answer: Answer) -> None:
    lines = tuple(Line(name="db", mark=Mark(mark)) for mark in marks)

    assert Verdict(lines=lines, expires_at=inf).answer is answer


@pytest.mark.parametrize(
    ("situation", "seconds_to_stale", "mark"),
    [("up", 0.001, "+"), ("up", 0.0, "-"), ("up", -1.0, "-")],
)
def test_readiness_is_lost_in_the_very_moment_of_staleness(
    situation: str, seconds_to_stale: float, mark: str
) -> None:
    check = replace(standing(situation, Gate.READINESS), stale_at=NOW + seconds_to_stale)

    verdict = judge(Probe.READYZ, [check], Phase.SERVING, LATCHED, NOW)

    assert verdict.lines[0].mark == mark


@pytest.mark.parametrize(("seconds_to_deadline", "mark"), [(0.001, "!"), (0.0, "-"), (-1.0, "-")])
def test_an_app_that_never_came_up_is_dead_from_the_very_deadline(
    seconds_to_deadline: float, mark: str
) -> None:
    latch = replace(LATCHED, liveness_deadline=NOW + seconds_to_deadline)

    verdict = judge(Probe.LIVEZ, [standing("never up", Gate.LIVENESS)], Phase.SERVING, latch, NOW)

    assert verdict.lines[0].mark == mark


@pytest.mark.parametrize(
    ("stale_ats", "deadline", "expected"),
    [
        # what comes first
        ((NOW + 3, NOW + 2), NOW + 1, NOW + 1),
        ((NOW + 1, NOW + 2), NOW + 3, NOW + 1),
        ((NOW + 2, NOW + 1), NOW + 3, NOW + 1),
        # what has happened is no more awaited, nor what happens now
        ((NOW - 1, NOW), NOW + 3, NOW + 3),
        ((NOW - 1, NOW + 2), NOW, NOW + 2),
        # nothing more will happen by itself
        ((NOW, inf), NOW - 1, inf),
        ((), NOW, inf),
    ],
)
def test_a_verdict_expires_when_time_alone_may_change_it(
    stale_ats: tuple[float, ...], deadline: float, expected: float
) -> None:
    checks = [replace(standing("up"), stale_at=stale_at) for stale_at in stale_ats]

    verdict = judge(Probe.READYZ, checks, Phase.SERVING, replace(LATCHED, liveness_deadline=deadline), NOW)

    assert verdict.expires_at == expected


STARTED = {
    "never ran": False,
    "unknown": False,
    "up": True,
    "up, stale": True,
    "down": True,
    "never up": False,
    "new, never ran": True,
    "new, never up": True,
}


@pytest.mark.parametrize("situation", STARTED)
def test_startup_has_passed_once_what_gates_it_has_been_up(situation: str) -> None:
    others = [standing("never up", Gate.READINESS, Gate.LIVENESS), standing("up", Gate.STARTUP)]

    started = has_started([*others, standing(situation, Gate.STARTUP)])

    assert started is STARTED[situation]


def test_startup_has_passed_where_nothing_gates_it() -> None:
    assert has_started([]) is True


def test_a_check_whose_latch_was_restored_holds_back_no_startup() -> None:
    restored = replace(standing("never ran", Gate.STARTUP), state=State(has_been_up=True))

    marks = [judge(probe, [restored], Phase.STARTING, AWAITED, NOW).lines[0].mark for probe in Probe]

    assert (has_started([restored]), dict(zip(Probe, marks, strict=True))) == (
        True,
        {Probe.LIVEZ: Mark.NOTED, Probe.READYZ: Mark.NOTED, Probe.STARTUPZ: Mark.OK},
    )


# Asked by name a check answers as if it alone gated the probe, whatever it gates, new or not, latched or not.
BY_NAME = {
    # situation: livez before and from the deadline on, readyz, startupz
    "never ran": "!!--",
    "unknown": "!!--",
    "unknown, stale": "!!--",
    "up": "++++",
    "up, failing": "++++",
    "up, stale": "!!-+",
    "down": "---+",
    "down, recovering": "---+",
    "down, stale": "!!-+",
    "never up": "!---",
    "never up, stale": "!!--",
    "new, never ran": "!!--",
    "new, unknown": "!!--",
    "new, never up": "!---",
    "new, never up, stale": "!!--",
    "new, up": "++++",
    "new, up, stale": "!!-+",
    "new, down": "---+",
}


@pytest.mark.parametrize("latch", [AWAITED, LATCHED])
@pytest.mark.parametrize("gates", GATE_SETS)
def test_asked_by_name_a_check_answers_as_if_it_alone_gated_the_probe(
    gates: tuple[Gate, ...], latch: Latch
) -> None:
    late = replace(latch, liveness_deadline=NOW)

    marks = {
        situation: "".join(
            judge_one(probe, standing(situation, *gates), each, NOW).lines[0].mark
            for probe, each in (
                (Probe.LIVEZ, latch),
                (Probe.LIVEZ, late),
                (Probe.READYZ, latch),
                (Probe.STARTUPZ, latch),
            )
        )
        for situation in SITUATIONS
    }

    assert marks == BY_NAME


def test_asked_by_name_a_check_has_one_line_with_its_reason_and_its_own_expiry() -> None:
    verdict = judge_one(Probe.READYZ, standing("down"), LATCHED, NOW)

    failed = Line(name="db", mark=Mark.FAILED, text="failed", reason="refused", message="db:5432 refused")
    assert verdict == Verdict(lines=(failed,), expires_at=FRESH)


def test_a_standing_is_up_only_on_a_result_that_is_fresh() -> None:
    is_up = {
        situation: standing(situation).is_up(NOW)
        for situation in ("up", "up, failing", "up, stale", "down", "unknown", "never ran")
    }

    assert is_up == {
        "up": True,
        "up, failing": True,
        "up, stale": False,
        "down": False,
        "unknown": False,
        "never ran": False,
    }


def test_standings_gate_by_default_as_configured_checks_that_are_not_new() -> None:
    check = Standing(name="db", gates=frozenset(), state=State(), stale_at=inf)

    assert check.is_new is False


ALL: Final = frozenset(Gate)
READY: Final = frozenset({Gate.READINESS})


@pytest.mark.parametrize("situation", ["up", "up, failing"])
def test_another_question_to_a_check_that_is_up_has_its_gates_wait(situation: str) -> None:
    old = standing(situation, Gate.READINESS)

    assert pending_after_edit(old, ALL, NOW, is_edited=True) == ALL
    assert pending_after_edit(old, ALL, NOW, is_edited=False) == frozenset()


@pytest.mark.parametrize("is_edited", [True, False])
@pytest.mark.parametrize("situation", ["down", "never up", "unknown", "never ran", "up, stale"])
def test_a_check_that_is_not_up_goes_on_holding_back_what_it_held_and_no_more(
    situation: str, is_edited: bool
) -> None:
    old = standing(situation, Gate.READINESS)

    assert pending_after_edit(old, READY, NOW, is_edited=is_edited) == frozenset()
    assert pending_after_edit(old, ALL, NOW, is_edited=is_edited) == ALL - READY


@pytest.mark.parametrize("is_edited", [True, False])
def test_gates_that_wait_go_on_waiting_over_another_edit(is_edited: bool) -> None:
    old = standing("new, never up", Gate.READINESS)

    assert pending_after_edit(old, READY, NOW, is_edited=is_edited) == READY


def test_all_gates_of_an_added_check_wait() -> None:
    assert pending_after_edit(None, READY, NOW, is_edited=False) == READY
