"""The processes that are compared start, answer, and can be weighed."""

import time
from pathlib import Path

import pytest

from benchmarks.client import ask, is_ok, latencies, throughput
from benchmarks.servers import bare, mirror, program, sidecar
from benchmarks.statistic import by_turns, percentile, ratio

pytestmark = pytest.mark.slow


def test_the_sidecar_and_the_bare_handler_answer_the_same_bytes(tmp_path: Path) -> None:
    with bare() as limit, sidecar(tmp_path, []) as ours:
        bodies = [ask(server.port).partition(b"\r\n\r\n")[2] for server in (limit, ours)]
        slow = by_turns(1, (limit, ours), lambda server: max(latencies(server.port, 3)))
        rates = by_turns(1, (limit, ours), lambda server: throughput(server.port, 10))
        weights = [server.memory().private for server in (limit, ours)]
        used = ours.cpu_seconds()

    assert bodies == [b"ok", b"ok"]
    assert min(*map(max, slow), *map(max, rates), *weights, used) > 0


def test_a_bare_handler_returns_what_a_sidecar_does_that_is_not_ready(tmp_path: Path) -> None:
    check = {"name": "db", "type": "tcp", "host": "127.0.0.1", "port": 9, "gates": "readiness"}
    with bare() as limit, sidecar(tmp_path, [check]) as ours:
        while b"refused" not in ask(ours.port):
            time.sleep(0.05)
        mirror(limit, ours)
        heads, bodies = zip(*(ask(each.port).split(b"\r\n\r\n") for each in (limit, ours)), strict=True)
        rate = throughput(limit.port, 1_000_000, within=0.1)

    assert {head[9:12] for head in heads} == {b"503"}
    assert bodies[0] == bodies[1]
    assert rate > 0


def test_a_sidecar_asks_the_dependency_that_it_is_given(tmp_path: Path) -> None:
    with program("dependency", "http") as dependency:
        check = {"name": "db", "type": "tcp", "host": "127.0.0.1", "port": dependency.port, "gates": "none"}
        with sidecar(tmp_path, [check]) as ours:
            answer = ask(ours.port, "/readyz/db")

    assert is_ok(answer) or b"no result yet" in answer


def test_a_percentile_is_that_of_all_values() -> None:
    assert (percentile([1.0], 99), percentile(list(map(float, range(101))), 50)) == (1.0, 50.0)


def test_a_ratio_is_taken_within_each_round() -> None:
    assert ratio([10.0, 1.0, 5.0], [20.0, 2.0, 1.0]) == 0.5
