"""When checks run: paced, at their interval, sooner while not settled, after a loss; never two at once."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from sidecar.core.check import CheckFailed, Reason
from sidecar.core.events import Event
from sidecar.core.result import Outcome, Result
from sidecar.core.state import State, Status, settle
from sidecar.runtime.board import Board
from sidecar.runtime.pacer import PACE
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.runner import Runner
from sidecar.runtime.scheduler import CheckLoop, Scheduler, Surroundings, varied_delay
from tests.runtime.fakes import (
    Act,
    FakeCheck,
    FakeTypes,
    HoldingCheck,
    LoadedDie,
    Stubborn,
    cleaning_up_for,
    config,
    for_ever,
    in_turn,
    loop_clock,
    nothing,
    now,
    raising,
    refused,
    scheduled,
    stubborn,
    taking,
)

pytestmark = pytest.mark.looptime

refuses_credentials = raising(CheckFailed(Reason.AUTH, "db:5432 refused the password"))


async def began(check: FakeCheck, *, until: float, share: float = 0.5, **keys: Any) -> Sequence[float]:
    """Return when the runs of a check began in so many seconds."""
    async with scheduled({"db": check}, configs=[config(**keys)], share=share):
        await asyncio.sleep(until)
    return check.began


async def test_while_up_runs_start_an_interval_apart_however_long_they_take() -> None:
    assert await began(FakeCheck(taking(0.3)), until=35) == [0, 10, 20, 30]


async def test_a_check_has_its_own_interval() -> None:
    assert await began(FakeCheck(nothing), until=7, interval=3.0) == [0, 3, 6]


async def test_the_first_run_waits_for_the_initial_delay() -> None:
    assert await began(FakeCheck(nothing), until=20, initial_delay=7.5) == [7.5, 17.5]


async def test_first_runs_are_paced_in_the_configured_order_and_hold_no_one_up() -> None:
    checks = {f"c{n}": FakeCheck(for_ever) for n in range(5)}

    async with scheduled(checks):
        await asyncio.sleep(0.1)

    assert [check.began for check in checks.values()] == [[0.0], [0.0004], [0.0008], [0.0012], [0.0016]]


async def test_below_the_failure_threshold_retries_come_a_second_apart_and_then_doubling_to_five() -> None:
    assert await began(FakeCheck(refused), until=25, share=0.0) == [0, 1, 2, 3, 5, 9, 14, 19, 24]


async def test_refused_credentials_are_tried_at_last_every_thirty_seconds() -> None:
    times = await began(FakeCheck(refuses_credentials), until=130, share=0.0)

    assert times == [0, 1, 2, 3, 5, 9, 17, 33, 63, 93, 123]


async def test_the_configured_thresholds_decide_when_it_is_settled() -> None:
    act = in_turn(refused, refused, nothing, nothing, refused)

    times = await began(FakeCheck(act), until=29, share=0.0, failure_threshold=2, success_threshold=2)

    #  two failures: down; two successes a second apart: up; a failure an interval later; down again; doubling
    assert times == [0, 1, 2, 3, 12, 13, 14, 16, 20, 25]


async def test_a_run_that_times_out_is_repeated_a_second_after_its_end() -> None:
    assert await began(FakeCheck(for_ever), until=9, share=0.0) == [0, 3, 6]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, [0, 9, 18, 27]), (0.5, [0, 10, 20, 30]), (1.0, [0, 11, 22, 33])]
)
async def test_every_delay_varies_by_a_tenth(share: float, expected: list[float]) -> None:
    assert await began(FakeCheck(nothing), until=34, share=share) == expected


@pytest.mark.parametrize(
    ("outcome", "least", "most"), [(Outcome.SUCCESS, 9.0, 11.0), (Outcome.FAILURE, 1.0, 1.2)]
)
def test_a_delay_is_anywhere_within_its_spread_and_a_retry_is_never_early(
    outcome: Outcome, least: float, most: float
) -> None:
    dice = Random(7)  # noqa: S311 - any seed shows it
    result = Result(outcome=outcome, finished_at=0.0, duration=0.0, time=0.0)
    state = settle(State(), result, failure_threshold=3, success_threshold=1)

    delays = [varied_delay(state, interval=10.0, failure_threshold=3, dice=dice) for _ in range(2000)]

    edge = (most - least) / 100
    assert least <= min(delays) < least + edge
    assert most - edge < max(delays) <= most


async def test_the_delays_of_two_checks_vary_each_for_itself() -> None:
    checks = {name: FakeCheck(nothing) for name in "ab"}
    clock = loop_clock()
    configs = [config(name) for name in checks]
    board = Board(configs, started_at=0.0, startup_deadline=300.0)

    async with asyncio.TaskGroup() as group:
        shared = Surroundings(board=board, pulse=Pulse(clock), clock=clock)
        scheduler = Scheduler(group, shared, find=FakeTypes(checks), redact=str)
        scheduler.start(configs)
        await asyncio.sleep(60)
        await scheduler.aclose()

    gaps = [b - a for check in checks.values() for a, b in itertools.pairwise(check.began)]
    assert (len(set(gaps)), all(9 <= gap <= 11 for gap in gaps)) == (len(gaps), True)


@pytest.mark.parametrize(
    "acts",
    [
        [taking(0.9)],
        [taking(1.5)],
        [for_ever],
        [cleaning_up_for(0.05)],
        [cleaning_up_for(3.0)],
        [refused, cleaning_up_for(7.0), nothing, for_ever, cleaning_up_for(1.0), refused],
    ],
)
@pytest.mark.parametrize("make", [FakeCheck, lambda act: HoldingCheck(act, lose=taking(0.05))])
async def test_runs_of_one_check_never_overlap(acts: list[Act], make: Callable[[Act], FakeCheck]) -> None:
    check = make(in_turn(*acts))

    times = await began(check, until=60, interval=1.0, timeout=1.0)
    await asyncio.sleep(10)

    assert (check.most_at_once, len(times) > 10) == (1, True)


async def test_results_reach_the_board() -> None:
    checks = {"good": FakeCheck(nothing), "bad": FakeCheck(refused), "hung": FakeCheck(for_ever)}

    async with scheduled(checks) as stage:
        await asyncio.sleep(3)
        early = stage.statuses()
        await asyncio.sleep(10)
        late = stage.statuses()

    assert (early, late) == (
        {"good": Status.UP, "bad": Status.DOWN, "hung": Status.UNKNOWN},
        {"good": Status.UP, "bad": Status.DOWN, "hung": Status.DOWN},
    )


async def test_messages_reach_the_board_without_secrets_and_with_the_target() -> None:
    checks = {"good": FakeCheck(raising(CheckFailed(Reason.AUTH, "no s3cret"))), "hung": FakeCheck(for_ever)}

    async with scheduled(checks, redact=lambda text: text.replace("s3cret", "***")) as stage:
        await asyncio.sleep(3)
        told = [entry.state.last and entry.state.last.message for entry in stage.board.entries()]

    assert told == ["no ***", "hung: gave no answer within 2s"]


def losing_at(*moments: float) -> Act:
    """Return a watch that tells of a loss at each of these moments of the loop's time, and of none after."""
    left = list(moments)

    async def lose() -> None:
        if not left:
            await for_ever()
        await asyncio.sleep(left[0] - now())
        left.pop(0)

    return lose


@pytest.mark.parametrize(("share", "expected"), [(0.0, 5.0), (0.5, 5.25), (1.0, 5.5)])
async def test_a_loss_causes_a_run_after_a_random_part_of_half_a_second(
    share: float, expected: float
) -> None:
    check = HoldingCheck(nothing, lose=losing_at(5.0))

    times = await began(check, until=8, share=share)

    assert times == [0, expected]


async def test_a_loss_soon_after_a_run_is_asked_about_as_soon_as_any() -> None:
    check = HoldingCheck(taking(0.1), lose=losing_at(0.3))

    assert await began(check, until=5, share=1.0) == [0, 0.8]


async def test_a_loss_soon_after_a_run_that_a_loss_caused_waits_until_a_second_after_it() -> None:
    check = HoldingCheck(taking(0.1), lose=losing_at(5.0, 5.3))

    assert await began(check, until=8, share=0.0) == [0, 5, 6]


async def test_a_loss_shortly_before_the_next_run_does_not_put_it_off() -> None:
    check = HoldingCheck(nothing, lose=losing_at(10.8))

    assert await began(check, until=12, share=1.0) == [0, 11]


async def test_a_loss_does_not_put_off_a_retry() -> None:
    check = HoldingCheck(refused, lose=losing_at(1.0))

    assert await began(check, until=2.5, share=1.0) == pytest.approx([0, 1.2, 2.4], abs=2 * PACE)


async def test_after_a_loss_the_next_pause_is_a_whole_one() -> None:
    check = HoldingCheck(nothing, lose=losing_at(5.0))

    assert await began(check, until=30, share=0.0) == pytest.approx([0, 5, 14, 23], abs=3 * PACE)


@pytest.mark.parametrize("lose", [nothing, raising(ConnectionResetError(104, "reset"))])
@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_a_server_that_closes_after_every_answer_is_asked_once_a_second(
    lose: Act, share: float
) -> None:
    check = HoldingCheck(nothing, lose=lose)

    first, *times = await began(check, until=10.5, share=share)

    spaces = [after - before for before, after in itertools.pairwise(times)]
    assert [first, times[0]] == pytest.approx([0, share / 2], abs=2 * PACE)
    assert spaces == pytest.approx([1] * len(spaces), abs=2 * PACE)


async def test_a_loss_is_a_question_and_not_an_outcome() -> None:
    check = HoldingCheck(nothing, lose=losing_at(5.0, 6.0, 7.0))

    async with scheduled({"db": check}) as stage:
        await asyncio.sleep(9)
        [entry] = stage.board.entries()

    assert (len(check.began), entry.state.status, entry.state.streak) == (4, Status.UP, 4)


async def test_a_crash_of_a_check_is_its_own_failure_and_stops_no_loop() -> None:
    checks = {"bad": FakeCheck(raising(SystemExit(1))), "good": FakeCheck(nothing)}

    async with scheduled(checks) as stage:
        await asyncio.sleep(25)
        statuses = stage.statuses()

    assert (statuses, len(checks["good"].began)) == ({"bad": Status.DOWN, "good": Status.UP}, 3)


async def test_a_crash_of_a_loop_of_ours_ends_the_group_loudly_and_closes_every_check() -> None:
    checks = {"db": FakeCheck(taking(5)), "other": FakeCheck(for_ever)}

    def crash(_event: Event) -> None:
        raise RuntimeError("a listener that must not raise")

    async def serve() -> None:
        async with scheduled(checks, configs=[config("db", timeout=9.0), config("other")]) as stage:
            stage.board.subscribe(crash)
            await asyncio.sleep(3600)

    with pytest.raises(BaseExceptionGroup) as crashed:
        await serve()

    assert (
        [repr(error) for error in crashed.value.exceptions],
        [check.closed for check in checks.values()],
        now(),
    ) == (["RuntimeError('a listener that must not raise')"], [1, 1], 5.0)


async def test_loops_are_tasks_that_carry_the_name_of_their_check() -> None:
    async with scheduled({"sessions": FakeCheck(nothing)}):
        await asyncio.sleep(1)
        names = {task.get_name() for task in asyncio.all_tasks()}

    assert "check:sessions" in names


async def test_closing_stops_every_loop_and_closes_every_check() -> None:
    checks = {name: FakeCheck(act) for name, act in (("up", nothing), ("hung", for_ever), ("bad", refused))}
    async with scheduled(checks) as stage:
        await asyncio.sleep(1.5)

        await stage.scheduler.aclose()

        closed = [check.closed for check in checks.values()]
        runs = [len(check.began) for check in checks.values()]
        await asyncio.sleep(60)

    assert (closed, [len(check.began) for check in checks.values()], now()) == ([1, 1, 1], runs, 61.5)


async def test_closing_checks_that_never_ran_yet_closes_them() -> None:
    check = FakeCheck(nothing)
    async with scheduled({"db": check}):
        pass

    assert (check.began, check.closed, now()) == ([], 1, 0.0)


async def test_closing_waits_side_by_side_and_not_for_ever() -> None:
    act, close, lose = Stubborn(), Stubborn(), Stubborn()
    hung = {f"h{n}": FakeCheck(act, close=close) for n in range(20)}
    held = {f"l{n}": HoldingCheck(nothing, close=close, lose=lose) for n in range(20)}
    async with scheduled({**hung, **held}) as stage:
        await asyncio.sleep(1)

        await stage.scheduler.aclose()
        ended = now()
        for each in (act, close, lose):
            each.released.set()

    assert ended == pytest.approx(2.2, abs=40 * PACE)
    assert {check.closed for check in (*hung.values(), *held.values())} == {1}


class RecordingPulse(Pulse):
    """Remembers what was promised."""

    def __init__(self) -> None:
        self.promised: list[tuple[str, float]] = []
        super().__init__(loop_clock())

    def expect(self, loop: str, *, within: float) -> None:
        self.promised.append((loop, round(within, 5)))
        super().expect(loop, within=within)


async def test_a_loop_promises_when_it_acts_again() -> None:
    pulse, clock = RecordingPulse(), loop_clock()
    check = HoldingCheck(taking(0.3), lose=losing_at(4.0))
    each = config("db", timeout=3.0)
    board = Board([each], started_at=0.0, startup_deadline=300.0)
    runner = Runner(check, name="db", target="db:5432", timeout=3.0, clock=clock)
    shared = Surroundings(board=board, pulse=pulse, clock=clock, dice=LoadedDie(1.0))

    loop = asyncio.create_task(CheckLoop(each, runner, shared).run_forever(1.5))
    await asyncio.sleep(4.7)
    loop.cancel()
    await asyncio.wait({loop})

    assert pulse.promised == [
        ("event-loop", 1.0),
        ("check:db", 1.5),
        # a run, with what a run left behind may take before
        ("check:db", 6.2),
        # the pause, with its jitter
        ("check:db", 10.67),
        # the spread after the loss
        ("check:db", 0.5),
        ("check:db", 6.2),
    ]


async def test_no_loop_of_ours_is_late_whatever_the_checks_do() -> None:
    acts = {
        "up": nothing,
        "down": refused,
        "locked": refuses_credentials,
        "hung": for_ever,
        "slow": cleaning_up_for(30),
    }
    late: dict[str, float] = {}

    async with scheduled({name: FakeCheck(act) for name, act in acts.items()}) as stage:
        beating = asyncio.create_task(stage.pulse.beat_forever())
        for _ in range(200):
            await asyncio.sleep(0.5)
            late |= stage.pulse.overdue()
        beating.cancel()
    await asyncio.sleep(60)

    assert late == {}


async def test_a_stubborn_check_is_down_with_its_reason_and_up_again_once_it_lets_go() -> None:
    async with stubborn() as act:
        check = FakeCheck(in_turn(act, nothing))
        async with scheduled({"db": check}) as stage:
            await asyncio.sleep(15)
            [entry] = stage.board.entries()
            hung = (entry.state.status, entry.state.last and entry.state.last.message)
            act.released.set()
            await asyncio.sleep(8)
            freed = entry.state.status

    assert (hung, freed) == (
        (Status.DOWN, "db: a run that ignores its cancellation has hung for 9s"),
        Status.UP,
    )
