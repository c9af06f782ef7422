"""Events of our readiness, in compressed time: one a change, none too many, and no secret."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from sidecar.core.check import Reason
from sidecar.core.phase import Phase
from sidecar.core.result import Outcome, Result
from sidecar.core.telling import BURST, START_PATIENCE, TOKEN_EVERY
from sidecar.events import RIGHT, ReadinessEvents
from sidecar.kube.errors import ApiError
from sidecar.kube.event import Event, EventType
from sidecar.kube.here import Pod
from sidecar.runtime.board import Board
from tests.core.builders import EPOCH
from tests.runtime.fakes import config, loop_clock, now

pytestmark = pytest.mark.looptime

POD = Pod(name="builds-0", namespace="ci", uid="0c0ffee0-1")
SLOWEST = 1e9
"""Seconds between two runs: nothing goes stale."""


@dataclass
class Cluster:
    """What was written, and when; fails with the next of `errors` as long as there are any."""

    errors: list[ApiError] = field(default_factory=list)
    attempts: list[tuple[float, str, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    hangs: bool = False

    async def write(self, event: Event) -> None:
        self.attempts.append((round(now(), 1), event.reason, event.note))
        if self.hangs:
            await asyncio.Event().wait()
        if self.errors:
            raise self.errors.pop(0)
        self.events.append(event)

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(event.reason, event.note) for event in self.events]


@asynccontextmanager
async def telling(board: Board, cluster: Cluster) -> AsyncIterator[None]:
    """Tell the cluster what becomes of a board until the end of the block."""
    events = ReadinessEvents(
        board,
        POD,
        write=cluster.write,
        redact=lambda text: text.replace("hunter2", "***"),
        clock=loop_clock(),
        draw=lambda low, high: (low + high) / 2,  # a spread of 1s, and no jitter
    )
    task = asyncio.create_task(events.tell_forever())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def board_of(*names: str) -> Board:
    checks = [config(name, interval=SLOWEST, failure_threshold=1) for name in names]
    return Board(checks, started_at=now(), startup_deadline=SLOWEST)


def say(board: Board, name: str, reason: Reason | None = None, message: str = "") -> None:
    board.record(
        name,
        Result(
            outcome=Outcome.FAILURE if reason else Outcome.SUCCESS,
            finished_at=now(),
            duration=0.01,
            time=EPOCH + now(),
            reason=reason,
            message=message,
        ),
    )


async def test_each_change_is_one_event_with_what_fails() -> None:
    board, cluster = board_of("db", "cache"), Cluster()
    async with telling(board, cluster):
        say(board, "db")
        say(board, "cache")
        await asyncio.sleep(5)
        changed_at = now()
        say(board, "db", Reason.AUTH, "db:5432 refused hunter2")
        say(board, "cache", Reason.REFUSED, "cache:6379 refused the connection")
        await asyncio.sleep(5)
        say(board, "db", Reason.TIMEOUT, "another story of the same verdict")
        await asyncio.sleep(5)
        say(board, "db")
        say(board, "cache")
        await asyncio.sleep(5)
        board.drain(keeps_ready=False)
        await asyncio.sleep(0.2)

    up = "every check that gates readiness is up"
    assert cluster.told == [
        ("Ready", up),
        (
            "NotReady",
            "db failed: auth: db:5432 refused ***; cache failed: refused: cache:6379 refused the connection",
        ),
        ("Ready", up),
        ("Draining", "draining"),
    ]
    assert [event.type for event in cluster.events] == [
        EventType.NORMAL,
        EventType.WARNING,
        EventType.NORMAL,
        EventType.NORMAL,
    ]
    assert cluster.events[1].time == pytest.approx(EPOCH + changed_at, abs=0.2)
    assert {event.pod for event in cluster.events} == {POD}


async def test_a_healthy_start_says_ready_and_nothing_before() -> None:
    board, cluster = board_of("db"), Cluster()
    async with telling(board, cluster):
        await asyncio.sleep(START_PATIENCE - 1)
        say(board, "db")
        await asyncio.sleep(5)

    assert [reason for reason, _ in cluster.told] == ["Ready"]


async def test_a_broken_start_says_why_after_half_a_minute() -> None:
    board, cluster = board_of("db"), Cluster()
    async with telling(board, cluster):
        say(board, "db", Reason.DNS, "db is no host")
        await asyncio.sleep(3600)

    assert cluster.attempts == [(31.0, "NotReady", "db failed: dns: db is no host")]


async def test_a_check_that_went_stale_is_told_without_a_result_coming_in() -> None:
    board = Board([config("db", interval=10.0)], started_at=now(), startup_deadline=SLOWEST)
    cluster = Cluster()
    async with telling(board, cluster):
        say(board, "db", None)
        await asyncio.sleep(120)

    assert cluster.told[1:] == [("NotReady", "db failed: stale")]


async def test_a_pod_that_flaps_for_an_hour_writes_what_its_tokens_allow() -> None:
    board, cluster = board_of("db"), Cluster()
    async with telling(board, cluster):
        for _ in range(180):
            say(board, "db")
            await asyncio.sleep(7)
            say(board, "db", Reason.TIMEOUT)
            await asyncio.sleep(13)

    assert len(cluster.told) <= BURST + 3600 / TOKEN_EVERY
    assert len(cluster.told) >= 3600 / TOKEN_EVERY
    later = [note for at, _, note in cluster.attempts if at > 300]
    assert all(note.startswith("changes left out before this one: ") for note in later)


async def test_a_drain_that_keeps_ready_is_no_change() -> None:
    board, cluster = board_of("db"), Cluster()
    async with telling(board, cluster):
        say(board, "db")
        await asyncio.sleep(5)
        board.drain(keeps_ready=True)
        await asyncio.sleep(5)

    assert (board.phase, [reason for reason, _ in cluster.told]) == (Phase.DRAINING, ["Ready"])


async def test_a_drain_that_ends_is_followed_by_ready() -> None:
    board, cluster = board_of("db"), Cluster()
    async with telling(board, cluster):
        say(board, "db")
        await asyncio.sleep(5)
        board.drain(keeps_ready=False)
        await asyncio.sleep(5)
        board.resume()
        await asyncio.sleep(5)

    assert [reason for reason, _ in cluster.told] == ["Ready", "Draining", "Ready"]


async def test_an_event_that_fails_is_tried_again_and_then_the_newest_is_told() -> None:
    board, cluster = board_of("db"), Cluster()
    cluster.errors = [ApiError("no answer"), ApiError("busy", status=429, retry_after=60)]
    async with telling(board, cluster):
        say(board, "db")
        await asyncio.sleep(10)
        say(board, "db", Reason.TIMEOUT)
        await asyncio.sleep(100)

    assert [(at, reason) for at, reason, _ in cluster.attempts] == [
        (1.0, "Ready"),
        (3.0, "Ready"),
        (63.0, "NotReady"),
    ]
    assert [note for _, note in cluster.told] == ["changes left out before this one: 1; db failed: timeout"]


async def test_trouble_is_logged_once_a_kind_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sidecar.events")
    board, cluster = board_of("db"), Cluster()
    cluster.errors = [
        ApiError("api answered 403: no, at noon", status=403),
        ApiError("api answered 403: no, at one", status=403),
        ApiError("api cannot be asked"),
    ]
    async with telling(board, cluster):
        say(board, "db")
        await asyncio.sleep(100)

    said = [
        (record.getMessage(), vars(record).get("detail"), vars(record).get("remedy"))
        for record in caplog.records
        if record.name == "sidecar.events"
    ]
    assert said == [
        ("kubernetes event cannot be written", "api answered 403: no, at noon", RIGHT),
        ("kubernetes event cannot be written", "api cannot be asked", None),
        ("kubernetes events are written again", None, None),
    ]


async def test_an_api_that_hangs_holds_nobody_up_at_the_end() -> None:
    board, cluster = board_of("db"), Cluster(hangs=True)
    async with telling(board, cluster):
        say(board, "db")
        await asyncio.sleep(5)
        began = now()

    assert (len(cluster.attempts), now() - began) == (1, 0.0)
