"""Third-party checks that misbehave in the real process: they fail alone, and are named."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.faults.cells import cell
from tests.faults.process import Watched, watching
from tests.process.plugins import install

ROW: Final = "third-party check"
TROUBLE: Final = "  - {name: trouble, type: trouble, gates: none, interval: 200ms, timeout: 200ms}\n"
CALM: Final = "calm = Path(__file__).with_name('calm')\nif calm.exists(): return None\n"
"""Goes before whatever the check does: it behaves while a file of that name is there."""
STUBBORN: Final = """
while not calm.exists():
    try: await asyncio.sleep(0.05)
    except asyncio.CancelledError: pass
"""
BLOCK: Final = 3.0
"""Seconds for which a check blocks the event loop."""


@asynccontextmanager
async def troubled(folder: Path, run: str) -> AsyncIterator[tuple[Watched, Path]]:
    """Run a sidecar with a check that does this; yield it, and the file that has the check behave."""
    env = install(folder, run=CALM + run, prelude="from pathlib import Path")
    calm = folder / "site-trouble" / "calm"
    calm.touch()
    async with watching(folder, TROUBLE, env=env) as it:
        await it.sidecar.until_logged("check is up", check="trouble")
        yield it, calm


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        cell(ROW, "ignores cancellation", STUBBORN, "timeout", is_sample=True),
        cell(ROW, "raises SystemExit", "raise SystemExit(3)", "unexpected"),
        cell(ROW, "raises KeyboardInterrupt", "raise KeyboardInterrupt", "unexpected"),
        cell(ROW, "raises CancelledError", "raise asyncio.CancelledError", "unexpected"),
        cell(ROW, "raises RecursionError", "return (lambda f: f(f))(lambda f: f(f))", "unexpected"),
        cell(ROW, "raises MemoryError", "return [None] * (1 << 60)", "unexpected"),
        cell(ROW, "never returns", "await asyncio.Event().wait()", "timeout"),
    ],
)
async def test_a_check_that_misbehaves(tmp_path: Path, run: str, reason: str) -> None:
    async with troubled(tmp_path, run) as (it, calm):
        calm.unlink()
        await it.sidecar.until_logged("check is down", check="trouble", reason=reason)
        await it.until_run(10)
        calm.touch()
        await it.sidecar.until_logged_times("check is up", 3)  # the neighbour, and this one twice
        await it.until_all_given_back()

        await it.assert_undisturbed()


@pytest.mark.cell(ROW, "blocks the event loop for 3s")
async def test_a_check_that_blocks_the_event_loop(tmp_path: Path) -> None:
    """While it lasts nobody is answered; at once after it everybody says so, and who it was."""
    run = f"calm.touch()\ntime.sleep({BLOCK})"
    async with troubled(tmp_path, run) as (it, calm):
        calm.unlink()
        line = await it.sidecar.until_logged("check blocked the event loop", check="trouble")
        _, health = await it.sidecar.get("/healthz?verbose")
        _, metrics = await it.sidecar.get("/metrics")
        told_within = time.time() - (calm.stat().st_mtime + BLOCK)
        await it.until_run(5)
        await it.until_all_given_back()

        assert line["seconds"] == pytest.approx(BLOCK, abs=0.2)
        assert re.fullmatch(r"\[!\]event-loop warning: late by [23]s\nhealthz check passed\n", health)
        assert lag_in(metrics) > BLOCK - 1.5
        assert told_within < 1.0
        assert it.longest_pause() < BLOCK + 1.0
        assert await it.kubelet.ask("/readyz") == 200


def lag_in(metrics: str) -> float:
    """Return the lag of the event loop that an exposition tells, in seconds."""
    (found,) = re.findall(r"^sidecar_event_loop_lag_seconds (\S+)$", metrics, re.MULTILINE)
    return float(found)
