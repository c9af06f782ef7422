"""Is a probe answered at once, whatever happens?

Measured: `/readyz` on new connections, as the kubelet asks, and requests a second on a kept one, with 50 and
1,000 checks that gate readiness and are up, hang, flap, or whose names hang in DNS; and with those that hang
and gate nothing. Against: the sidecar without checks, and a bare aiohttp handler that returns the same bytes.
Both run beside it, and all are asked by turns.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.client import latencies, throughput
from benchmarks.network import NoNamespaceError, seeing
from benchmarks.rows import Effort, Findings, Plot, Row, Target
from benchmarks.servers import CheckDocument, Started, bare, mirror, program, settle, sidecar
from benchmarks.statistic import by_turns, percentile, ratio

QUESTION: Final = "Is a probe answered at once, whatever happens?"
COUNTS: Final = (50, 1000)
ROUNDS: Final = 15
"""Many short ones: what else the machine does falls on some, and their median leaves it out."""
FAST_ROUNDS: Final = 40
"""Of requests on a kept connection, which take a tenth of the time."""
PROBES: Final = 100
REQUESTS: Final = 250
FAST_FOR: Final = 0.25
"""Seconds after which such a round ends, with however many requests."""
PAUSE: Final = 0.002
"""Seconds between two probes of a round: else they would all fall into one moment of the checks' time."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the checks of a sidecar meet, and the keys of each beside its own URL."""

    name: str
    dependency: str
    keys: CheckDocument
    asks_names: bool = False
    """Whether the dependency is the resolver, and each check has a name of its own for it."""

    def check(self, number: int, port: int) -> CheckDocument:
        """Return the keys of a check, given the port of the dependency."""
        host = f"n{number}.hung.test" if self.asks_names else "127.0.0.1"
        return {"name": f"c-{number}", "type": "http", "url": f"http://{host}:{port}/", **self.keys}


GATING: Final[CheckDocument] = {"gates": "readiness"}
CONDITIONS: Final = (
    Condition("up", "http", GATING),
    Condition("hanging", "hung", GATING),
    Condition("flapping", "flapping", {**GATING, "failure_threshold": 1}),
    Condition("hanging in DNS", "dns", GATING, asks_names=True),
    Condition("hanging, gating nothing", "hung", {"gates": "none"}),
)
PROMISED: Final = ("hanging", "hanging, gating nothing")
"""Conditions in which a probe shall wait hardly longer than without checks."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """What one condition does to the probes, against no checks and against a bare handler."""

    p50: float
    p99: float
    p99_to_bare: float
    throughput: float
    throughput_to_bare: float


def measure(effort: Effort) -> Findings:
    """Ask in every condition."""
    counts = COUNTS[:1] if effort.is_quick else COUNTS
    found: dict[tuple[str, int], Ratios] = {}
    skipped = []
    for condition in CONDITIONS:
        try:
            found.update({(condition.name, count): _ratios(effort, condition, count) for count in counts})
        except NoNamespaceError as failure:
            skipped.append(Row(condition.name, None, note=f"skipped: {failure}"))
    rows = [row for (name, count), ratios in found.items() for row in _rows(name, count, ratios)]
    return Findings(
        [*_rows_without_checks(effort), *rows, *skipped],
        [
            f"{effort.count(ROUNDS)} rounds of {PROBES} new connections each.",
            f"{effort.count(FAST_ROUNDS)} rounds of {REQUESTS} requests on a kept one, or {FAST_FOR:g}s.",
            "HTTP checks, interval 10s, timeout 2s, by default; what flaps has a threshold of 1.",
            "They gate readiness: one that is not up makes the answer a `503` with a line for each.",
            "The bare handler returns status and bytes that the sidecar had when the rounds began.",
        ],
        [_plot(found)],
    )


def _rows_without_checks(effort: Effort) -> Iterator[Row]:
    with bare() as limit, sidecar(effort.folder, []) as alone:
        settle(effort)
        theirs, ours = by_turns(effort.count(ROUNDS), (limit, alone), _latencies)
        rounds = by_turns(effort.count(FAST_ROUNDS), (limit, alone), _speed_and_cost)
    (bare_rates, bare_costs), (rates, costs) = (zip(*each, strict=True) for each in rounds)
    against = "no checks, against a bare handler"
    for percent in (50, 99):
        yield Row(f"p{percent} of `/readyz`, {against}", _typical(ours, percent) / _typical(theirs, percent))
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
        mirror(limit, crowded)
        servers = (limit, alone, crowded)
        slow = by_turns(effort.count(ROUNDS), servers, _latencies)
        fast = by_turns(effort.count(FAST_ROUNDS), servers, _rate)
    p99_of_bare, p99_alone, p99 = (_typical(rounds, 99) for rounds in slow)
    return Ratios(
        p50=_typical(slow[2], 50) / _typical(slow[1], 50),
        p99=p99 / p99_alone,
        p99_to_bare=p99 / p99_of_bare,
        throughput=ratio(fast[2], fast[1]),
        throughput_to_bare=ratio(fast[2], fast[0]),
    )


def _typical(rounds: list[list[float]], percent: int) -> float:
    """Return the median of a percentile over rounds."""
    return median(percentile(each, percent) for each in rounds)


def _rate(server: Started) -> float:
    return throughput(server.port, REQUESTS, within=FAST_FOR)


def _latencies(server: Started) -> list[float]:
    return latencies(server.port, PROBES, pause=PAUSE)


@contextmanager
def _crowded(effort: Effort, condition: Condition, count: int) -> Iterator[Started]:
    """Run a sidecar with so many checks in this condition.

    Raises:
        NoNamespaceError: it needs a resolver of its own, which cannot be had here.
    """
    with program("dependency", condition.dependency) as dependency:
        resolv = effort.folder / "resolv.conf"
        resolv.write_text(f"nameserver 127.0.0.1:{dependency.port}\n")
        launcher = seeing(resolv) if condition.asks_names else ()
        checks = [condition.check(number, dependency.port) for number in range(count)]
        with sidecar(effort.folder, checks, launcher=launcher) as server:
            yield server


def _rows(name: str, count: int, ratios: Ratios) -> list[Row]:
    checks = f"{count:,} checks {name}"
    is_promised = name in PROMISED and count == max(COUNTS)
    return [
        Row(f"p50 of `/readyz`, {checks}, against none", ratios.p50),
        Row(
            f"p99 of `/readyz`, {checks}, against none",
            ratios.p99,
            target=Target(at_most=1.25) if is_promised else Target(),
        ),
        Row(f"p99 of `/readyz`, {checks}, against a bare handler", ratios.p99_to_bare),
        Row(f"requests a second, {checks}, against none", ratios.throughput),
        Row(
            f"requests a second, {checks}, against a bare handler",
            ratios.throughput_to_bare,
            target=Target(at_least=0.9),
        ),
    ]


def _plot(found: Mapping[tuple[str, int], Ratios]) -> Plot:
    names = dict.fromkeys(name for name, _ in found)
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
