"""`make bench`: is a probe answered at once whatever happens, and what does the sidecar weigh?"""

from collections.abc import Callable
from statistics import median, quantiles

from benchmarks.client import latencies, throughput
from benchmarks.servers import Server, bare, sidecar

REPEATS = 7
PROBES = 300
REQUESTS = 1500


def main() -> None:
    """Measure, and print a table of ratios."""
    with bare() as limit, sidecar(hanging=0) as idle, sidecar(hanging=1000) as hung:
        rate = _interleaved((limit, idle, hung), lambda server: throughput(server.port, REQUESTS))
        slow = _interleaved((idle, hung), lambda server: _p99(latencies(server.port, PROBES)))
        memory = [server.rss() for server in (limit, idle, hung)]
    rows = [
        ("requests a second, kept connection, against a bare handler", rate[1] / rate[0], "at least 0.9"),
        ("the same with 1,000 hanging checks", rate[2] / rate[0], ""),
        ("p99 of a new connection, 1,000 hanging checks against none", slow[1] / slow[0], "at most 1.25"),
        ("memory of the sidecar against the bare handler", memory[1] / memory[0], ""),
    ]
    for what, ratio, target in rows:
        print(f"{what:<62} {ratio:>6.2f}  {target}")
    print(f"{'memory a hanging TLS check, KiB':<62} {(memory[2] - memory[1]) * 1024 / 1000:>6.1f}")


def _interleaved(servers: tuple[Server, ...], measure: Callable[[Server], float]) -> list[float]:
    """Return a median for each server, their repeats interleaved so that the machine's noise falls on all."""
    rounds = [[measure(server) for server in servers] for _ in range(REPEATS)]
    return [median(each) for each in zip(*rounds, strict=True)]


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


if __name__ == "__main__":
    main()
