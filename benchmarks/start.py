"""How soon does it serve?

Measured: from exec to the first `/livez` that is 200, in seconds and in processor time, and to the first
`/readyz` with a real Redis, RabbitMQ, PostgreSQL and S3; the same at a CPU limit of 100m. Against: a bare
aiohttp app, and for readiness the same libraries with a bare connection each. All by turns.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from benchmarks.client import free_port, until_answered
from benchmarks.process import cpu_seconds
from benchmarks.rows import Effort, Findings, Row, Target
from benchmarks.servers import PYTHON, ROOT, CheckDocument, serve_command, write_config
from benchmarks.statistic import by_turns
from benchmarks.subjects import SUBJECTS, bare_argument
from tools.servers import ServerFailed, ServerMissing

QUESTION: Final = "How soon does it serve?"
ROUNDS: Final = 9
ROUNDS_LIMITED: Final = 3
ROUNDS_READY_LIMITED: Final = 1
"""Such a start takes a quarter of a minute."""
DRIVERS: Final = ("redis", "rabbitmq", "postgres", "s3")
CGROUP: Final = Path("/sys/fs/cgroup")
PERIOD: Final = 100_000
LIMIT: Final = 10_000
"""Microseconds of each period: a limit of 100m."""

Command = Callable[[int], list[str]]
"""Returns what to run, given a port."""


class Start(NamedTuple):
    """One start, until the first 200: seconds, and seconds of processor time."""

    wall: float
    cpu: float


class NoLimitError(Exception):
    """A CPU limit cannot be had here; the message says why."""


def measure(effort: Effort) -> Findings:
    """Start again and again."""
    rows = list(_serving_rows(effort, "", ROUNDS, None))
    rows += _ready_rows(effort, "", ROUNDS, None)
    try:
        with limited() as group:
            rows += _serving_rows(effort, "at 100m, ", ROUNDS_LIMITED, group)
            rows += _ready_rows(effort, "at 100m, ", ROUNDS_READY_LIMITED, group)
    except (NoLimitError, OSError) as failure:
        rows.append(Row("at 100m", None, note=f"skipped: {failure}"))
    return Findings(
        rows,
        [
            f"{effort.count(ROUNDS)} starts of each by turns, {effort.count(ROUNDS_LIMITED)} at 100m.",
            f"At 100m {effort.count(ROUNDS_READY_LIMITED)} to `/readyz`; its dependencies have no limit.",
        ],
    )


def _serving_rows(effort: Effort, prefix: str, rounds: int, group: Path | None) -> Iterator[Row]:
    def ours(port: int) -> list[str]:
        return serve_command(write_config(effort.folder, port, []))

    def bare(port: int) -> list[str]:
        return [*PYTHON, "-m", "benchmarks.programs.bare", str(port)]

    mine, theirs = _starts(effort.count(rounds), (ours, bare), "/livez", group)
    yield Row(f"{prefix}exec to `/livez`", mine.wall, "s")
    yield Row(
        f"{prefix}exec to `/livez`, against a bare aiohttp app",
        mine.wall / theirs.wall,
        target=Target(at_most=1.25),
    )
    yield Row(
        f"{prefix}processor time to `/livez`, against a bare aiohttp app",
        mine.cpu / theirs.cpu,
        target=Target(at_most=1.25),
    )


def _ready_rows(effort: Effort, prefix: str, rounds: int, group: Path | None) -> Iterator[Row]:
    with ExitStack() as stack:
        checks: list[CheckDocument] = []
        urls: list[str] = []
        for subject in (each for each in SUBJECTS if each.name in DRIVERS):
            try:
                at = stack.enter_context(subject.dependency(effort.folder))
                checks.append({"name": subject.name, "gates": "startup", **subject.check(at)})
                urls.append(bare_argument(subject.name, at))
            except (ServerMissing, ServerFailed) as failure:
                yield Row(
                    f"{prefix}exec to `/readyz` with `{subject.name}`", None, note=f"skipped: {failure}"
                )

        def ours(port: int) -> list[str]:
            return serve_command(write_config(effort.folder, port, checks))

        def bare(port: int) -> list[str]:
            return [*PYTHON, "-m", "benchmarks.programs.libraries", str(port), *urls]

        mine, theirs = _starts(effort.count(rounds), (ours, bare), "/readyz", group)
    names = ", ".join(str(check["type"]) for check in checks)
    yield Row(f"{prefix}exec to `/readyz` with {names}", mine.wall, "s")
    against = f"with {names}, against the bare libraries connected"
    yield Row(f"{prefix}exec to `/readyz` {against}", mine.wall / theirs.wall, target=Target(at_most=1.25))
    yield Row(
        f"{prefix}processor time to `/readyz` {against}", mine.cpu / theirs.cpu, target=Target(at_most=1.25)
    )


def _starts(rounds: int, commands: Sequence[Command], path: str, group: Path | None) -> list[Start]:
    samples = by_turns(rounds, commands, lambda command: _start(command, path, group))
    return [Start(median(each.wall for each in one), median(each.cpu for each in one)) for one in samples]


def _start(command: Command, path: str, group: Path | None) -> Start:
    port = free_port()
    words = [*(_entering(group) if group else ()), *command(port)]
    began = time.perf_counter()
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_answered(port, path)
        return Start(time.perf_counter() - began, cpu_seconds(process.pid))
    finally:
        process.kill()
        process.wait()


def _entering(group: Path) -> list[str]:
    """Return what goes before a command, so that it runs in a control group from its first moment."""
    return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "cgroup.procs")]


@contextmanager
def limited() -> Iterator[Path]:
    """Have a control group with a CPU limit of 100m, of whichever version there is.

    Raises:
        NoLimitError, OSError: we may not.
    """
    is_unified = (CGROUP / "cgroup.controllers").exists()
    group = (CGROUP if is_unified else CGROUP / "cpu") / f"bench-{os.getpid()}"
    if not group.parent.is_dir():
        raise NoLimitError("there is no control group for the processor")
    group.mkdir()
    try:
        if is_unified:
            (group / "cpu.max").write_text(f"{LIMIT} {PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(LIMIT))
        yield group
    finally:
        group.rmdir()
