"""What does a check cost?

Measured: the processor time of a run of each type, as the scheduler has it done: paced, contained, recorded
on the board. Against: the same driver calls in a bare loop, in the same process, by turns. Besides what a run
costs the dependency, counted by a proxy before it: round trips, bytes, and connections. The peer is the
blackbox exporter, where it asks the same question.
"""

import asyncio
import gc
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from benchmarks.peers import MODULES, blackbox, milliseconds_of_a_probe
from benchmarks.proxy import Traffic, counting
from benchmarks.rows import Effort, Findings, Row, Target
from benchmarks.subjects import SUBJECTS, Address, Ask, Subject
from sidecar.checks import InstalledTypes
from sidecar.config.check import CheckConfig
from sidecar.config.load import load
from sidecar.config.source import Source
from sidecar.runtime.board import Board
from sidecar.runtime.pacer import Pacer
from sidecar.runtime.runner import Runner
from sidecar.support.loop import SidecarLoop
from tools.servers import ServerFailed, ServerMissing

QUESTION: Final = "What does a check cost?"
ROUNDS: Final = 15
RUNS: Final = 60
"""Of a round."""
PEER_PROBES: Final = 20
"""Of a round; the exporter takes longer for one."""
COUNTED: Final = 1000
"""Runs through the proxy."""
ALLOWANCE: Final = 0.1
"""Milliseconds that a run may cost beside 1.3 times the bare calls."""
WITHOUT_WIRE: Final = ("dns", "file", "exec")
"""Types whose questions go through no TCP connection of theirs."""

Peer = Callable[[], float]
"""Has a peer ask a few times, and returns the milliseconds of one."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a run: milliseconds of processor time, ours, bare and a peer's; what went over the wire."""

    ours: float
    bare: float
    peer: float | None
    runs: int
    traffic: Traffic | None


def measure(effort: Effort) -> Findings:
    """Measure every type whose dependency is here."""
    rows: list[Row] = []
    for subject in SUBJECTS:
        rows += _rows(effort, subject)
    return Findings(
        rows,
        [
            f"{effort.count(ROUNDS)} rounds of {RUNS} runs of each, one after the other.",
            "No run waits for its turn, as none does that begins 0.4 ms after another.",
            "`dns` asks through a resolver of its own each run, and so do the bare calls.",
            "`dns` asks by datagrams, `file` and `exec` over no network: nothing of theirs is counted.",
            "`rabbitmq-inflight` without the 6s that it waits between its two readings.",
            "The blackbox exporter by turns too; the scrape that has it ask is in its time.",
        ],
    )


def _rows(effort: Effort, subject: Subject) -> Iterator[Row]:
    with ExitStack() as stack:
        try:
            at = stack.enter_context(subject.dependency(effort.folder))
        except (ServerMissing, ServerFailed) as failure:
            yield Row(f"`{subject.name}`", None, note=f"skipped: {failure}")
            return
        peer, missing = _peer(effort, subject, at, stack)
        with asyncio.Runner(loop_factory=SidecarLoop) as loop:
            cost = loop.run(_measure(effort, subject, at, peer))
    allowed = 1.3 + ALLOWANCE / cost.bare
    yield Row(f"`{subject.name}`: processor time of the bare calls", cost.bare, "ms")
    yield Row(
        f"`{subject.name}`: processor time of a run",
        cost.ours / cost.bare,
        target=Target(at_most=round(allowed, 2)),
    )
    if cost.peer is not None:
        what = f"`{subject.name}`: processor time of a run, against the blackbox exporter"
        yield Row(what, cost.ours / cost.peer)
    yield from missing
    if cost.traffic is not None:
        yield from _wire_rows(subject, cost.traffic, cost.runs)


def _peer(effort: Effort, subject: Subject, at: Address, stack: ExitStack) -> tuple[Peer | None, list[Row]]:
    """Return what has the blackbox exporter ask the same, if it can; and a row if it is missing."""
    if subject.name not in MODULES:
        return None, []
    target = f"127.0.0.1:{at.port}" if subject.name == "tcp" else f"http://127.0.0.1:{at.port}/"
    try:
        exporter = stack.enter_context(blackbox(effort.folder))
    except ServerMissing as failure:
        return None, [Row(f"`{subject.name}`: blackbox exporter", None, note=f"skipped: {failure}")]
    return lambda: milliseconds_of_a_probe(exporter, subject.name, target, PEER_PROBES), []


def _wire_rows(subject: Subject, traffic: Traffic, runs: int) -> Iterator[Row]:
    name = f"`{subject.name}`"
    yield Row(f"{name}: round trips a run", traffic.round_trips / runs, "")
    yield Row(f"{name}: bytes a run, both ways", (traffic.sent + traffic.received) / runs, "B")
    yield Row(
        f"{name}: connections opened by {runs:,} runs",
        traffic.connections,
        "",
        Target(at_most=1) if subject.holds_connection else Target(),
    )


async def _measure(effort: Effort, subject: Subject, at: Address, peer: Peer | None) -> Cost:
    samples: list[tuple[float, float]] = []
    peers: list[float] = []
    async with subject.bare(at) as bare:
        ours = our_run(subject, at)
        try:
            for _ in range(effort.count(ROUNDS) + 1):
                samples.append((await _milliseconds(ours.ask), await _milliseconds(bare)))
                peers += [peer()] if peer else []
        finally:
            await ours.runner.aclose()
    mine, theirs = zip(*samples[1:], strict=True)
    runs = effort.count(COUNTED)
    traffic = None if subject.name in WITHOUT_WIRE else await _traffic(subject, at, runs)
    return Cost(median(mine), median(theirs), median(peers[1:]) if peers else None, runs, traffic)


async def _milliseconds(ask: Ask) -> float:
    """Return the processor time of one of many runs."""
    gc.collect()
    began = time.process_time()
    for _ in range(RUNS):
        await ask()
    return (time.process_time() - began) / RUNS * 1000


async def _traffic(subject: Subject, at: Address, runs: int) -> Traffic:
    async with counting(at.port) as (port, traffic):
        ours = our_run(subject, replace(at, port=port))
        try:
            for _ in range(runs):
                await ours.ask()
        finally:
            await ours.runner.aclose()
        return traffic


@dataclass(frozen=True, slots=True)
class OurRun:
    """What the scheduler does of one check."""

    runner: Runner
    board: Board
    name: str

    async def ask(self) -> None:
        """Run once and record; a run that fails would be measured for nothing."""
        result = await self.runner.run()
        self.board.record(self.name, result)
        if not result.is_success:
            raise RuntimeError(f"the check failed: {result.message}")


def our_run(subject: Subject, at: Address) -> OurRun:
    """Return a check of this subject, ready to run."""
    types = InstalledTypes()
    config = configured(subject, at)
    found = types.find(config.type)
    assert found is not None  # noqa: S101 - it was just loaded
    runner = Runner(
        found.build(config),
        name=config.name,
        target=config.target,
        timeout=config.timeout,
        pacer=Pacer(pace=0.0),
    )
    return OurRun(runner, Board([config], started_at=time.monotonic(), startup_deadline=300.0), config.name)


def configured(subject: Subject, at: Address) -> CheckConfig:
    """Return the configuration of a check, read as the sidecar reads it."""
    document = {"ungated": True, "checks": [{"name": "one", "gates": "none", **subject.check(at)}]}
    return load(Source("bench", json.dumps(document).encode()), InstalledTypes(), {}).checks[0]
