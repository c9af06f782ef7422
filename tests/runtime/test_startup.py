"""A start that is overdue or hopeless: what is said, and when it is given up."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from sidecar.core.check import Reason
from sidecar.core.result import Outcome, Result
from sidecar.core.start import StartRules
from sidecar.core.verdict import Gate
from sidecar.runtime.board import Board
from sidecar.runtime.startup import NAMED, StartWatch
from tests.runtime.fakes import EPOCH, config, loop_clock, now

pytestmark = pytest.mark.looptime

PERMANENT = frozenset({Reason.AUTH})


@dataclass
class Watched:
    """A board whose start is watched; notes why and when it was given up."""

    board: Board
    given_up: list[tuple[float, str]] = field(default_factory=list)

    def record(self, name: str, reason: Reason | None) -> None:
        outcome = Outcome.FAILURE if reason else Outcome.SUCCESS
        message = f"{name}:1 said no" if reason else ""
        self.board.record(
            name,
            Result(
                outcome=outcome, finished_at=now(), duration=0.0, time=EPOCH, reason=reason, message=message
            ),
        )


@asynccontextmanager
async def watched(rules: StartRules, *names: str, deadline: float = 300.0) -> AsyncIterator[Watched]:
    """Watch the start of these checks; the watch is over when the block is."""
    board = Board(
        [config(name, gates=frozenset({Gate.STARTUP})) for name in names],
        started_at=now(),
        startup_deadline=deadline,
    )
    stage = Watched(board)
    watch = StartWatch(
        board,
        rules,
        permanent=lambda _: PERMANENT,
        give_up=lambda why: stage.given_up.append((now(), why)),
        clock=loop_clock(),
    )
    task = asyncio.create_task(watch.watch())
    await asyncio.sleep(0)
    try:
        yield stage
    finally:
        task.cancel()
        await asyncio.wait({task})


Summary = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def summary(caplog: pytest.LogCaptureFixture) -> Summary:
    """Return a function to the message and the checks of each line."""
    caplog.set_level(logging.INFO)
    return lambda: [
        (record.getMessage(), str(vars(record).get("checks") or vars(record).get("check")))
        for record in caplog.records
        if record.name == "sidecar.startup"
    ]


async def test_an_overdue_start_is_told_once_and_waits_on(summary: Summary) -> None:
    async with watched(StartRules(), "db", "queue", "done") as stage:
        stage.record("done", None)
        stage.record("queue", Reason.REFUSED)
        await asyncio.sleep(1000)
        stage.record("queue", Reason.TIMEOUT)
        await asyncio.sleep(1000)

    assert summary() == [("startup deadline exceeded", "db: no result yet; queue: refused: queue:1 said no")]
    assert stage.given_up == []


async def test_a_long_summary_counts_the_rest(summary: Summary) -> None:
    async with watched(StartRules(), *(f"c{n}" for n in range(NAMED + 2))):
        await asyncio.sleep(300.2)

    [(_, checks)] = summary()
    assert (checks.count("no result yet"), checks.endswith("; and 2 more")) == (NAMED, True)


async def test_an_overdue_start_is_given_up_where_the_rules_say_so() -> None:
    async with watched(StartRules(exits_when_overdue=True), "db") as stage:
        await asyncio.sleep(1000)

    assert stage.given_up == [(300.0, "gave up the start at its deadline, 5m 0s")]


async def test_a_drain_gives_nothing_up_and_its_return_does(summary: Summary) -> None:
    async with watched(StartRules(exits_when_overdue=True), "db") as stage:
        stage.board.drain(keeps_ready=False)
        await asyncio.sleep(999)
        stage.record("db", Reason.REFUSED)
        await asyncio.sleep(1)
        in_the_drain = (summary(), list(stage.given_up))
        stage.board.resume()
        await asyncio.sleep(1)

    assert in_the_drain == ([], [])
    assert [why for _, why in stage.given_up] == ["gave up the start at its deadline, 16m 40s"]


async def test_a_start_that_passes_in_time_is_neither_told_nor_given_up(summary: Summary) -> None:
    async with watched(StartRules(exits_when_overdue=True, fail_fast=60.0), "db") as stage:
        stage.record("db", Reason.AUTH)
        await asyncio.sleep(59)
        stage.record("db", None)
        await asyncio.sleep(1000)

    assert (summary(), stage.given_up) == ([], [])


async def test_one_permanent_reason_for_long_enough_ends_the_start(summary: Summary) -> None:
    async with watched(StartRules(fail_fast=60.0), "other", "db") as stage:
        await asyncio.sleep(5)
        stage.record("other", Reason.REFUSED)
        stage.record("db", Reason.AUTH)
        await asyncio.sleep(30)
        stage.record("db", Reason.AUTH)
        await asyncio.sleep(1000)

    assert stage.given_up == [
        (
            65.0,
            "gave up the start: db has failed for 1m 0s with nothing but auth, which waiting does not cure",
        )
    ]
    assert summary() == [("start is hopeless", "db")]


async def test_another_reason_in_between_begins_the_time_anew() -> None:
    async with watched(StartRules(fail_fast=60.0), "db") as stage:
        stage.record("db", Reason.AUTH)
        await asyncio.sleep(50)
        stage.record("db", Reason.TIMEOUT)
        await asyncio.sleep(5)
        stage.record("db", Reason.AUTH)
        await asyncio.sleep(1000)

    assert [moment for moment, _ in stage.given_up] == [115.0]


async def test_a_reload_that_takes_the_hopeless_check_away_saves_the_start() -> None:
    async with watched(StartRules(fail_fast=60.0), "db", "other") as stage:
        stage.record("db", Reason.AUTH)
        await asyncio.sleep(30)
        [_, other] = [entry.config for entry in stage.board.entries()]
        stage.board.apply([other], edited=(), now=now())
        await asyncio.sleep(100)
        stage.board.apply([replace(other, interval=60.0)], edited=(), now=now())
        await asyncio.sleep(100)

    assert stage.given_up == []
