"""Does it scale?

Measured: memory, processor time of a run, and the time and size of `/metrics`, with 1, 10, 100 and 1,000 TCP
checks that are up. Against: themselves; what is linear costs ten times as much for ten times as many checks,
and a run costs the same however many others there are.
"""

import time
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.client import ask, undisturbed, until_open
from benchmarks.rows import Effort, Findings, Plot, Row, Target
from benchmarks.servers import CheckDocument, Started, program, sidecar

QUESTION: Final = "Does it scale?"
COUNTS: Final = (1, 10, 100, 1000)
INTERVAL: Final = 2
WATCHED: Final = 10.0
"""Seconds in which runs are counted and their cost is measured."""
SCRAPES: Final = 15
KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Size:
    """A sidecar with so many checks: KiB, milliseconds a run and a scrape, bytes of a scrape."""

    memory: float
    run: float
    scrape: float
    body: int


def measure(effort: Effort) -> Findings:
    """Measure each number of checks, one after the other."""
    counts = COUNTS[:3] if effort.is_quick else COUNTS
    with program("dependency", "http") as dependency:
        until_open(dependency.port)
        sizes = {count: _size(effort, dependency.port, count) for count in counts}
    largest, smaller = counts[-1], counts[-2]
    top, below = sizes[largest], sizes[smaller]
    return Findings(
        [
            Row(
                f"memory of a check, {smaller} to {largest:,}",
                (top.memory - below.memory) / (largest - smaller),
                "KiB",
            ),
            Row(
                f"processor time of a run, {largest:,} checks against {smaller}",
                top.run / below.run,
                target=Target(at_most=1.25),
            ),
            Row(
                f"time of `/metrics` a check, {largest:,} against {smaller}",
                (top.scrape / largest) / (below.scrape / smaller),
                target=Target(at_most=1.25),
            ),
            Row(
                f"bytes of `/metrics` a check, {largest:,} against {smaller}",
                (top.body / largest) / (below.body / smaller),
                target=Target(at_most=1.25),
            ),
            Row(f"`/metrics` with {largest:,} checks", top.scrape, "ms"),
            Row(f"bytes of `/metrics` a check, with {largest:,}", top.body / largest, "B"),
        ],
        [f"Interval {INTERVAL}s; runs of {_watched(effort):.0f}s; the median of {SCRAPES} scrapes."],
        [
            Plot(
                "scale",
                "Cost with the number of checks; a straight line is linear",
                x="checks",
                y="MiB above one check; ms and KiB of /metrics",
                series={
                    "memory, MiB": [(n, (sizes[n].memory - sizes[1].memory) / KIB or 0.01) for n in counts],
                    "/metrics, ms": [(n, sizes[n].scrape) for n in counts],
                    "/metrics, KiB": [(n, sizes[n].body / KIB) for n in counts],
                },
                is_log_x=True,
                is_log_y=True,
            )
        ],
    )


def _size(effort: Effort, port: int, count: int) -> Size:
    checks: list[CheckDocument] = [
        {
            "name": f"c-{n}",
            "type": "tcp",
            "host": "127.0.0.1",
            "port": port,
            "gates": "none",
            "interval": f"{INTERVAL}s",
        }
        for n in range(count)
    ]
    with sidecar(effort.folder, checks) as server:
        time.sleep(2 * INTERVAL)
        run = _milliseconds_of_a_run(effort, server)
        with undisturbed():
            scrapes = [_scrape(server.port) for _ in range(SCRAPES)]
        return Size(server.memory().rss / KIB, run, median(each[0] for each in scrapes), scrapes[-1][1])


def _milliseconds_of_a_run(effort: Effort, server: Started) -> float:
    """Return the processor time that passed for each run; what we cost without runs is in it."""
    runs, used = _runs(server.port), server.cpu_seconds()
    time.sleep(_watched(effort))
    used = server.cpu_seconds() - used
    return used / max(_runs(server.port) - runs, 1) * 1000


def _watched(effort: Effort) -> float:
    return INTERVAL if effort.is_quick else WATCHED


def _runs(port: int) -> float:
    lines = ask(port, "/metrics").decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("sidecar_check_runs_total{"))


def _scrape(port: int) -> tuple[float, int]:
    """Return milliseconds and bytes; a pause lets the answer that was kept for a moment be forgotten."""
    time.sleep(0.3)
    began = time.perf_counter()
    body = ask(port, "/metrics").partition(b"\r\n\r\n")[2]
    return (time.perf_counter() - began) * 1000, len(body)
