"""What the board remembers for people and for the next life of the container, and whom it wakes."""

from sidecar.core.check import Reason
from sidecar.core.phase import Phase
from sidecar.core.result import Outcome
from sidecar.core.verdict import Gate
from sidecar.runtime.board import Board
from tests.boards import StoppedClock, board_of, check, failure, record_all, success


def test_what_was_proved_in_another_life_of_the_container_passes_startup_at_once() -> None:
    clock = StoppedClock()
    configs = [check("builds", Gate.STARTUP), check("artifacts", Gate.STARTUP)]

    all_proved, one_proved = (
        Board(configs, started_at=clock.now, startup_deadline=300.0, proved=proved)
        for proved in ({"builds", "artifacts"}, {"builds"})
    )

    assert [(board.phase, board.latch.startup_passed) for board in (all_proved, one_proved)] == [
        (Phase.SERVING, True),
        (Phase.STARTING, False),
    ]
    assert [entry.state.has_been_up for entry in one_proved.entries()] == [True, False]


def test_the_last_twenty_outcomes_are_kept() -> None:
    clock = StoppedClock()
    board = board_of(check("db"), clock=clock)
    board.record("db", failure(clock, Reason.AUTH))
    record_all(board, ["db"] * 18, success(clock))
    board.record("db", success(clock, message="slow"))
    [entry] = board.entries()
    full = entry.recent

    board.record("db", success(clock))

    assert full == (Outcome.FAILURE, *[Outcome.SUCCESS] * 18, Outcome.WARNING)
    assert entry.recent == (*[Outcome.SUCCESS] * 18, Outcome.WARNING, Outcome.SUCCESS)


def test_watchers_are_called_at_each_rise_of_the_version() -> None:
    clock = StoppedClock()
    board = board_of(check("db", Gate.READINESS), clock=clock)
    at_first, seen = board.version, list[int]()
    board.watch(lambda: seen.append(board.version))

    board.record("db", success(clock))
    board.record("db", success(clock))
    board.enter(Phase.DRAINING)
    board.apply([check("db")], edited=(), now=clock.now)

    assert seen == [at_first + 1, at_first + 2, at_first + 3]
    assert seen[-1] == board.version
