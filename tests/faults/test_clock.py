"""A wall clock that jumps, as it does when a node's clock is set: only what people read may follow it."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import pytest

from sidecar.runtime.clock import Clock
from tests.faults.cells import cells
from tests.faults.drill import Drill, drill
from tests.faults.subjects import Servers, Subject

HOUR: Final = 3600.0
SAMPLES: Final[Mapping[str, str]] = {"clock jumped by an hour": "redis"}


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
    """Have everybody read a clock that can be set, the drivers included."""
    clock = WallClock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
@pytest.mark.parametrize(("subject", "column"), cells(SAMPLES))
async def test_a_clock_that_jumps_by_an_hour(
    subject: Subject, column: str, jump: float, servers: Servers, wall: WallClock
) -> None:
    async with (
        subject.serve(servers) as up,
        drill(subject.keys(up), clock=Clock(wall=wall)) as it,
    ):
        await it.survives(wall.jumping(jump, it), subject.expected(column))

        assert it.changes == 1
