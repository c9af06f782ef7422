"""Is a probe answered at once, whatever happens?

Measured: `/readyz` on new connections, as the kubelet asks, and requests a second on a kept one, with 50 and
1,000 checks that are up, hang, flap, or hang in DNS. Against: the sidecar without checks, and for throughput
a bare aiohttp handler that returns the same bytes. Both run beside it, and all are asked by turns.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.client import latencies, throughput
from benchmarks.rows import Effort, Findings, Plot, Row, Target
from benchmarks.servers import CheckDocument, Started, bare, program, settle, sidecar
from benchmarks.statistic import by_turns, percentile, ratio

QUESTION: Final = "Is a probe answered at once, whatever happens?"
COUNTS: Final = (50, 1000)
ROUNDS: Final = 15
"""Many short ones: what else the machine does falls on some, and their median leaves it out."""
FAST_ROUNDS: Final = 60
"""Of requests on a kept connection, which take a tenth of the time."""
PROBES: Final = 100
REQUESTS: Final = 250
PAUSE: Final = 0.002
"""Seconds between two probes of a round: else they would all fall into one moment of the checks' time."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the checks of a sidecar meet."""

    name: str
    dependency: str
    check: Callable[[int], CheckDocument]
    """Returns the keys of a check, given the dependency's port."""


def http(port: int) -> CheckDocument:
    """Return the keys of an HTTP check."""
    return {"type": "http", "url": f"http://127.0.0.1:{port}/"}


def name_of(port: int) -> CheckDocument:
    """Return the keys of a check that asks a DNS server."""
    return {"type": "dns", "hostname": "hung.example.test", "server": "127.0.0.1", "port": port}


CONDITIONS: Final = (
    Condition("up", "http", http),
    Condition("hanging", "hung", http),
    Condition("flapping", "flapping", http),
    Condition("hanging in DNS", "dns", name_of),
)


@dataclass(frozen=True, slots=True)
class Ratios:
    """What one condition does to the probes, against no checks."""

    p50: float
    p99: float
    throughput: float
    throughput_to_bare: float
    """Of the same sidecar against a bare handler."""


def measure(effort: Effort) -> Findings:
    """Ask in every condition."""
    counts = COUNTS[:1] if effort.is_quick else COUNTS
    found = {
        (condition.name, count): _ratios(effort, condition, count)
        for condition in CONDITIONS
        for count in counts
    }
    rows = [row for (name, count), ratios in found.items() for row in _rows(name, count, ratios)]
    return Findings(
        [*_rows_without_checks(effort), *rows],
        [
            f"{effort.count(ROUNDS)} rounds of {PROBES} new connections each.",
            f"{effort.count(FAST_ROUNDS)} rounds of {REQUESTS} requests on a kept connection each.",
            "The checks have the default interval of 10s and timeout of 2s; they gate nothing.",
        ],
        [_plot(found)],
    )


def _rows_without_checks(effort: Effort) -> Iterator[Row]:
    with bare() as limit, sidecar(effort.folder, []) as alone:
        rounds = by_turns(effort.count(FAST_ROUNDS), (limit, alone), _speed_and_cost)
    (bare_rates, bare_costs), (rates, costs) = (zip(*each, strict=True) for each in rounds)
    against = "no checks, against a bare handler"
    yield Row(f"requests a second, {against}", ratio(rates, bare_rates), target=Target(at_least=0.9))
    yield Row(f"processor time of a request, {against}", ratio(costs, bare_costs))


def _speed_and_cost(server: Started) -> tuple[float, float]:
    """Return the requests a second on a kept connection, and the processor seconds of one."""
    began = server.cpu_seconds()
    rate = throughput(server.port, REQUESTS)
    return rate, (server.cpu_seconds() - began) / REQUESTS


def _ratios(effort: Effort, condition: Condition, count: int) -> Ratios:
    with bare() as limit, sidecar(effort.folder, []) as alone, _crowded(effort, condition, count) as crowded:
        settle(effort)
        slow = by_turns(effort.count(ROUNDS), (alone, crowded), _latencies)
        fast = by_turns(
            effort.count(FAST_ROUNDS),
            (limit, alone, crowded),
            lambda server: throughput(server.port, REQUESTS),
        )
    (p50, p50_crowded), (p99, p99_crowded) = (
        [median(percentile(round_, percent) for round_ in rounds_) for rounds_ in slow]
        for percent in (50, 99)
    )
    return Ratios(p50_crowded / p50, p99_crowded / p99, ratio(fast[2], fast[1]), ratio(fast[2], fast[0]))


def _latencies(server: Started) -> list[float]:
    return latencies(server.port, PROBES, pause=PAUSE)


@contextmanager
def _crowded(effort: Effort, condition: Condition, count: int) -> Iterator[Started]:
    with program("dependency", condition.dependency) as dependency:
        keys = condition.check(dependency.port)
        checks = [{"name": f"c-{n}", "gates": "none", **keys} for n in range(count)]
        with sidecar(effort.folder, checks) as server:
            yield server


def _rows(name: str, count: int, ratios: Ratios) -> list[Row]:
    checks = f"{count:,} checks {name}"
    is_promised = (name, count) == ("hanging", max(COUNTS))
    return [
        Row(f"p50 of `/readyz`, {checks}, against none", ratios.p50),
        Row(
            f"p99 of `/readyz`, {checks}, against none",
            ratios.p99,
            target=Target(at_most=1.25) if is_promised else Target(),
        ),
        Row(f"requests a second, {checks}, against none", ratios.throughput),
        Row(
            f"requests a second, {checks}, against a bare handler",
            ratios.throughput_to_bare,
            target=Target(at_least=0.9),
        ),
    ]


def _plot(found: dict[tuple[str, int], Ratios]) -> Plot:
    names = [condition.name for condition in CONDITIONS]
    points = {
        name: [(count, each.p99) for (other, count), each in found.items() if other == name] for name in names
    }
    return Plot(
        "probe",
        "p99 of /readyz against a sidecar without checks",
        x="checks",
        y="ratio",
        series={name: [(1, 1.0), *series] for name, series in points.items()},
        is_log_x=True,
    )
