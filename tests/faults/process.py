"""The real process amid a fault, with a neighbour whose runs its dependency sees, and a kubelet that asks."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from sidecar.runtime.lifecycle import STOP_LIMIT
from tests.faults.drill import PATIENCE, SLACK, Kubelet
from tests.network import Connection, talking
from tests.process.harness import Log, Sidecar, running

INTERVAL: Final = 0.2
"""Seconds between two runs of the neighbour."""
FEW: Final = 4
"""Descriptors that come and go: a probe under way, a run of a check."""
NEIGHBOUR: Final = (
    "  - {{name: neighbour, type: tcp, host: 127.0.0.1, port: {port}, gates: readiness, interval: 200ms}}\n"
)


@dataclass
class Watched:
    """A running sidecar, what its kubelet was told, and when its neighbour was asked."""

    sidecar: Sidecar
    kubelet: Kubelet
    runs: list[float] = field(default_factory=list)
    """Monotonic seconds at which the neighbour's dependency was asked."""
    _descriptors: int = 0
    _threads: int = 0

    def remember(self) -> None:
        """Take down what is held before a fault."""
        self._descriptors, self._threads = self.sidecar.descriptors(), self.sidecar.threads()

    async def until_run(self, times: int, *, within: float = 20.0) -> None:
        """Wait until the neighbour has run so many times more."""
        wanted = len(self.runs) + times
        async with asyncio.timeout(within):
            while len(self.runs) < wanted:  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.02)

    async def until_counted(self, times: int) -> None:
        """Wait until the neighbour has run so many times more, each after its interval; it may fail."""
        wanted = await self.sidecar.runs("neighbour") + times
        async with asyncio.timeout(times * INTERVAL * 1.1 + 2 * SLACK):
            while await self.sidecar.runs("neighbour") < wanted:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.02)

    def changes(self, to: str) -> list[Log]:
        """Return the lines of the log that tell of a check's change to a status."""
        return [line for line in self.sidecar.log if line["message"] == f"check is {to}"]

    async def until_all_given_back(self, *, within: float = 10.0) -> None:
        """Wait until no more is held than before the fault."""
        async with asyncio.timeout(within):
            while not self._has_given_back():  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.02)

    def _has_given_back(self) -> bool:
        descriptors, threads = self.sidecar.descriptors(), self.sidecar.threads()
        return descriptors <= self._descriptors + FEW and threads <= self._threads

    async def assert_undisturbed(self) -> None:
        """Assert that every probe was answered in time, and that the neighbour kept its interval."""
        self.assert_answered()
        assert self.longest_pause() < INTERVAL * 1.1 + SLACK, self.sidecar.raw
        assert await self.kubelet.ask("/readyz") == 200

    def assert_answered(self) -> None:
        """Assert that every probe was answered in time."""
        assert self.kubelet.failed == []
        assert self.kubelet.slowest < PATIENCE

    def longest_pause(self) -> float:
        """Return the seconds between two runs of the neighbour that were furthest apart."""
        return max(later - earlier for earlier, later in pairwise(self.runs))


@asynccontextmanager
async def watching(
    folder: Path,
    checks: str = "",
    *,
    sections: str = "",
    env: Mapping[str, str] | None = None,
    launcher: Sequence[str] = (),
) -> AsyncIterator[Watched]:
    """Run a sidecar with these checks beside a neighbour; at the end it must stop when it is told to."""
    runs: list[float] = []

    async def note(connection: Connection) -> None:
        runs.append(time.monotonic())
        await connection.until_closed()

    async with (
        talking(note) as address,
        running(
            folder,
            NEIGHBOUR.format(port=address.port) + checks,
            sections=sections,
            env=env,
            launcher=launcher,
        ) as sidecar,
    ):
        await sidecar.until("/readyz", 200)
        await sidecar.get("/metrics")  # what writes them is imported for the first scrape
        watched = Watched(sidecar, Kubelet(sidecar.port), runs)
        asking = asyncio.create_task(watched.kubelet.ask_forever())
        try:
            await watched.until_run(3)
            watched.remember()
            yield watched
        finally:
            asking.cancel()
            await asyncio.wait({asking})
        assert await sidecar.stop(within=STOP_LIMIT + 1) == 0
