"""What the process itself runs out of: descriptors, memory, room on a disk."""

import json
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
from _pytest.mark import ParameterSet

from tests.checks.contract import Keys
from tests.faults.cells import cell
from tests.faults.process import Watched, watching
from tests.faults.subjects import (
    SUBJECTS,
    Dns,
    Exec,
    File,
    KeptChannel,
    KeptSession,
    Rabbit,
    Redis,
    Servers,
    Subject,
)
from tests.network import Proxy, silent
from tests.process.plugins import install

ROW: Final = "the process"
SUBJECT: Final = "subject"
EVERY: Final = (*SUBJECTS, Dns(), Exec(), File())
HOLDING: Final = (Redis(), Rabbit(), KeptChannel(), KeptSession())
LATE: Final = "3s"
"""When the first run begins: after the fault did."""
SPARE: Final = 32 << 20
"""Bytes of address space that a process near its limit may still have."""
GREEDY: Final = "  - {name: trouble, type: trouble, gates: none, interval: 200ms}\n"
ROOM: Final = "64k"
"""Size of the disk that is full."""


def every(column: str, *, sample: str) -> list[ParameterSet]:
    """Return every type as a cell of a column."""
    return [cell(each.row, column, each, is_sample=each.row == sample, name=each.row) for each in EVERY]


@pytest.mark.parametrize("subject", every("descriptors exhausted", sample="exec"))
async def test_no_descriptor_is_left(subject: Subject, breakable: Servers, tmp_path: Path) -> None:
    """Neither for its first run nor for a later one; who asks us is answered from the reserve."""
    async with proxied(subject, breakable) as (proxy, keys), watching(tmp_path, shown(keys, LATE)) as it:
        with limited(it, resource.RLIMIT_NOFILE, 1):
            await it.sidecar.until_logged("check is down", check=SUBJECT, within=20)
        await it.sidecar.until_logged_times("check is up", 3, within=30)  # the neighbour twice, and this one
        it.remember()
        with limited(it, resource.RLIMIT_NOFILE, 1):
            proxy.cut()
            await it.sidecar.until_logged_times("check is down", 4)
            await it.sidecar.until("/readyz", 503)
            await it.until_counted(20)
        await it.sidecar.until_logged_times("check is up", 5, within=30)
        await it.until_all_given_back()

        assert {(line["reason"], line["detail"].split(": ")[-1]) for line in it.changes("down")} == {
            ("unavailable", "too many open files")
        }
        assert not any("exc_info" in line for line in it.sidecar.log)
        it.assert_answered()


@pytest.mark.parametrize("subject", HOLDING, ids=repr)
@pytest.mark.faults
async def test_what_is_held_is_asked_without_a_descriptor(
    subject: Subject, breakable: Servers, tmp_path: Path
) -> None:
    async with proxied(subject, breakable) as (_, keys), watching(tmp_path, shown(keys)) as it:
        await it.sidecar.until_logged("check is up", check=SUBJECT)
        with limited(it, resource.RLIMIT_NOFILE, 1):
            await it.until_counted(20)

        assert [line["check"] for line in it.changes("down")] == ["neighbour"]


@pytest.mark.parametrize("subject", every("memory limit near", sample="redis"))
async def test_no_memory_is_left_for_another_check(
    subject: Subject, breakable: Servers, tmp_path: Path
) -> None:
    """The run that wants more fails, alone."""
    greed = tmp_path / "greed"
    wanting = f"if Path({str(greed)!r}).exists(): bytearray(64 << 20)"
    env = install(tmp_path, run=wanting, prelude="from pathlib import Path")
    async with (
        proxied(subject, breakable) as (_, keys),
        watching(tmp_path, shown(keys) + GREEDY, env=env) as it,
    ):
        await it.sidecar.until_logged("check is up", check=SUBJECT, within=20)
        await it.sidecar.until_logged("check is up", check="trouble")
        with limited(it, resource.RLIMIT_AS, address_space(it) + SPARE):
            greed.touch()
            await it.sidecar.until_logged("check is down", check="trouble")
            await it.until_run(20)
        await it.sidecar.until_logged_times("check is up", 4)  # of three, and of the greedy one again
        await it.until_all_given_back()

        assert [(line["check"], line["detail"]) for line in it.changes("down")] == [
            ("trouble", "unexpected MemoryError")
        ]
        await it.assert_undisturbed()


@pytest.mark.cell(ROW, "disk of latch and termination files full")
async def test_no_room_is_left_for_the_files_of_the_next_life(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    sections = (
        f"startup: {{latch_file: {disk}/latch}}\nlog: {{format: json, termination_file: {disk}/termination}}"
    )
    mounting = f'mount -t tmpfs -o size={ROOM} tmpfs "$0" && touch "$0/termination" && exec "$@"'
    launcher = ("unshare", "--mount", "sh", "-c", mounting, str(disk))
    async with silent() as other, watching(tmp_path, sections=sections, launcher=launcher) as it:
        seen = Path(f"/proc/{it.sidecar.process.pid}/root{disk}")
        with full(seen):
            edit(tmp_path, other.port, "other")
            it.sidecar.process.send_signal(signal.SIGHUP)
            await it.sidecar.until_logged("check is up", check="other")
            await it.sidecar.until_logged("latch cannot be written", detail="no space left on device")
            other.shut()
            await it.sidecar.until_logged("check is down", check="other")
            await it.sidecar.until_logged("termination message cannot be written")
            await it.until_run(10)
        await it.sidecar.until("/readyz", 503)
        other.open()
        await it.sidecar.until("/readyz", 200)
        await it.until_all_given_back()
        await it.until_run(5)

        assert json.loads((seen / "latch").read_bytes())["checks"].keys() == {"neighbour", "other"}
        assert (seen / "termination").read_text() == ""
        await it.assert_undisturbed()


@asynccontextmanager
async def proxied(subject: Subject, servers: Servers) -> AsyncIterator[tuple[Proxy, Keys]]:
    """Bring up what satisfies a check; yield what its connections go through, and its keys."""
    async with subject.serve(servers) as up, Proxy(up) as proxy:
        yield proxy, subject.keys(proxy.address if subject.connects else up)


def shown(keys: Keys, delay: str = "0s") -> str:
    """Return a check with these keys as an item of the configuration."""
    common = {"name": SUBJECT, "interval": "200ms", "initial_delay": delay, "failure_threshold": 2}
    return f"  - {json.dumps({**common, **keys, 'gates': 'none'})}\n"


@contextmanager
def limited(it: Watched, kind: int, most: int) -> Iterator[None]:
    """Let the process have no more of this than so many, until the end of the block."""
    pid = it.sidecar.process.pid
    soft, hard = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (most, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, (soft, hard))


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill the disk that a folder is on, until the end of the block."""
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 512)
    yield
    filler.unlink()


def address_space(it: Watched) -> int:
    """Return the bytes that the process has mapped."""
    pages = int(Path(f"/proc/{it.sidecar.process.pid}/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def edit(folder: Path, port: int, name: str) -> None:
    """Add a check to the configuration."""
    config = folder / "config.yaml"
    shape = f"type: tcp, host: 127.0.0.1, port: {port}, gates: readiness, interval: 200ms"
    config.write_text(f"{config.read_text()}  - {{name: {name}, {shape}}}\n")
