"""Files that are missing, forbidden, too large, or on a file system that hangs."""

import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from sidecar.checks.file import FileCheck
from sidecar.core.check import Reason
from tests.faults.cells import cell
from tests.faults.drill import UP, Expected, down, drill
from tests.faults.measures import within_room
from tests.faults.strikes import doing

NOBODY: Final = 65534


@pytest.fixture
def heartbeat() -> Iterator[Path]:
    """Yield a file in a folder that everybody may search."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "heartbeat"
        path.write_text("ready")
        yield path
        Path(folder).chmod(0o755)


@asynccontextmanager
async def hung_file_system(_: Path) -> AsyncIterator[None]:
    mounted_again = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileCheck, "_look", lambda _: mounted_again.wait())
        yield
    mounted_again.set()


@asynccontextmanager
async def forbidden(path: Path) -> AsyncIterator[None]:
    """Close the folder to all but its owner, and be somebody else."""
    path.parent.chmod(0o700)
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def write_hole(path: Path) -> None:
    """Write a file of a tebibyte, of which nothing is on the disk."""
    with path.open("wb") as file:
        file.truncate(1 << 40)


def instead(write: Callable[[Path], object]) -> Callable[[Path], AbstractAsyncContextManager[None]]:
    """Return a fault that has something else in the file's place."""

    def mend(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.write_text("ready")

    def replace(path: Path) -> None:
        path.unlink()
        write(path)

    return lambda path: doing(lambda: replace(path), lambda: mend(path))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        cell("file", "missing", instead(lambda _: None), down(Reason.NOT_FOUND), is_sample=True),
        cell("file", "accepted and silent", hung_file_system, down(Reason.TIMEOUT)),
        cell(
            "file",
            "garbage",
            instead(lambda path: path.write_bytes(b"\xff\0garbage!")),
            down(Reason.CONTRACT),
        ),
        cell("file", "endless reply", instead(os.mkfifo), down(Reason.CONTRACT)),
        cell("file", "oversized reply", instead(write_hole), down(Reason.CONTRACT)),
        cell("file", "permission removed", forbidden, down(Reason.FORBIDDEN)),
    ],
)
async def test_a_file_that_is_not_as_it_was(
    heartbeat: Path, fault: Callable[[Path], AbstractAsyncContextManager[None]], expected: Expected
) -> None:
    async with drill({"type": "file", "path": str(heartbeat), "contains": "ready"}) as it:
        await it.until(UP)
        with within_room():
            await it.survives(fault(heartbeat), expected)
