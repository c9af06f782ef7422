"""Where everything stands: one writer, versions that rise only when an answer may change, listeners told."""

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.check import CheckConfig
from sidecar.core.check import Reason
from sidecar.core.events import Event, StartupPassed, StatusChanged
from sidecar.core.phase import Phase
from sidecar.core.result import Outcome
from sidecar.core.state import State, Status
from sidecar.core.verdict import Answer, Gate, Latch, Line, Mark, Probe, Standing, Verdict
from sidecar.runtime.board import DURATION_BUCKETS, Board, Tally
from tests.core.builders import EPOCH, result

START: Final = 100.0
DEADLINE: Final = 300.0


def config(name: str, *gates: Gate, failure_threshold: int = 2, success_threshold: int = 1) -> CheckConfig:
    return CheckConfig(
        name=name,
        type="tcp",
        gates=frozenset(gates),
        interval=10.0,
        timeout=2.0,
        failure_threshold=failure_threshold,
        success_threshold=success_threshold,
    )


def board_of(*configs: CheckConfig) -> Board:
    return Board(configs, started_at=START, startup_deadline=DEADLINE)


def record(board: Board, name: str, letters: str, *, at: float = START + 1.0) -> list[int]:
    """Record a run a second; return the board's version after each."""
    versions = []
    for second, letter in enumerate(letters):
        board.record(name, result(letter, at=at + second))
        versions.append(board.version)
    return versions


def test_a_board_begins_with_what_is_not_known_yet() -> None:
    board = board_of(config("a", Gate.STARTUP), config("b"))

    expected = [(each, State(since=START), Tally(), 0) for each in (config("a", Gate.STARTUP), config("b"))]
    assert [(e.config, e.state, e.tally, e.runs_in_status) for e in board.entries()] == expected
    assert (board.version, board.phase, board.latch, board.requests) == (
        0,
        Phase.STARTING,
        Latch(startup_passed=False, liveness_deadline=START + DEADLINE),
        Counter(),
    )


@pytest.mark.parametrize("gates", [[], [Gate.READINESS, Gate.LIVENESS]])
def test_where_nothing_gates_startup_it_has_passed_from_the_first_moment(gates: list[Gate]) -> None:
    board = board_of(config("a", *gates))

    assert (board.latch.startup_passed, board.phase) == (True, Phase.SERVING)


def test_startup_passes_with_the_last_check_that_gates_it() -> None:
    board = board_of(config("a", Gate.STARTUP), config("b", Gate.STARTUP), config("c"))

    record(board, "c", "s")
    record(board, "a", "s")
    early = (board.latch.startup_passed, board.phase)
    record(board, "b", "w")

    assert (early, (board.latch, board.phase)) == (
        (False, Phase.STARTING),
        (Latch(startup_passed=True, liveness_deadline=START + DEADLINE), Phase.SERVING),
    )


def test_startup_once_passed_stays_passed() -> None:
    board = board_of(config("a", Gate.STARTUP))
    record(board, "a", "sfffff")

    answers = [board.verdict(probe, START + 7).answer for probe in (Probe.STARTUPZ, Probe.READYZ)]

    assert (board.latch.startup_passed, board.phase, answers) == (
        True,
        Phase.SERVING,
        [Answer.PASS, Answer.WARN],
    )


def test_startup_that_passes_during_a_drain_ends_no_drain() -> None:
    board = board_of(config("a", Gate.STARTUP))
    board.enter(Phase.DRAINING)

    record(board, "a", "s")

    assert (board.latch.startup_passed, board.phase) == (True, Phase.DRAINING)


def test_record_settles_with_the_thresholds_of_the_check_and_returns_its_state() -> None:
    board = board_of(config("a", failure_threshold=2, success_threshold=2))

    states = [board.record("a", result(letter, at=START + n)) for n, letter in enumerate("ssff")]

    [entry] = board.entries()
    assert ([state.status for state in states], states[-1]) == (
        [Status.UNKNOWN, Status.UP, Status.UP, Status.DOWN],
        entry.state,
    )


def test_standings_carry_what_verdicts_need_in_the_configured_order() -> None:
    board = board_of(config("b", Gate.STARTUP), config("a", Gate.LIVENESS, Gate.READINESS))
    state = board.record("a", result("s", at=START + 5))

    assert board.standings() == [
        Standing(
            name="b",
            gates=frozenset({Gate.STARTUP}),
            state=State(since=START),
            stale_at=float("inf"),
        ),
        Standing(
            name="a",
            gates=frozenset({Gate.LIVENESS, Gate.READINESS}),
            state=state,
            stale_at=START + 5 + 2.5 * 10 + 2,
        ),
    ]


def test_the_trust_in_refused_credentials_grows_with_the_delay_to_the_next_run() -> None:
    board = board_of(config("a", failure_threshold=1))
    record(board, "a", "aaaaaaaa", at=START)

    assert board.standings()[0].stale_at == START + 7 + 2.5 * 30 + 2


def test_a_verdict_is_judged_with_the_phase_and_the_latch() -> None:
    board = board_of(config("a", Gate.STARTUP))
    record(board, "a", "s", at=START)
    board.enter(Phase.DRAINING)

    verdicts = {probe: board.verdict(probe, START + 1) for probe in (Probe.READYZ, Probe.STARTUPZ)}

    ok = Line(name="a", mark=Mark.OK, text="ok")
    draining = Line(name="draining", mark=Mark.FAILED)
    assert verdicts == {
        Probe.READYZ: Verdict(lines=(ok, draining), expires_at=START + 27),
        Probe.STARTUPZ: Verdict(lines=(ok,), expires_at=START + 27),
    }


def test_a_liveness_check_that_never_came_up_fails_from_the_deadline_after_our_start() -> None:
    board = board_of(config("a", Gate.LIVENESS))
    record(board, "a", "ff", at=START + DEADLINE - 5)

    answers = [board.verdict(Probe.LIVEZ, START + DEADLINE + late).answer for late in (-0.001, 0.0)]

    assert answers == [Answer.WARN, Answer.FAIL]


def test_one_check_is_asked_by_its_name() -> None:
    board = board_of(config("a"), config("b"))
    record(board, "b", "ff", at=START)

    verdicts = [board.verdict_on(name, Probe.READYZ, START + 2) for name in ("b", "nobody")]

    refused = Line(name="b", mark=Mark.FAILED, text="failed", reason="refused", message="db:5432 refused")
    assert verdicts == [Verdict(lines=(refused,), expires_at=START + 1 + 27), None]


def test_requests_are_counted_by_probe_and_code() -> None:
    board = board_of()
    for probe, code in (("readyz", 200), ("readyz", 503), ("readyz", 200), ("livez", 200)):
        board.count_request(probe, code)

    assert board.requests == {("readyz", 200): 2, ("readyz", 503): 1, ("livez", 200): 1}


@pytest.mark.parametrize(
    ("letters", "rises"),
    [
        # the same story again is no new answer
        ("ssss", [True, False, False, False]),
        ("ffff", [True, True, False, False]),
        # another outcome, reason or message is, and so is another status
        ("swws", [True, True, False, True]),
        ("ffaab", [True, True, True, False, True]),
        ("sfsfff", [True, True, True, True, True, False]),
    ],
)
def test_the_version_rises_when_an_answer_may_have_changed(letters: str, rises: list[bool]) -> None:
    board = board_of(config("a"))
    versions = [board.version, *record(board, "a", letters)]

    assert [after > before for before, after in pairwise(versions)] == rises


@pytest.mark.parametrize(
    ("letters", "turns"),
    [
        # other words for the same status turn no probe
        ("swsf", [True, False, False, False]),
        ("ffab", [False, True, False, False]),
        # another status may
        ("sffs", [True, False, True, True]),
    ],
)
def test_a_probe_may_turn_only_where_a_status_does(letters: str, turns: list[bool]) -> None:
    board = board_of(config("a", Gate.READINESS))
    seen = [board.turns]
    for second, letter in enumerate(letters):
        board.record("a", result(letter, at=START + second))
        seen.append(board.turns)

    assert [after > before for before, after in pairwise(seen)] == turns


def test_a_check_that_gates_nothing_turns_no_probe() -> None:
    board = board_of(config("a"))
    before = board.turns, board.version

    record(board, "a", "sffs")

    assert (board.turns, board.version) == (before[0], before[1] + 4)


def test_the_version_rises_when_a_message_alone_changes() -> None:
    board = board_of(config("a"))
    board.record("a", replace(result("f", at=START), message="hung for 1s"))
    before = board.version

    board.record("a", replace(result("f", at=START + 1), message="hung for 2s"))
    board.record("a", replace(result("f", at=START + 2), message="hung for 3s"))

    assert board.version == before + 2


def test_the_version_rises_when_a_check_comes_back_from_staleness_with_the_same_story() -> None:
    board = board_of(config("a", Gate.READINESS))
    record(board, "a", "ss", at=START)
    answered = board.version
    stale = board.verdict(Probe.READYZ, START + 60).answer

    record(board, "a", "s", at=START + 60)

    assert (stale, board.verdict(Probe.READYZ, START + 60).answer, board.version > answered) == (
        Answer.FAIL,
        Answer.PASS,
        True,
    )


@pytest.mark.parametrize(("late", "rises"), [(26.999, 0), (27.0, 1)])
def test_a_result_just_in_time_is_no_new_answer_and_one_just_too_late_is(late: float, rises: int) -> None:
    board = board_of(config("a"))
    record(board, "a", "s", at=START)
    before = board.version

    record(board, "a", "s", at=START + late)

    assert board.version == before + rises


def test_the_version_rises_with_another_phase_alone() -> None:
    board = board_of()
    versions = [board.version]
    for phase in (Phase.SERVING, Phase.DRAINING, Phase.DRAINING, Phase.STOPPED):
        board.enter(phase)
        versions.append(board.version)

    first = versions[0]
    assert (versions, board.phase) == (
        [first, first, first + 1, first + 1, first + 2],
        Phase.STOPPED,
    )


def test_asking_and_counting_raise_no_version() -> None:
    board = board_of(config("a"))
    before = board.version

    board.verdict(Probe.READYZ, START)
    board.verdict_on("a", Probe.READYZ, START)
    board.count_request("readyz", 503)

    assert board.version == before


def test_every_status_change_is_told_once_to_every_listener() -> None:
    board = board_of(config("a", failure_threshold=2))
    told: list[list[Event]] = [[], []]
    for each in told:
        board.subscribe(each.append)
    states = [State(since=START)] + [
        board.record("a", result(letter, at=START + 1 + n)) for n, letter in enumerate("fsssffffs")
    ]

    expected = [
        StatusChanged(name="a", type="tcp", before=states[1], after=states[2], runs_before=1),
        StatusChanged(name="a", type="tcp", before=states[5], after=states[6], runs_before=3),
        StatusChanged(name="a", type="tcp", before=states[8], after=states[9], runs_before=2),
    ]
    assert told == [expected, expected]


def test_how_long_a_status_lasted_is_counted_from_our_start_or_its_flip() -> None:
    board = board_of(config("a", failure_threshold=1))
    told: list[Event] = []
    board.subscribe(told.append)

    record(board, "a", "sssf", at=START + 4.0)

    assert [event.lasted for event in told if isinstance(event, StatusChanged)] == [4.0, 3.0]


def test_a_start_is_told_once_after_the_status_change_that_passed_it() -> None:
    board = board_of(config("a", Gate.STARTUP), config("b", Gate.STARTUP))
    told: list[Event] = []
    board.subscribe(told.append)

    record(board, "a", "s", at=START + 4.0)
    record(board, "b", "ffsffs", at=START + 5.0)

    assert [type(event) for event in told] == [
        StatusChanged,  # a is up
        StatusChanged,  # b is down
        StatusChanged,  # b is up
        StartupPassed,
        StatusChanged,  # b is down
        StatusChanged,  # b is up
    ]
    assert told[3] == StartupPassed(after=7.0)


def test_a_start_that_nothing_gates_is_not_told() -> None:
    board = board_of(config("a"))
    told: list[Event] = []
    board.subscribe(told.append)

    record(board, "a", "s")

    assert [type(event) for event in told] == [StatusChanged]


def test_listeners_find_the_board_as_it_is_after_the_event() -> None:
    board = board_of(config("a", Gate.STARTUP))
    seen: list[tuple[type[Event], Phase, Answer]] = []
    board.subscribe(
        lambda event: seen.append((type(event), board.phase, board.verdict(Probe.READYZ, START + 1).answer))
    )

    record(board, "a", "s")

    assert seen == [
        (StatusChanged, Phase.STARTING, Answer.PASS),
        (StartupPassed, Phase.SERVING, Answer.PASS),
    ]


def test_tallies_count_everything_that_metrics_show() -> None:
    board = board_of(config("a", failure_threshold=2), config("b"))
    runs = [
        result("s", at=START, duration=0.001),
        result("w", at=START + 1, duration=0.3),
        replace(result("f", at=START + 2, duration=4.0), connections_opened=2),
        result("f", at=START + 3, duration=0.3),
        replace(result("a", at=START + 4, duration=0.01), connections_opened=1),
    ]
    for run in runs:
        board.record("a", run)

    tallies = [entry.tally for entry in board.entries()]

    expected = Tally(
        runs=Counter({Outcome.SUCCESS: 1, Outcome.WARNING: 1, Outcome.FAILURE: 3}),
        failures=Counter({Reason.REFUSED: 2, Reason.AUTH: 1}),
        transitions=Counter({Status.UP: 1, Status.DOWN: 1}),
        durations=[1, 1, 2, 0, 1],
        duration_sum=pytest.approx(4.611),  # type: ignore[arg-type]
        connections_opened=3,
        last_success_time=EPOCH + START + 1,
    )
    assert tallies == [expected, Tally()]


@pytest.mark.parametrize(
    ("duration", "bucket"),
    [(0.0, 0), (0.005, 0), (0.006, 1), (0.05, 1), (0.051, 2), (0.5, 2), (0.51, 3), (2.0, 3), (2.001, 4)],
)
def test_a_duration_counts_in_the_first_bucket_whose_bound_it_does_not_pass(
    duration: float, bucket: int
) -> None:
    tally = Tally()

    tally.add(result("s", duration=duration))

    assert tally.durations == [int(n == bucket) for n in range(len(DURATION_BUCKETS) + 1)]


def test_a_tally_has_no_success_time_before_the_first_success() -> None:
    tally = Tally()

    tally.add(result("f"))

    assert tally.last_success_time is None


def test_a_check_that_is_not_on_the_board_cannot_be_recorded() -> None:
    with pytest.raises(KeyError, match="nobody"):
        board_of().record("nobody", result("s"))


@dataclass
class Reader:
    """Keeps an answer until the board's version or the answer's expiry says that it may be another."""

    board: Board
    kept: dict[Probe, tuple[int, Verdict]] = field(default_factory=dict)

    def read(self, probe: Probe, now: float) -> tuple[Line, ...]:
        version, verdict = self.kept.get(probe, (-1, None))
        if verdict is None or version != self.board.version or now >= verdict.expires_at:
            verdict = self.board.verdict(probe, now)
            self.kept[probe] = (self.board.version, verdict)
        return verdict.lines


CHECKS: Final = (
    config("a", Gate.STARTUP, failure_threshold=1),
    config("b", Gate.READINESS, Gate.LIVENESS, success_threshold=2),
    config("c", Gate.READINESS, Gate.STARTUP),
)
steps = st.tuples(
    st.floats(0, 40),
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.sampled_from("ssswfa")),
        st.sampled_from([Phase.DRAINING, Phase.STOPPED]),
        st.none(),
    ),
)


@dataclass
class Sceptic:
    """Keeps whether a probe passes until the board's turns or the answer's expiry say that it may not."""

    board: Board
    kept: dict[Probe, tuple[int, Verdict]] = field(default_factory=dict)

    def passes(self, probe: Probe, now: float) -> bool:
        turns, verdict = self.kept.get(probe, (-1, None))
        if verdict is None or turns != self.board.turns or now >= verdict.expires_at:
            verdict = self.board.verdict(probe, now)
            self.kept[probe] = (self.board.turns, verdict)
        return verdict.answer is not Answer.FAIL


@settings(deadline=None)
@given(st.lists(steps, max_size=25))
def test_whether_a_probe_passes_is_known_until_turns_or_expiry(
    taken: list[tuple[float, tuple[str, str] | Phase | None]],
) -> None:
    board = Board(CHECKS, started_at=START, startup_deadline=60.0)
    sceptic, now = Sceptic(board), START
    kept, fresh = [], []
    for passed, happens in taken:
        now += passed
        if isinstance(happens, Phase):
            board.enter(happens)
        elif happens is not None:
            board.record(happens[0], result(happens[1], at=now))
        kept += [sceptic.passes(probe, now) for probe in Probe]
        fresh += [board.verdict(probe, now).answer is not Answer.FAIL for probe in Probe]

    assert kept == fresh


@settings(deadline=None)
@given(st.lists(steps, max_size=25))
def test_an_answer_that_is_kept_until_version_or_expiry_is_always_the_answer(
    taken: list[tuple[float, tuple[str, str] | Phase | None]],
) -> None:
    board = Board(CHECKS, started_at=START, startup_deadline=60.0)
    reader, now = Reader(board), START
    kept, fresh = [], []
    for passed, happens in taken:
        now += passed
        kept += [reader.read(probe, now) for probe in Probe]
        fresh += [board.verdict(probe, now).lines for probe in Probe]
        if isinstance(happens, Phase):
            board.enter(happens)
        elif happens is not None:
            board.record(happens[0], result(happens[1], at=now))
        kept += [reader.read(probe, now) for probe in Probe]
        fresh += [board.verdict(probe, now).lines for probe in Probe]

    assert kept == fresh
