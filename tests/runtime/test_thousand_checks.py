"""A thousand checks in one process: no herd at the start, nobody starves, and a few KiB each."""

import asyncio
import gc
import tracemalloc
from collections import Counter

import pytest

from sidecar.core.state import Status
from sidecar.core.verdict import Standing
from sidecar.runtime.board import Entry, Tally
from sidecar.runtime.pacer import PACE
from tests.runtime.fakes import FakeCheck, config, for_ever, nothing, refused, scheduled

THOUSAND = 1000
compacted = pytest.mark.looptime(noop_cycles=1)  # so many moments at which nothing is due cost too much time
KIB = 1024


def thousand() -> dict[str, FakeCheck]:
    """Return a thousand checks, of which every second one hangs and every fourth is refused."""
    acts = (nothing, for_ever, refused, for_ever)
    return {f"c{n}": FakeCheck(acts[n % 4]) for n in range(THOUSAND)}


@compacted
async def test_first_runs_are_paced_whether_others_hang_or_not() -> None:
    checks = thousand()

    async with scheduled(checks):
        await asyncio.sleep(THOUSAND * PACE)

    assert [check.began for check in checks.values()] == [[round(n * PACE, 5)] for n in range(THOUSAND)]


@compacted
async def test_all_of_them_are_done_however_many_hang() -> None:
    checks = thousand()

    configs = [config(name, failure_threshold=1) for name in checks]
    async with scheduled(checks, configs=configs) as stage:
        await asyncio.sleep(3)
        statuses = Counter(stage.statuses().values())
        late = stage.pulse.overdue().keys() - {"event-loop"}

    assert (statuses, late, {check.closed for check in checks.values()}) == (
        {Status.UP: 250, Status.DOWN: 750},
        set(),
        {1},
    )


def test_what_there_is_a_thousand_of_has_slots() -> None:
    assert [hasattr(each, "__slots__") for each in (Tally, Entry, Standing)] == [True, True, True]


@compacted
async def test_each_costs_a_few_kib() -> None:
    checks = thousand()
    gc.collect()
    tracemalloc.start()
    try:
        async with scheduled(checks):
            await asyncio.sleep(1)
            gc.collect()
            traced, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert traced / THOUSAND < 10 * KIB
