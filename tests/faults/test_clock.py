"""A wall clock that jumps, as it does when a node's clock is set: only what people read may follow it."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Final, Self

import pytest

from sidecar.core.check import Reason
from sidecar.runtime.clock import Clock
from tests.faults.cells import cells
from tests.faults.drill import UP, Drill, down, drill
from tests.faults.s3_store import Store
from tests.faults.subjects import S3, SUBJECTS, Dns, Servers, Subject
from tests.network import FakeDns

HOUR: Final = 3600.0
SAMPLES: Final[Mapping[str, str]] = {"clock jumped by an hour": "redis"}
UNJUDGED: Final = [each for each in SUBJECTS if not isinstance(each, S3)]
"""Those whose servers do not care what time it is here."""
both_ways: Final = pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])


class Datetime(datetime):
    """Asks Python for the time, as the real one does not, which asks the system."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(time.time(), tz)


class WallClock:
    """The time of day, as far off as it is set."""

    def __init__(self) -> None:
        self.off = 0.0
        self._read = time.time

    def __call__(self) -> float:
        return self._read() + self.off

    @asynccontextmanager
    async def jumping(self, seconds: float, it: Drill) -> AsyncIterator[None]:
        """Jump, and back at the end, so that results of both times are compared."""
        self.off = seconds
        yield
        assert abs(it.results[-1].time - self()) < HOUR / 2
        self.off = 0.0


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """Have everybody read a clock that can be set, the drivers included: botocore signs by `datetime`."""
    clock = WallClock()
    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr("botocore.compat.datetime", SimpleNamespace(datetime=Datetime, timezone=timezone))
    return clock


@both_ways
@pytest.mark.parametrize(("subject", "column"), cells(SAMPLES, subjects=UNJUDGED))
async def test_a_clock_that_jumps_by_an_hour(
    subject: Subject, column: str, jump: float, servers: Servers, wall: WallClock
) -> None:
    async with (
        subject.serve(servers) as up,
        drill(subject.keys(up), clock=Clock(wall=wall)) as it,
    ):
        await it.survives(wall.jumping(jump, it), subject.expected(column))

        assert it.changes == 1


@both_ways
@pytest.mark.cell("s3", "clock jumped by an hour")
@pytest.mark.faults
async def test_a_clock_that_jumps_signs_what_s3_does_not_take(jump: float, wall: WallClock) -> None:
    told = f"RequestTimeTooSkewed: our clock is {'1h 0m ahead of' if jump > 0 else '59m 59s behind'} its own"
    async with (
        Store().serve() as address,
        drill(S3().keys(address), clock=Clock(wall=wall)) as it,
    ):
        await it.survives(wall.jumping(jump, it), down(Reason.AUTH))

        assert any(told in each.message for each in it.results)


@both_ways
@pytest.mark.cell("dns", "clock jumped by an hour")
@pytest.mark.faults
async def test_a_clock_that_jumps_while_a_name_is_asked_for(jump: float, wall: WallClock) -> None:
    async with (
        FakeDns({"up.test": ["192.0.2.1"]}) as dns,
        drill(Dns().keys(dns.address), clock=Clock(wall=wall)) as it,
    ):
        await it.survives(wall.jumping(jump, it), UP)

        assert it.changes == 1


@both_ways
@pytest.mark.cell("exec", "clock jumped by an hour")
@pytest.mark.faults
async def test_a_clock_that_jumps_while_commands_run(jump: float, wall: WallClock) -> None:
    async with drill({"type": "exec", "command": ["true"]}, clock=Clock(wall=wall)) as it:
        await it.survives(wall.jumping(jump, it), UP)

        assert it.changes == 1


@both_ways
@pytest.mark.cell("file", "clock jumped by an hour")
async def test_a_clock_that_jumps_makes_a_file_old_until_it_is_written_again(
    tmp_path: Path, jump: float, wall: WallClock
) -> None:
    heartbeat = tmp_path / "heartbeat"
    heartbeat.touch()
    keys = {"type": "file", "path": str(heartbeat), "max_age": "5m"}
    async with drill(keys, clock=Clock(wall=wall)) as it:
        expected = down(Reason.CONTRACT) if jump > 0 else UP
        await it.survives(wall.jumping(jump, it), expected)
