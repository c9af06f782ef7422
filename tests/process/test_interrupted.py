"""Stop signals that come while a command runs: nothing of it outlives us."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.process.harness import running

pytestmark = pytest.mark.slow


def lasting(folder: Path) -> str:
    """Return a check whose command, and the command's own child, last for ten minutes."""
    script = f"echo $$ > {folder}/group; sleep 600; true"
    return f'  - {{name: lasting, type: exec, command: [sh, -c, "{script}"], timeout: 60s, gates: startup}}\n'


async def group_of(folder: Path) -> int:
    """Return the process group of the command, once it runs."""
    written = folder / "group"
    async with asyncio.timeout(20):
        while not written.exists() or not written.read_text().strip():  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.02)
    return int(written.read_text())


async def until_gone(group: int) -> None:
    async with asyncio.timeout(5):
        while members(group):  # noqa: ASYNC110 - another process's state tells nobody when it changes
            await asyncio.sleep(0.02)


def members(group: int) -> list[int]:
    """Return the processes of a group that have not ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group, *_ = stat.read_text().rpartition(")")[2].split()
            if int(its_group) == group and state != "Z":
                found.append(int(stat.parent.name))
    return found


@asynccontextmanager
async def checking(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    path = folder / "config.yaml"
    path.write_text(f"checks:\n{lasting(folder)}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar", "check", "--config", str(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_check_that_is_interrupted_leaves_no_command(tmp_path: Path, number: signal.Signals) -> None:
    async with checking(tmp_path) as process:
        group = await group_of(tmp_path)
        before = len(members(group))
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), 5)
        await until_gone(group)

    assert (before, process.returncode, out, err) == (2, 128 + number, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_server_that_is_told_to_stop_again_leaves_no_command(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with running(tmp_path, lasting(tmp_path), sections="drain: {delay: 1h}\n") as sidecar:
        group = await group_of(tmp_path)
        sidecar.process.send_signal(number)
        await sidecar.until_logged("drain began")
        sidecar.process.send_signal(number)
        await asyncio.wait_for(sidecar.process.wait(), 5)
        await until_gone(group)

    assert sidecar.process.returncode == 0
