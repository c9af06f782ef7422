"""A new list of checks under running loops: what did not change goes on, what did is replaced."""

import asyncio
import gc
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import ref

import pytest

from sidecar.config.check import CheckConfig
from sidecar.config.model import Config
from sidecar.core.state import Status
from sidecar.core.verdict import Gate, Probe
from sidecar.runtime.changes import compare
from tests.runtime.fakes import (
    FakeCheck,
    HoldingCheck,
    Stage,
    cleaning_up_for,
    config,
    for_ever,
    nothing,
    now,
    refused,
    scheduled,
    taking,
)

pytestmark = pytest.mark.looptime


def apply(stage: Stage, old: Sequence[CheckConfig], new: Sequence[CheckConfig]) -> None:
    """Put other checks into force, as a reload does."""
    changes = compare(Config(checks=tuple(old)), Config(checks=tuple(new)), frozenset())
    stage.board.apply(new, edited=changes.edited, now=now())
    stage.scheduler.apply(new, changes)


def began(check: FakeCheck) -> list[float]:
    """Return when its runs began, to the tenth of a second: runs are paced."""
    return [round(moment, 1) for moment in check.began]


def closed(checks: Mapping[str, FakeCheck]) -> list[str]:
    return [name for name, check in checks.items() if check.closed]


async def test_an_equal_check_keeps_its_loop_and_its_connection() -> None:
    checks = {"db": HoldingCheck(nothing), "cache": FakeCheck(nothing)}
    old = [config("db")]
    async with scheduled(checks, configs=old) as stage:
        await asyncio.sleep(5)
        apply(stage, old, [config("db"), config("cache")])
        await asyncio.sleep(11)
        kept = closed(checks)

    assert (began(checks["db"]), began(checks["cache"]), kept) == ([0, 10], [5, 15], [])


async def test_a_removed_check_stops_and_is_closed_and_forgotten() -> None:
    checks = {"db": FakeCheck(nothing), "cache": FakeCheck(for_ever)}
    old = [config("db"), config("cache")]
    async with scheduled(checks, configs=old) as stage:
        await asyncio.sleep(1)
        apply(stage, old, old[:1])
        await asyncio.sleep(60)
        late, gone = [loop for loop in stage.pulse.overdue() if loop.startswith("check:")], closed(checks)

    assert (gone, late, list(stage.statuses())) == (["cache"], [], ["db"])
    assert began(checks["cache"]) == [0]


async def test_an_edited_check_begins_anew_at_once_and_gates_nothing_yet() -> None:
    checks = {"db": FakeCheck(refused)}
    old = [config("db", gates=frozenset({Gate.STARTUP, Gate.READINESS}))]
    async with scheduled(checks, configs=old) as stage:
        checks["db"].act = nothing
        await asyncio.sleep(2.5)
        checks["db"].act = refused
        apply(stage, old, [config("db", timeout=1.0)])
        await asyncio.sleep(10)
        verdict = stage.board.verdict(Probe.READYZ, now())

    assert began(checks["db"])[:3] == [0, 2.5, 3.6]
    assert [(line.mark, line.text) for line in verdict.lines] == [("!", "new, not gating")]


async def test_nobody_waits_for_what_is_replaced() -> None:
    slow = FakeCheck(cleaning_up_for(0.05), close=taking(1.2))
    checks = {"db": FakeCheck(nothing), "slow": slow}
    old = [config("db"), config("slow")]
    async with scheduled(checks, configs=old) as stage:
        await asyncio.sleep(5)
        apply(stage, old, old[:1])
        applied = now()
        await asyncio.sleep(5.5)

    assert (applied, began(checks["db"]), slow.closed) == (5, [0, 10], 1)


async def test_an_adjusted_check_keeps_its_connection_and_begins_a_new_pause() -> None:
    checks = {"db": HoldingCheck(nothing)}
    old = [config("db")]
    async with scheduled(checks, configs=old) as stage:
        await asyncio.sleep(5)
        apply(stage, old, [config("db", interval=2.0)])
        await asyncio.sleep(4.5)
        kept = closed(checks)

    assert (began(checks["db"]), kept) == ([0, 7, 9], [])


async def test_an_adjustment_under_a_run_is_used_when_it_ends() -> None:
    checks = {"db": FakeCheck(taking(1.0))}
    old = [config("db", interval=60.0)]
    async with scheduled(checks, configs=old) as stage:
        await asyncio.sleep(0.5)
        apply(stage, old, [config("db", interval=2.0)])
        await asyncio.sleep(4)

    assert (began(checks["db"]), checks["db"].most_at_once) == ([0, 2, 4], 1)


async def test_a_lower_threshold_settles_with_the_next_run() -> None:
    checks = {"db": FakeCheck(refused)}
    old = [config("db", failure_threshold=100)]
    async with scheduled(checks, configs=old) as stage:
        await asyncio.sleep(2.5)
        before = stage.statuses()["db"]
        apply(stage, old, [config("db", failure_threshold=3)])
        await asyncio.sleep(1.2)

    assert (before, stage.statuses()["db"]) == (Status.UNKNOWN, Status.DOWN)


async def test_a_check_that_is_asked_now_runs_at_once_and_goes_on_as_before() -> None:
    checks = {"db": HoldingCheck(nothing), "cache": FakeCheck(nothing)}
    async with scheduled(checks) as stage:
        await asyncio.sleep(4)
        stage.scheduler.ask_now(["db", "gone"])
        await asyncio.sleep(11)

    assert (began(checks["db"]), began(checks["cache"])) == ([0, 4, 14], [0, 10])


async def test_a_check_that_is_asked_now_under_a_run_runs_again_once_after_it() -> None:
    checks = {"db": FakeCheck(taking(1.0))}
    async with scheduled(checks) as stage:
        await asyncio.sleep(0.5)
        stage.scheduler.ask_now(["db"])
        stage.scheduler.ask_now(["db"])
        await asyncio.sleep(11)

    assert (began(checks["db"]), checks["db"].most_at_once) == ([0, 1, 11], 1)


async def test_a_loop_that_is_begun_anew_again_and_again_never_runs_beside_itself() -> None:
    async def end_late() -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0.09)

    db = HoldingCheck(nothing, lose=end_late)
    async with scheduled({"db": db}) as stage:
        await asyncio.sleep(1)
        for _ in range(5):
            stage.scheduler.ask_now(["db"])
            await asyncio.sleep(0.01)
        await asyncio.sleep(2)

    assert (db.began[0], len(db.began), db.most_at_once) == (0, 2, 1)
    assert db.began[1] >= 1.09


async def test_a_loop_that_is_begun_anew_leaves_nothing_of_those_before_the_last() -> None:
    loops: list[ref[asyncio.Task[Any]]] = []
    async with scheduled({"db": FakeCheck(nothing)}) as stage:
        for _ in range(3):
            await asyncio.sleep(1)
            loops += [ref(task) for task in asyncio.all_tasks() if task.get_name() == "check:db"]
            stage.scheduler.ask_now(["db"])
        await asyncio.sleep(1)
        gc.collect()
        kept = [loop() for loop in loops]

    assert kept[:2] == [None, None]


async def test_a_thousand_lists_leave_one_loop_a_check() -> None:
    checks = {name: FakeCheck(nothing) for name in ("db", "cache", "queue")}
    lists = [
        [config("db"), config("cache")],
        [config("db", timeout=1.0), config("queue")],
        [config("db", interval=5.0)],
    ]
    async with scheduled(checks, configs=lists[0]) as stage:
        for number in range(1000):
            apply(stage, lists[number % 3], lists[(number + 1) % 3])
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        left = sorted(task.get_name() for task in asyncio.all_tasks() if ":" in task.get_name())
        started = checks["queue"].closed

    assert (left, started, checks["db"].most_at_once) == (["check:db", "check:queue"], 333, 1)
