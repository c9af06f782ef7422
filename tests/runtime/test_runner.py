"""One run, contained: whatever a check does, its run ends in time and as a result, and harms nothing."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from sidecar.core.check import CheckFailed, Reason
from sidecar.core.result import Outcome, Result
from sidecar.runtime.pacer import Pacer
from sidecar.runtime.runner import Runner
from sidecar.support.driver import Driver
from sidecar.support.text import Redactor
from tests.boards import StoppedClock
from tests.runtime.fakes import (
    EPOCH,
    Act,
    FakeCheck,
    HoldingCheck,
    Stubborn,
    cleaning_up_for,
    for_ever,
    in_turn,
    nothing,
    now,
    raising,
    refused,
    runner_of,
    stubborn,
    taking,
)

pytestmark = pytest.mark.looptime


async def warns() -> str:
    return "ends in 6 days"


async def swallows_its_cancellation() -> str:
    try:
        await for_ever()
    except asyncio.CancelledError:
        return "all is well"
    return "not reached"


async def crashes_when_cancelled() -> None:
    try:
        await for_ever()
    finally:
        raise KeyError("half closed")


async def exits_when_cancelled() -> None:
    try:
        await for_ever()
    finally:
        raise SystemExit(3)


async def says_nothing() -> str:
    return ""


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await for_ever()


async def recurses_for_ever() -> None:
    await recurses_for_ever()


async def times_out_within() -> None:
    async with asyncio.timeout(0.5):
        await for_ever()


async def outlives_its_own_timeout() -> str:
    try:
        async with asyncio.timeout(0.5):
            await for_ever()
    except TimeoutError:
        return "the replica gave no answer"
    return "not reached"


async def imports_what_is_missing() -> None:
    Driver("no_such_driver.asyncio", extra="redis").load()


async def answers_false() -> bool:
    return False


async def answers_true() -> bool:
    return True


NO_ANSWER = (Reason.TIMEOUT, "db:5432: gave no answer within 2s")
ENDINGS: dict[str, tuple[Act, Outcome, Reason | None, str, float]] = {
    # what the check does: outcome, reason, message, seconds
    "succeeds": (taking(0.3), Outcome.SUCCESS, None, "", 0.3),
    "says nothing": (says_nothing, Outcome.SUCCESS, None, "", 0.0),
    "warns": (warns, Outcome.WARNING, None, "ends in 6 days", 0.0),
    "fails": (refused, Outcome.FAILURE, Reason.REFUSED, "db:5432 refused the connection", 0.0),
    "answers at the last moment": (taking(1.999), Outcome.SUCCESS, None, "", 1.999),
    "times out by itself": (times_out_within, Outcome.FAILURE, Reason.TIMEOUT, "db:5432: timed out", 0.5),
    "outlives its own timeout": (
        outlives_its_own_timeout,
        Outcome.WARNING,
        None,
        "the replica gave no answer",
        0.5,
    ),
    # what has not ended by the deadline
    "sleeps": (for_ever, Outcome.FAILURE, *NO_ANSWER, 2.0),
    "cleans up for 50 ms": (cleaning_up_for(0.05), Outcome.FAILURE, *NO_ANSWER, 2.05),
    "swallows its cancellation": (swallows_its_cancellation, Outcome.FAILURE, *NO_ANSWER, 2.0),
    "crashes when cancelled": (crashes_when_cancelled, Outcome.FAILURE, *NO_ANSWER, 2.0),
    "exits when cancelled": (exits_when_cancelled, Outcome.FAILURE, *NO_ANSWER, 2.0),
    "cleans up for 10 s": (cleaning_up_for(10), Outcome.FAILURE, *NO_ANSWER, 2.1),
    # bugs
    **{
        f"raises {type(error).__name__}": (
            raising(error),
            Outcome.FAILURE,
            Reason.UNEXPECTED,
            f"unexpected {type(error).__name__}",
            0.0,
        )
        for error in (
            KeyError("host"),
            SystemExit(3),
            KeyboardInterrupt(),
            asyncio.CancelledError(),
            GeneratorExit(),
            MemoryError(),
            ConnectionResetError(104, "reset"),
            ExceptionGroup("two", [CheckFailed(Reason.DNS, "one"), KeyError("two")]),
        )
    },
    "raises TimeoutError": (
        raising(TimeoutError()),
        Outcome.FAILURE,
        Reason.TIMEOUT,
        "db:5432: timed out",
        0,
    ),
    "recurses": (recurses_for_ever, Outcome.FAILURE, Reason.UNEXPECTED, "unexpected RecursionError", 0.0),
    "cancels itself": (cancels_itself, Outcome.FAILURE, Reason.UNEXPECTED, "unexpected CancelledError", 0.0),
    "answers False": (answers_false, Outcome.FAILURE, Reason.UNEXPECTED, "unexpected TypeError", 0.0),
    "answers True": (answers_true, Outcome.FAILURE, Reason.UNEXPECTED, "unexpected TypeError", 0.0),
    "misses its driver": (
        imports_what_is_missing,
        Outcome.FAILURE,
        Reason.UNEXPECTED,
        "the driver no_such_driver.asyncio is not installed; install the extra: pip install 'sidecar[redis]'",
        0.0,
    ),
}


def rounded(result: Result) -> Result:
    """Return the result with its times to the millisecond."""
    return replace(
        result,
        finished_at=round(result.finished_at, 3),
        duration=round(result.duration, 3),
        time=round(result.time, 3),
    )


@pytest.mark.parametrize("behaviour", ENDINGS)
async def test_every_end_of_a_run_is_a_result_within_the_deadline_and_the_grace(behaviour: str) -> None:
    act, outcome, reason, message, seconds = ENDINGS[behaviour]
    await asyncio.sleep(100)

    result = await runner_of(FakeCheck(act)).run()
    await asyncio.sleep(10)

    assert rounded(result) == Result(
        outcome=outcome,
        reason=reason,
        message=message,
        finished_at=100 + seconds,
        duration=seconds,
        time=EPOCH + 100 + seconds,
    )


@pytest.mark.parametrize("behaviour", [name for name in ENDINGS if name != "cleans up for 10 s"])
async def test_a_check_can_be_run_again_after_every_end(behaviour: str) -> None:
    check = FakeCheck(in_turn(ENDINGS[behaviour][0], nothing))
    runner = runner_of(check)
    await runner.run()

    again = await runner.run()

    assert (again.outcome, again.duration) == (Outcome.SUCCESS, 0.0)


async def test_a_check_whose_run_is_no_coroutine_fails_as_any_bug_does() -> None:
    class Sync:
        def run(self) -> Any:
            raise ValueError("not even a coroutine")

        async def aclose(self) -> None: ...

    result = await runner_of(Sync()).run()

    assert (result.reason, result.message) == (Reason.UNEXPECTED, "unexpected ValueError")


@pytest.mark.looptime(False)
async def test_a_check_that_blocked_the_loop_past_its_deadline_still_tells_its_answer() -> None:
    async def blocks() -> None:
        time.sleep(0.2)  # noqa: ASYNC251 - the very fault

    result = await runner_of(FakeCheck(blocks), timeout=0.1).run()

    assert (result.outcome, 0.2 <= result.duration < 2) == (Outcome.SUCCESS, True)


async def test_a_run_left_behind_blocks_others_and_each_reports_a_timeout_until_it_ends() -> None:
    async with stubborn() as act:
        check = FakeCheck(act)
        runner = runner_of(check)
        results = [await runner.run() for _ in range(3)]
        runs_while_it_hung = len(check.began)
        asyncio.get_running_loop().call_later(1.5, act.released.set)
        results.append(await runner.run())

    told = [(result.reason, result.message, round(result.duration, 3)) for result in results]
    hung = "db:5432: a run that ignores its cancellation has hung for"
    assert (told, runs_while_it_hung, len(check.began), check.most_at_once) == (
        [
            (Reason.TIMEOUT, "db:5432: gave no answer within 2s", 2.1),
            (Reason.TIMEOUT, f"{hung} 2s", 2.0),
            (Reason.TIMEOUT, f"{hung} 4s", 2.0),
            (None, "", 1.5),
        ],
        1,
        2,
        1,
    )


async def test_the_time_that_a_run_has_hung_is_not_forgotten_between_runs() -> None:
    async with stubborn() as act:
        runner = runner_of(HoldingCheck(act))
        for _ in range(3):
            result = await runner.run()
            await runner.lost_within(5.0)

    assert result.message == "db:5432: a run that ignores its cancellation has hung for 14s"


async def test_no_loss_is_awaited_on_a_connection_that_a_run_left_behind_still_uses() -> None:
    async with stubborn() as act:
        check = HoldingCheck(act, lose=nothing)
        runner = runner_of(check)
        await runner.run()
        was_lost = await runner.lost_within(1.0)

    assert was_lost is False


async def test_what_has_hung_longest_is_told() -> None:
    async with stubborn() as act, stubborn() as close:
        runner = runner_of(FakeCheck(act, close=close))
        await runner.run()
        await runner.aclose()
        result = await runner.run()

    assert result.message == "db:5432: a run that ignores its cancellation has hung for 3s"


async def test_a_run_that_ended_in_its_grace_blocks_nothing() -> None:
    check = FakeCheck(in_turn(cleaning_up_for(0.099), taking(0.25)))
    runner = runner_of(check)
    first = await runner.run()

    second = rounded(await runner.run())

    assert (first.reason, second.is_success, second.duration) == (Reason.TIMEOUT, True, 0.25)


async def test_a_run_left_behind_that_ends_makes_way_for_the_next_at_once() -> None:
    check = FakeCheck(in_turn(cleaning_up_for(1.0), nothing))
    runner = runner_of(check)
    await runner.run()

    result = rounded(await runner.run())

    assert (result.is_success, result.duration, result.finished_at) == (True, 0.9, 3.0)


async def test_cancelling_the_caller_cancels_the_run_and_is_not_swallowed() -> None:
    check = FakeCheck(for_ever)
    caller = asyncio.create_task(runner_of(check).run())
    await asyncio.sleep(1)

    caller.cancel()
    await asyncio.wait({caller})

    assert (caller.cancelled(), check.at_once, now()) == (True, 0, 1.0)


async def test_a_stubborn_run_holds_up_its_cancelled_caller_for_the_grace_alone() -> None:
    async with stubborn() as act:
        caller = asyncio.create_task(runner_of(FakeCheck(act)).run())
        await asyncio.sleep(1)

        caller.cancel()
        await asyncio.wait({caller})

        assert (caller.cancelled(), now()) == (True, 1.1)


async def test_a_caller_cancelled_twice_ends_at_once_and_the_run_still_blocks_the_next() -> None:
    async with stubborn() as act:
        runner = runner_of(FakeCheck(act))
        caller = asyncio.create_task(runner.run())
        await asyncio.sleep(1)
        caller.cancel()
        await asyncio.sleep(0.05)

        caller.cancel()
        await asyncio.wait({caller})
        ended_at = now()
        result = await runner.run()

    assert (ended_at, result.message) == (
        1.05,
        "db:5432: a run that ignores its cancellation has hung for 2s",
    )


async def keep_busy(pacer: Pacer, turns: int) -> None:
    """Have so many others ask for turns first."""
    for _ in range(turns):
        asyncio.create_task(pacer.turn())  # noqa: RUF006 - they end by themselves
    await asyncio.sleep(0)


async def test_the_time_that_a_run_waited_for_its_turn_is_not_its_own() -> None:
    pacer = Pacer()
    await keep_busy(pacer, 100)

    result = rounded(await runner_of(FakeCheck(taking(0.3)), pacer=pacer).run())

    assert (result.duration, result.finished_at) == (0.3, 0.34)


async def test_many_that_have_to_be_cancelled_are_cancelled_one_at_a_time() -> None:
    pacer, ended = Pacer(), []

    async def hang() -> None:
        try:
            await for_ever()
        finally:
            ended.append(now())

    runners = [runner_of(FakeCheck(nothing, close=hang), pacer=pacer) for _ in range(4)]
    await asyncio.gather(*(runner.aclose() for runner in runners))

    assert ended == [1.0, 1.0004, 1.0008, 1.0012]


async def test_an_answer_that_comes_before_the_turn_to_be_cancelled_is_told() -> None:
    pacer = Pacer()
    running = asyncio.create_task(runner_of(FakeCheck(taking(2.01)), timeout=2.0, pacer=pacer).run())
    await asyncio.sleep(1.9999)
    await keep_busy(pacer, 100)

    result = rounded(await running)

    assert (result.outcome, round(result.duration, 2)) == (Outcome.SUCCESS, 2.04)


async def test_secrets_are_blotted_out_of_messages_before_they_are_cut_and_put_on_one_line() -> None:
    secret = "s3cret/with:odd@chars"
    fails = raising(CheckFailed(Reason.AUTH, f"{'x' * 990}\nAUTH {secret} was refused"))
    runner = runner_of(FakeCheck(fails), redact=Redactor([secret]))

    result = await runner.run()

    assert result.message == f"{'x' * 990} AUTH ***…"


async def test_a_warning_is_blotted_too() -> None:
    async def warns_of_a_url() -> str:
        return "redis://user:hunter22@db:5432 is read-only"

    result = await runner_of(FakeCheck(warns_of_a_url), redact=Redactor()).run()

    assert result.message == "redis://***@db:5432 is read-only"


async def test_a_result_counts_the_connections_that_its_run_opened() -> None:
    async def opens_two() -> None:
        check.connections_opened += 2

    check = HoldingCheck(opens_two, connections_opened=5)
    runner = runner_of(check)

    results = [await runner.run(), await runner.run()]

    assert [result.connections_opened for result in results] == [2, 2]


class Miscounting(FakeCheck):
    """Fails where it is asked how many connections it has opened."""

    @property
    def connections_opened(self) -> int:
        raise RuntimeError("no count")


async def test_a_check_that_cannot_count_has_opened_nothing_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runner = runner_of(Miscounting(nothing))

    results = [await runner.run(), await runner.run()]

    assert [(each.outcome, each.connections_opened) for each in results] == [(Outcome.SUCCESS, 0)] * 2
    assert [record.getMessage() for record in caplog.records] == ["check cannot count its connections"]


async def test_all_that_a_check_does_is_done_in_tasks_that_carry_its_name() -> None:
    names = []

    async def tells_its_name() -> None:
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_name())

    runner = runner_of(HoldingCheck(tells_its_name, close=tells_its_name, lose=tells_its_name))
    await runner.run()
    await runner.lost_within(1.0)
    await runner.aclose()

    assert names == ["run:db", "lost:db", "close:db"]


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str | None]]:
    """Return what was logged: message, check, and the type of the error whose traceback came with it."""
    return [
        (
            record.message,
            record.check,  # type: ignore[attr-defined]
            type(record.exc_info[1]).__name__ if record.exc_info else None,
        )
        for record in caplog.records
    ]


async def test_a_bug_is_logged_once_with_its_traceback_and_not_once_a_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    crashes = [raising(KeyError("host")), nothing, raising(ValueError("port")), raising(KeyError("host"))]
    runner = runner_of(FakeCheck(in_turn(*crashes)))

    for _ in range(8):
        await runner.run()

    assert logged(caplog) == [("check crashed", "db", "KeyError"), ("check crashed", "db", "ValueError")]


async def test_expected_failures_and_timeouts_are_not_logged_by_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    runner = runner_of(FakeCheck(in_turn(refused, raising(TimeoutError()), for_ever, nothing)))

    for _ in range(4):
        await runner.run()

    assert logged(caplog) == []


async def test_a_check_that_blocks_the_event_loop_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    stopped = StoppedClock()

    async def block() -> None:
        stopped.pass_by(3.04)

    runner = Runner(FakeCheck(block), name="db", target="db:5432", timeout=2.0, clock=stopped.clock)
    for _ in range(2):
        await runner.run()

    assert logged(caplog) == [("check blocked the event loop", "db", None)]
    assert vars(caplog.records[0])["seconds"] == 3.0


async def test_a_run_that_ignores_its_cancellation_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    runner = runner_of(FakeCheck(cleaning_up_for(1.0)))

    for _ in range(4):
        await runner.run()

    await asyncio.sleep(10)
    assert logged(caplog) == [("run ignores its cancellation", "db", None)]


async def test_an_error_that_lets_nothing_be_set_is_a_failure_as_any() -> None:
    @dataclass(frozen=True)
    class FrozenError(Exception):
        code: int

    result = await runner_of(FakeCheck(raising(FrozenError(7)))).run()

    assert (result.outcome, result.message) == (Outcome.FAILURE, "unexpected FrozenError")


async def test_a_check_that_cancels_itself_is_logged_as_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    await runner_of(FakeCheck(cancels_itself)).run()

    assert logged(caplog) == [("check crashed", "db", "CancelledError")]


async def test_a_cancellation_that_is_not_ours_is_logged_with_where_it_came_from(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def awaits_what_its_driver_cancelled() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    await runner_of(FakeCheck(awaits_what_its_driver_cancelled)).run()

    assert "in awaits_what_its_driver_cancelled\n" in caplog.text


async def test_an_answer_that_is_no_sentence_is_logged_with_what_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await runner_of(FakeCheck(answers_false)).run()

    assert "TypeError: a check returns None or a sentence, not bool\n" in caplog.text


CLOSINGS: dict[str, tuple[Callable[[], Act], float]] = {
    "returns": (lambda: nothing, 0.0),
    "takes its time": (lambda: taking(0.9), 0.9),
    "hangs": (lambda: for_ever, 1.0),
    "crashes": (lambda: raising(OSError("broken pipe")), 0.0),
    "exits": (lambda: raising(SystemExit(1)), 0.0),
    "is stubborn": (Stubborn, 1.1),
}


@pytest.mark.parametrize("closing", CLOSINGS)
async def test_closing_is_bounded_contained_and_safe_twice(closing: str) -> None:
    make, seconds = CLOSINGS[closing]
    close = make()
    check = FakeCheck(nothing, close=close)
    runner = runner_of(check)

    await runner.aclose()
    once = now()
    await runner.aclose()
    twice = now()
    if isinstance(close, Stubborn):
        close.released.set()

    assert (check.closed, once, twice) == (2, seconds, 2 * seconds)


async def test_a_crash_on_closing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await runner_of(FakeCheck(nothing, close=raising(OSError("broken pipe")))).aclose()

    assert logged(caplog) == [("check crashed", "db", "OSError")]


async def test_a_check_is_closed_while_a_run_that_was_left_behind_hangs() -> None:
    async with stubborn() as act:
        check = FakeCheck(act)
        runner = runner_of(check)
        await runner.run()

        await runner.aclose()

        assert check.closed == 1


async def seconds_until_lost(runner: Runner, seconds: float) -> tuple[bool, float]:
    began = now()
    was_lost = await runner.lost_within(seconds)
    return was_lost, round(now() - began, 3)


async def test_a_check_that_holds_no_connection_loses_none() -> None:
    assert await seconds_until_lost(runner_of(FakeCheck(nothing)), 3.0) == (False, 3.0)


@pytest.mark.parametrize(
    ("lose", "expected"),
    [
        (for_ever, (False, 3.0)),
        (taking(0.4), (True, 0.4)),
        (nothing, (True, 0.0)),
        # one that crashes, or exits, tells at least that something happened to the connection
        (raising(ConnectionResetError(104, "reset")), (True, 0.0)),
        (raising(SystemExit(1)), (True, 0.0)),
        # the pause is over: whatever it does then is not a loss
        (swallows_its_cancellation, (False, 3.0)),
        (cleaning_up_for(0.05), (False, 3.05)),
    ],
)
async def test_a_loss_ends_the_pause_early(lose: Act, expected: tuple[bool, float]) -> None:
    assert await seconds_until_lost(runner_of(HoldingCheck(nothing, lose=lose)), 3.0) == expected


@pytest.mark.parametrize("act", [nothing, refused, for_ever, cleaning_up_for(0.05)])
async def test_a_loss_is_noticed_after_every_run_that_has_ended(act: Act) -> None:
    runner = runner_of(HoldingCheck(act, lose=taking(0.4)))
    await runner.run()

    assert await seconds_until_lost(runner, 3.0) == (True, 0.4)


async def test_a_watch_for_loss_that_crashes_every_time_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    runner = runner_of(HoldingCheck(nothing, lose=raising(KeyError("state"))))

    for _ in range(5):
        await runner.run()
        await runner.lost_within(1.0)

    assert logged(caplog) == [("check crashed", "db", "KeyError")]


async def test_a_watch_for_loss_that_ignores_its_cancellation_blocks_runs_until_it_ends() -> None:
    async with stubborn() as act:
        check = HoldingCheck(nothing, lose=act)
        runner = runner_of(check)
        pause = await seconds_until_lost(runner, 3.0)
        blocked = await runner.run()
        act.released.set()
        free = await runner.run()

    assert (pause, blocked.reason, free.is_success, len(check.began)) == (
        (False, 3.1),
        Reason.TIMEOUT,
        True,
        1,
    )


async def test_the_connection_is_watched_by_no_one_while_a_run_uses_it() -> None:
    watching = False

    async def watch() -> None:
        nonlocal watching
        watching = True
        try:
            await for_ever()
        finally:
            watching = False

    async def tell() -> str:
        return f"watched: {watching}"

    runner = runner_of(HoldingCheck(tell, lose=watch))
    await runner.lost_within(1.0)

    assert (await runner.run()).message == "watched: False"


async def test_a_runner_reads_the_real_clocks_by_default() -> None:
    before = (time.monotonic(), time.time())
    result = await Runner(FakeCheck(nothing), name="db", target="db:5432", timeout=1.0).run()

    after = (time.monotonic(), time.time())
    assert before <= (result.finished_at, result.time) <= after


async def test_messages_are_shown_as_they_are_where_nothing_is_to_be_hidden() -> None:
    runner = Runner(FakeCheck(refused), name="db", target="db:5432", timeout=1.0)

    assert (await runner.run()).message == "db:5432 refused the connection"
