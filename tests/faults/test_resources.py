"""What the process itself runs out of: descriptors, memory, room on a disk."""

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.faults.process import Watched, watching
from tests.network import silent
from tests.process.plugins import install

ROW: Final = "the process"
SPARE: Final = 32 << 20
"""Bytes of address space that a process near its limit may still have."""
GREEDY: Final = "  - {name: trouble, type: trouble, gates: none, interval: 200ms}\n"
ROOM: Final = "64k"
"""Size of the disk that is full."""


@pytest.mark.cell(ROW, "descriptors exhausted")
async def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """No check can ask any more, and says so; who asks us is answered from the reserve."""
    async with watching(tmp_path) as it:
        before = await it.sidecar.runs("neighbour")
        with limited(it, resource.RLIMIT_NOFILE, 1):
            down = await it.sidecar.until_logged("check is down", check="neighbour")
            await it.sidecar.until("/readyz", 503)
            while await it.sidecar.runs("neighbour") < before + 20:
                pass
        await it.sidecar.until("/readyz", 200)
        await it.until_all_given_back()

        assert (down["reason"], down["detail"].split(": ")[1]) == ("unavailable", "too many open files")
        it.assert_answered()


@pytest.mark.cell(ROW, "memory limit near")
async def test_no_memory_is_left_for_one_check(tmp_path: Path) -> None:
    env = install(tmp_path, run="bytearray(64 << 20)")
    async with watching(tmp_path, GREEDY, env=env) as it:
        await it.sidecar.until_logged("check is up", check="trouble")
        with limited(it, resource.RLIMIT_AS, address_space(it) + SPARE):
            down = await it.sidecar.until_logged("check is down", check="trouble")
            await it.until_run(20)
        await it.sidecar.until_logged_times("check is up", 3)  # the neighbour, and this one twice
        await it.until_all_given_back()

        assert (down["reason"], down["detail"]) == ("unexpected", "unexpected MemoryError")
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
