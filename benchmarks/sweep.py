"""How fast is a sweep?

Measured: every one of 1,000 checks once, side by side, as `sidecar check` does, where the dependency takes
100 ms to answer over HTTP, and connects at once for `tcp`, since nothing on loopback delays that. Against:
`asyncio.gather` of the same bare calls. Beside both a clock that ticks every 5 ms measures the loop's lag.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from statistics import median
from typing import Any, Final, NamedTuple

from benchmarks.client import until_open
from benchmarks.cost import configured
from benchmarks.rows import Effort, Findings, Row, Target
from benchmarks.servers import program
from benchmarks.statistic import percentile
from benchmarks.subjects import SUBJECTS, Address, Subject
from sidecar.checks import InstalledTypes
from sidecar.config.check import CheckConfig, CheckType
from sidecar.runtime.sweep import sweep
from sidecar.support.loop import SidecarLoop

QUESTION: Final = "How fast is a sweep?"
CHECKS: Final = 1000
TAKES: Final = 0.1
"""Seconds that the dependency takes for an answer."""
ROUNDS: Final = 7
TICK: Final = 0.005

Sweep = Callable[[], Awaitable[object]]


class Swept(NamedTuple):
    """One sweep: seconds, and the 99th percentile of the loop's lag meanwhile."""

    seconds: float
    lag: float


def measure(effort: Effort) -> Findings:
    """Sweep over HTTP and TCP."""
    count = effort.count(CHECKS)
    subjects = [subject for subject in SUBJECTS if subject.name in ("http", "tcp")]
    rows: list[Row] = []
    with program("dependency", "http", str(TAKES)) as server:
        until_open(server.port)
        for subject in subjects:
            with asyncio.Runner(loop_factory=SidecarLoop) as loop:
                rows += loop.run(_rows(effort, subject, Address(server.port), count))
    return Findings(
        rows,
        [
            f"{effort.count(ROUNDS)} sweeps of {count:,} checks of each, by turns.",
            f"An HTTP answer takes {TAKES * 1000:.0f} ms; a TCP connection of loopback is there at once.",
        ],
    )


async def _rows(effort: Effort, subject: Subject, at: Address, count: int) -> Sequence[Row]:
    """Sweep with us and without."""
    types, one = InstalledTypes(), configured(subject, at)
    configs = [replace(one, name=f"c-{n}", timeout=30.0) for n in range(count)]

    def find(config: CheckConfig) -> CheckType[Any]:
        found = types.find(config.type)
        if found is None:
            raise LookupError(config.type)
        return found

    async with subject.bare(at) as bare:

        async def gathered() -> None:
            await asyncio.gather(*(bare() for _ in configs))

        async def ours() -> None:
            results = await sweep(configs, find=find, redact=str)
            failed = [result.message for result in results.values() if not result.is_success]
            if failed:
                raise RuntimeError(f"{len(failed)} checks failed: {failed[0]}")

        samples = [(await _timed(ours), await _timed(gathered)) for _ in range(effort.count(ROUNDS) + 1)][1:]
    mine, theirs = zip(*samples, strict=True)
    seconds = [median(each.seconds for each in sweeps) for sweeps in (mine, theirs)]
    lags = [median(each.lag for each in sweeps) for sweeps in (mine, theirs)]
    return [
        Row(f"`{subject.name}`: seconds of a sweep by `gather`", seconds[1], "s"),
        Row(
            f"`{subject.name}`: time of a sweep, against `gather`",
            seconds[0] / seconds[1],
            target=Target(at_most=1.3),
        ),
        Row(f"`{subject.name}`: p99 of the loop's lag meanwhile", lags[0] * 1000, "ms", Target(at_most=50)),
        Row(f"`{subject.name}`: p99 of the loop's lag in `gather`", lags[1] * 1000, "ms"),
    ]


async def _timed(work: Sweep) -> Swept:
    gc.collect()
    lags: list[float] = []
    ticking = asyncio.create_task(_tick(lags))
    await asyncio.sleep(2 * TICK)
    began = time.perf_counter()
    await work()
    seconds = time.perf_counter() - began
    await asyncio.sleep(2 * TICK)
    ticking.cancel()
    with suppress(asyncio.CancelledError):
        await ticking
    return Swept(seconds, percentile(lags, 99))


async def _tick(lags: list[float]) -> None:
    while True:
        due = time.perf_counter() + TICK
        await asyncio.sleep(TICK)
        lags.append(time.perf_counter() - due)
