"""Does it scale?

Measured: memory, processor time of a run, and the time and size of `/metrics`, with 1, 10, 100 and 1,000 TCP
checks that are up, and how long a probe waits while `/metrics` is written. Against: themselves; what is
linear costs ten times as much for ten times as many checks, and a run costs the same however many others
there are. All run side by side, and one without checks, whose processor time is no run's.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from benchmarks.client import ask, undisturbed, until_open
from benchmarks.rows import Effort, Findings, Plot, Row, Target
from benchmarks.servers import CheckDocument, Started, program, settle, sidecar
from benchmarks.statistic import by_turns

QUESTION: Final = "Does it scale?"
COUNTS: Final = (1, 10, 100, 1000)
INTERVAL: Final = 2
WATCHED: Final = 20.0
"""Seconds in which runs are counted and their cost is measured; no exposition is kept for so long."""
SCRAPES: Final = 9
LOOK: Final = 0.1
"""Seconds until the next look for an exposition that is written anew."""
LINEAR: Final = Target(at_most=1.25)
WAIT: Final = Target(at_most=100)
"""Milliseconds that a scrape may hold up a probe."""
KIB: Final = 1024


class Timed(NamedTuple):
    """Milliseconds of what was timed, and the exposition that came meanwhile."""

    took: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Size:
    """A sidecar with so many checks: KiB, and milliseconds of a run, a scrape, and a probe beside one."""

    memory: float
    run: float
    scrape: float
    kept: float
    """Of a scrape that is answered with what was written for an earlier one."""
    probe: float
    body: int
    """Bytes of a scrape."""


class Scraper:
    """Scrapes a sidecar. An exposition is a new one if runs were counted in it since the last."""

    def __init__(self, port: int) -> None:
        self.kept: list[float] = []
        self._port = port
        self._last = b""

    def until_new(self, scrape: Callable[[int], Timed]) -> Timed:
        """Scrape until an exposition is a new one, and return that; note how long the others took."""
        while (found := scrape(self._port)).body == self._last:
            self.kept.append(found.took)
            time.sleep(LOOK)
        self._last = found.body
        return found


def measure(effort: Effort) -> Findings:
    """Measure all numbers of checks side by side."""
    counts = COUNTS[:3] if effort.is_quick else COUNTS
    with _sidecars(effort, (0, *counts)) as servers:
        sizes = _sizes(effort, servers)
    return Findings(
        list(rows(sizes)),
        [
            f"Interval {INTERVAL}s; runs of {_watched(effort):.0f}s, less what no checks cost meanwhile.",
            f"The median of {SCRAPES} scrapes that were written anew, by turns.",
            f"The median of the longest probe beside each of {SCRAPES} more, one after the other.",
        ],
        [_plot(sizes)],
    )


@contextmanager
def _sidecars(effort: Effort, counts: tuple[int, ...]) -> Iterator[dict[int, Started]]:
    with ExitStack() as stack:
        dependency = stack.enter_context(program("dependency", "http"))
        until_open(dependency.port)
        yield {
            count: stack.enter_context(sidecar(effort.folder, _checks(dependency.port, count)))
            for count in counts
        }


def _checks(port: int, count: int) -> list[CheckDocument]:
    keys = {"type": "tcp", "host": "127.0.0.1", "port": port, "gates": "none", "interval": f"{INTERVAL}s"}
    return [{"name": f"c-{n}", **keys} for n in range(count)]


def _sizes(effort: Effort, servers: Mapping[int, Started]) -> dict[int, Size]:
    settle(effort)
    runs = _milliseconds_of_runs(servers, _watched(effort))
    scrapers = {count: Scraper(server.port) for count, server in servers.items() if count}
    with undisturbed():
        scrapes, probes = (
            dict(zip(scrapers, by_turns(SCRAPES, list(scrapers.values()), measured), strict=True))
            for measured in (_until_scraped, _until_probed)
        )
    return {
        count: Size(
            memory=servers[count].memory().rss / KIB,
            run=runs[count],
            scrape=median(each.took for each in scrapes[count]),
            kept=median(scraper.kept or [0.0]),
            probe=median(each.took for each in probes[count]),
            body=len(scrapes[count][-1].body),
        )
        for count, scraper in scrapers.items()
    }


def _milliseconds_of_runs(servers: Mapping[int, Started], seconds: float) -> dict[int, float]:
    """Return the processor time of a run of each, all watched at once."""
    runs = {count: _runs(server.port) for count, server in servers.items()}
    used = {count: server.cpu_seconds() for count, server in servers.items()}
    time.sleep(seconds)
    used = {count: server.cpu_seconds() - used[count] for count, server in servers.items()}
    runs = {count: _runs(server.port) - runs[count] for count, server in servers.items()}
    return {count: (used[count] - used[0]) / max(runs[count], 1) * 1000 for count in servers}


def _watched(effort: Effort) -> float:
    return INTERVAL if effort.is_quick else WATCHED


def _runs(port: int) -> float:
    lines = ask(port, "/metrics").decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("sidecar_check_runs_total{"))


def _until_scraped(scraper: Scraper) -> Timed:
    return scraper.until_new(_scrape)


def _until_probed(scraper: Scraper) -> Timed:
    return scraper.until_new(_longest_probe)


def _scrape(port: int) -> Timed:
    began = time.perf_counter()
    body = ask(port, "/metrics").partition(b"\r\n\r\n")[2]
    return Timed((time.perf_counter() - began) * 1000, body)


def _longest_probe(port: int) -> Timed:
    """Probe for as long as a scrape takes; return the milliseconds of the probe that took longest."""
    longest = 0.0
    with ThreadPoolExecutor(1) as pool:
        scrape = pool.submit(_scrape, port)
        while not scrape.done():
            began = time.perf_counter()
            ask(port)
            longest = max(longest, time.perf_counter() - began)
        return Timed(longest * 1000, scrape.result().body)


def rows(sizes: Mapping[int, Size]) -> Iterator[Row]:
    """Yield the figures of the largest number of checks, each against the next smaller one."""
    first, *_, smaller, largest = sizes
    one, below, top = sizes[first], sizes[smaller], sizes[largest]
    against = f"{largest:,} against {smaller}"
    grown, grown_less = (
        (size.memory - less.memory) / (count - fewer)
        for size, less, count, fewer in ((top, below, largest, smaller), (below, one, smaller, first))
    )
    yield Row(f"memory of a check, {smaller} to {largest:,}", grown, "KiB")
    yield Row(f"the same, against {first} to {smaller}", grown / grown_less, target=LINEAR)
    for count, size in sizes.items():
        checks = "check" if count == 1 else "checks"
        yield Row(f"processor time of a run, {count:,} {checks}", size.run, "ms")
    yield Row(f"processor time of a run, {against}", top.run / below.run, target=LINEAR)
    for what, unit, total, total_below in (
        ("time", "ms", top.scrape, below.scrape),
        ("bytes", "B", float(top.body), float(below.body)),
    ):
        yield Row(f"{what} of `/metrics` a check, {largest:,}", total / largest, unit)
        ratio = (total / largest) / (total_below / smaller)
        yield Row(f"{what} of `/metrics` a check, {against}", ratio, target=LINEAR)
    yield Row(f"`/metrics` with {largest:,} checks, written anew", top.scrape, "ms")
    yield Row(f"`/metrics` with {largest:,} checks, given out again", top.kept, "ms")
    yield Row(f"longest probe beside `/metrics` with {largest:,} checks", top.probe, "ms", WAIT)


def _plot(sizes: Mapping[int, Size]) -> Plot:
    smallest = min(size.memory for size in sizes.values())
    return Plot(
        "scale",
        "Cost with the number of checks; a straight line is linear",
        x="checks",
        y="MiB above one check; ms and KiB of /metrics",
        series={
            "memory, MiB": [(n, (size.memory - smallest) / KIB or 0.01) for n, size in sizes.items()],
            "/metrics, ms": [(n, size.scrape) for n, size in sizes.items()],
            "/metrics, KiB": [(n, size.body / KIB) for n, size in sizes.items()],
        },
        is_log_x=True,
        is_log_y=True,
    )
