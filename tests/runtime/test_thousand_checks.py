"""A thousand checks in one process: no herd at the start, nobody starves, and a few KiB each."""

import asyncio
import gc
import tracemalloc
from collections import Counter

import pytest

from sidecar.core.state import Status
from sidecar.runtime.scheduler import PACE
from tests.runtime.fakes import FakeCheck, for_ever, nothing, refused, scheduled

pytestmark = pytest.mark.looptime

THOUSAND = 1000
KIB = 1024


def thousand() -> dict[str, FakeCheck]:
    """Return a thousand checks, of which every second one hangs and every fourth is refused."""
    acts = (nothing, for_ever, refused, for_ever)
    return {f"c{n}": FakeCheck(acts[n % 4]) for n in range(THOUSAND)}


async def test_first_runs_are_paced_whether_others_hang_or_not() -> None:
    checks = thousand()

    async with scheduled(checks):
        await asyncio.sleep(THOUSAND * PACE)

    assert [check.began for check in checks.values()] == [[round(n * PACE, 5)] for n in range(THOUSAND)]


async def test_all_of_them_are_done_however_many_hang() -> None:
    checks = thousand()

    async with scheduled(checks) as stage:
        await asyncio.sleep(12)
        statuses = Counter(stage.statuses().values())
        late = stage.pulse.overdue().keys() - {"event-loop"}

    assert (statuses, late, {check.closed for check in checks.values()}) == (
        {Status.UP: 250, Status.DOWN: 750},
        set(),
        {1},
    )


async def test_each_costs_a_few_kib() -> None:
    checks = thousand()
    gc.collect()
    tracemalloc.start()
    try:
        async with scheduled(checks):
            await asyncio.sleep(5)
            gc.collect()
            traced, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert traced / THOUSAND < 10 * KIB
