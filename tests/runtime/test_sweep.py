"""Every check once, or until each has succeeded."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from sidecar.config.check import CheckConfig
from sidecar.core.check import Check, CheckFailed, Reason
from sidecar.core.result import Outcome, Result
from sidecar.runtime.pacer import PACE
from sidecar.runtime.sweep import sweep
from tests.runtime.fakes import (
    FakeCheck,
    FakeDriver,
    FakeTypes,
    Stubborn,
    cleaning_up_for,
    config,
    for_ever,
    in_turn,
    nothing,
    now,
    raising,
    refused,
    stubborn,
    taking,
)

pytestmark = pytest.mark.looptime

Ending = tuple[Outcome, Reason | None, str]
SUCCESS: Ending = (Outcome.SUCCESS, None, "")
REFUSED: Ending = (Outcome.FAILURE, Reason.REFUSED, "db:5432 refused the connection")


async def swept(checks: Mapping[str, Check], **options: Any) -> dict[str, Ending]:
    """Sweep checks of default configuration; return how each ended."""
    configs = [config(name) for name in checks]
    results = await sweep(configs, find=FakeTypes(checks), redact=str, **options)
    return {name: (each.outcome, each.reason, each.message) for name, each in results.items()}


async def test_each_check_runs_once_side_by_side_in_the_configured_order_and_is_closed() -> None:
    checks = {
        "slow": FakeCheck(taking(1.0)),
        "good": FakeCheck(nothing),
        "bad": FakeCheck(refused),
        "hung": FakeCheck(for_ever),
    }

    endings = await swept(checks)

    assert (list(endings.items()), [len(c.began) for c in checks.values()], now()) == (
        [
            ("slow", SUCCESS),
            ("good", SUCCESS),
            ("bad", REFUSED),
            ("hung", (Outcome.FAILURE, Reason.TIMEOUT, "hung: gave no answer within 2s")),
        ],
        [1, 1, 1, 1],
        2.0,
    )
    assert [check.closed for check in checks.values()] == [1, 1, 1, 1]


async def test_nothing_to_sweep_is_no_result() -> None:
    assert (await swept({}), await swept({}, wait=5.0), now()) == ({}, {}, 0.0)


async def test_no_first_run_waits_for_another() -> None:
    checks = {f"c{n}": FakeCheck(nothing) for n in range(4)}

    await swept(checks)

    assert [check.began for check in checks.values()] == [[0.0]] * 4


async def test_checks_are_swept_in_tasks_that_carry_their_names() -> None:
    async def tells_the_tasks() -> str:
        return " ".join(sorted(task.get_name() for task in asyncio.all_tasks() if ":" in task.get_name()))

    assert await swept({"db": FakeCheck(tells_the_tasks)}) == {
        "db": (Outcome.WARNING, None, "check:db run:db"),
    }


async def test_no_initial_delay_is_waited_for() -> None:
    check = FakeCheck(nothing)

    await sweep([config(initial_delay=60.0)], find=FakeTypes({"db": check}), redact=str)

    assert (check.began, now()) == ([0.0], 0.0)


async def test_waiting_runs_what_fails_again_until_it_succeeds_and_what_succeeded_no_more() -> None:
    checks = {"late": FakeCheck(in_turn(refused, refused, nothing)), "good": FakeCheck(nothing)}

    endings = await swept(checks, wait=60.0)

    assert (endings, [len(check.began) for check in checks.values()], 2.0 <= now() <= 2.4) == (
        {"late": SUCCESS, "good": SUCCESS},
        [3, 1],
        True,
    )


async def test_waiting_retries_as_the_server_does_a_second_and_then_doubling() -> None:
    check = FakeCheck(refused)

    await swept({"db": check}, wait=21.0)

    gaps = [after - before for before, after in zip(check.began, check.began[1:], strict=False)]
    expected = [1, 1, 1, 2, 4, 5]
    assert [e <= gap <= 1.2 * e for gap, e in zip(gaps, expected, strict=False)] == [True] * len(expected)


async def test_waiting_tries_refused_credentials_ever_more_rarely() -> None:
    check = FakeCheck(raising(CheckFailed(Reason.AUTH, "db:5432 refused the password")))

    await swept({"db": check}, wait=300.0)

    assert check.began[-1] - check.began[-2] >= 27


async def test_waiting_follows_the_configured_failure_threshold_and_interval() -> None:
    check = FakeCheck(refused)
    chosen = config(failure_threshold=1, interval=2.0)

    await sweep([chosen], find=FakeTypes({"db": check}), redact=str, wait=10.0)

    gaps = [round(after - before) for before, after in zip(check.began, check.began[1:], strict=False)]
    assert gaps[:4] == [1, 2, 2, 2]


async def test_retries_vary_so_that_a_thousand_pods_do_not_step_in_time() -> None:
    checks = {f"c{n}": FakeCheck(in_turn(refused, nothing)) for n in range(50)}

    await swept(checks, wait=60.0)

    gaps = {round(check.began[1] - check.began[0], 3) for check in checks.values()}
    assert (min(gaps) >= 1.0, max(gaps) <= 1.2, len(gaps) > 25) == (True, True, True)


async def test_a_success_below_the_success_threshold_is_enough() -> None:
    check = FakeCheck(nothing)

    await sweep([config(success_threshold=3)], find=FakeTypes({"db": check}), redact=str, wait=60.0)

    assert (len(check.began), now()) == (1, 0.0)


async def test_when_the_wait_runs_out_the_last_results_are_returned_and_everything_is_closed() -> None:
    checks = {"good": FakeCheck(nothing), "bad": FakeCheck(refused), "hung": FakeCheck(for_ever)}

    endings = await swept(checks, wait=1.5)

    assert (endings, [check.closed for check in checks.values()], now()) == (
        {"good": SUCCESS, "bad": REFUSED},
        [1, 1, 1],
        1.5,
    )


async def test_a_check_that_hung_before_keeps_its_last_result_when_the_wait_runs_out() -> None:
    endings = await swept({"db": FakeCheck(for_ever)}, wait=4.0)

    assert endings == {"db": (Outcome.FAILURE, Reason.TIMEOUT, "db: gave no answer within 2s")}


async def test_stubborn_checks_hold_up_the_end_for_little_more_than_a_second() -> None:
    act, close = Stubborn(), Stubborn()
    checks = {f"c{n}": FakeCheck(act, close=close) for n in range(10)}

    endings = await swept(checks, wait=1.0)
    ended = now()
    act.released.set()
    close.released.set()

    assert endings == {}
    assert ended == pytest.approx(2.2, abs=10 * PACE)


async def test_a_stubborn_check_is_a_timeout_without_wait() -> None:
    async with stubborn() as act:
        endings = await swept({"db": FakeCheck(act)})

    assert endings == {"db": (Outcome.FAILURE, Reason.TIMEOUT, "db: gave no answer within 2s")}


async def test_a_check_that_cleans_up_slowly_is_still_closed() -> None:
    check = FakeCheck(cleaning_up_for(10.0), close=taking(0.5))

    await swept({"db": check}, wait=1.0)
    ended = now()
    await asyncio.sleep(20)

    assert (check.closed, ended) == (1, 1.6)


async def test_every_result_is_reported_at_once() -> None:
    told: list[tuple[str, bool, float]] = []

    def report(each: CheckConfig, result: Result) -> None:
        told.append((each.name, result.is_success, round(now(), 1)))

    checks = {"late": FakeCheck(in_turn(refused, nothing)), "slow": FakeCheck(taking(0.5))}
    await swept(checks, wait=60.0, report=report)

    assert [(name, ok) for name, ok, _ in told] == [("late", False), ("slow", True), ("late", True)]
    assert [moment for *_, moment in told[:2]] == [0.0, 0.5]


async def test_messages_are_blotted() -> None:
    check = FakeCheck(raising(CheckFailed(Reason.AUTH, "no s3cret")))

    results = await sweep(
        [config()],
        find=FakeTypes({"db": check}),
        redact=lambda text: text.replace("s3cret", "***"),
    )

    assert results["db"].message == "no ***"


async def test_timeouts_name_the_target_and_last_as_long_as_configured() -> None:
    results = await sweep([config(timeout=0.5)], find=FakeTypes({"db": FakeCheck(for_ever)}), redact=str)

    assert (results["db"].message, now()) == ("db: gave no answer within 500ms", 0.5)


async def test_drivers_are_imported_in_a_thread_once_before_the_first_runs() -> None:
    driver = FakeDriver("redis.asyncio")
    checks = {name: FakeCheck(nothing) for name in "ab"}

    await sweep(
        [config(name) for name in checks],
        find=FakeTypes(checks, {"a": [driver], "b": [driver]}),
        redact=str,
    )

    assert driver.threads == ["import:redis.asyncio"]


async def test_a_crash_of_our_own_is_loud_and_everything_is_closed() -> None:
    checks = {"db": FakeCheck(taking(1.0)), "other": FakeCheck(for_ever)}

    def report(_config: CheckConfig, _result: Result) -> None:
        raise BrokenPipeError

    with pytest.raises(ExceptionGroup):
        await swept(checks, wait=60.0, report=report)

    assert [check.closed for check in checks.values()] == [1, 1]
