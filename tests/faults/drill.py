"""A drill: one check meets a fault beside a neighbour, while a kubelet asks all along.

    async with drill(keys) as it:
        await it.survives(striking(proxy, "refused"), down(Reason.REFUSED))

The scheduler, the board and the listener are the server's own. Times are compressed a hundredfold: a run each
tenth of a second. A drill asserts of every fault the expected status and reason, the recovery after it, that
`/livez` and `/readyz` answered in time, that the neighbour kept its interval, and that nothing stayed open.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from statistics import mode
from typing import Final

from sidecar.app.needs import find_type
from sidecar.checks import InstalledTypes
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.source import Source
from sidecar.core.check import Reason
from sidecar.core.result import Result
from sidecar.core.state import Status
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.runner import CANCEL_GRACE
from sidecar.runtime.scheduler import SPREAD, Scheduler, Surroundings
from sidecar.support.loop import SidecarLoop
from sidecar.support.resolver import Resolver
from sidecar.support.text import Redactor
from sidecar.web.listeners import bind, serving
from sidecar.web.probes import Probes
from sidecar.web.site import Site
from tests.boards import metrics_of
from tests.checks.contract import Held, Keys, assert_held, held
from tests.faults.measures import Metronome
from tests.network import Address, silent

INTERVAL: Final = 0.1
"""Seconds from one run to the next, of the check and of its neighbour."""
PATIENCE: Final = 1.0
"""Seconds that a kubelet waits for an answer unless it is told otherwise."""
PERIOD: Final = 0.02
"""Seconds from one answer to the kubelet's next question."""
SLACK: Final = 0.6
"""Seconds that a busy machine may add to an interval."""
OURS: Final = 0.25
"""Seconds that we may add to an interval of a neighbour, whatever becomes of the check."""
RUNS: Final = 3
"""Runs in a row that must end alike before a fault is said to be met, beside those that settled it."""
LOOKS: Final = 20
"""How often what is held is looked at, to find those who hold it at rest."""
NEIGHBOUR: Final = "neighbour"
SUBJECT: Final = "subject"


@dataclass(frozen=True)
class Expected:
    """What a check is to settle on while a fault lasts."""

    status: Status
    reason: Reason | None = None


UP: Final = Expected(Status.UP)


def down(reason: Reason) -> Expected:
    """Return that a check is down, for this reason."""
    return Expected(Status.DOWN, reason)


@dataclass
class Kubelet:
    """Asks `/livez` and `/readyz` in turn, on a new connection each time."""

    port: int
    slowest: float = 0.0
    """Seconds that the slowest answer took."""
    failed: list[str] = field(default_factory=list)

    async def ask_forever(self) -> None:
        while True:
            for path in ("/livez", "/readyz"):
                began = time.monotonic()
                code = await self._answer(path)
                self.slowest = max(self.slowest, time.monotonic() - began)
                if path == "/livez" and code != 200:
                    self.failed.append(f"{path} answered {code}")
                await asyncio.sleep(PERIOD)

    async def ask(self, path: str) -> int:
        """Return the code of an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n".encode())
            return int((await reader.readline()).split()[1])
        finally:
            writer.transport.abort()

    async def _answer(self, path: str) -> int | None:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.ask(path)
        except (OSError, TimeoutError, IndexError) as error:
            self.failed.append(f"{path}: {error!r}")
            return None


@dataclass
class Drill:
    """A check that is up and is about to meet a fault."""

    board: Board
    kubelet: Kubelet
    metronome: Metronome
    deadline: float
    """Seconds that a run may take."""
    results: list[Result] = field(default_factory=list)
    """Of the check, the latest last."""
    neighbours: list[Result] = field(default_factory=list)
    _beats: list[float] = field(default_factory=list)
    """When the neighbour's runs ended, by the metronome."""
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def changes(self) -> int:
        """How often the check's status has changed."""
        (subject, _) = self.board.entries()
        return sum(subject.tally.transitions.values())

    @property
    def is_running(self) -> bool:
        """Whether a run of the check is under way."""
        (subject, _) = self.board.entries()
        return subject.next_run_at is None

    async def survives(
        self, fault: AbstractAsyncContextManager[object], expected: Expected, *, within: float = 20.0
    ) -> None:
        """Assert that the check is up, settles on what is expected while the fault lasts, and recovers."""
        await self.until(UP, within=within)
        before = await held_at_rest()
        async with fault:
            await self.until(expected, within=within)
        await self.until(UP, within=within)
        await assert_held(before)

    async def until(self, expected: Expected, *, within: float = 20.0) -> Result:
        """Wait until the check has settled, and several runs in a row say why; return the last result.

        `/readyz` must then say the same, if the check gates it, and `/healthz` that we are well.
        """
        already = len(self.results)
        try:
            async with asyncio.timeout(within):
                while not self._is_settled(expected, since=already):
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"not {expected} but {self._told(already)}") from None
        await self._assert_answered(expected)
        return self.results[-1]

    def note(self, name: str, result: Result) -> None:
        """Take down a result; the board's listener."""
        if name == SUBJECT:
            self.results.append(result)
        else:
            self.neighbours.append(result)
            self._beats.append(self.metronome.seconds)
        self._came.set()

    def assert_undisturbed(self) -> None:
        """Assert that the kubelet had its answers in time, the neighbour its runs, and every run its end."""
        assert self.kubelet.failed == []
        assert self.kubelet.slowest < PATIENCE
        assert all(each.is_success for each in self.neighbours)
        assert max(each.duration for each in self.results) < self.deadline + CANCEL_GRACE + SLACK
        assert longest_pause(each.finished_at for each in self.neighbours) < INTERVAL * (1 + SPREAD) + SLACK
        assert longest_pause([*self._beats, self.metronome.seconds]) < INTERVAL * (1 + SPREAD) + OURS

    def _is_settled(self, expected: Expected, *, since: int) -> bool:
        latest = self.results[since:][-RUNS:]
        is_alike = len(latest) == RUNS and all(each.reason is expected.reason for each in latest)
        return is_alike and self.board.state(SUBJECT).status is expected.status

    async def _assert_answered(self, expected: Expected) -> None:
        code = 200 if expected.status is Status.UP else 503
        assert await self.kubelet.ask(f"/readyz/{SUBJECT}") == code
        assert await self.kubelet.ask("/readyz") == (code if self._gates else 200)
        assert await self.kubelet.ask("/healthz") == 200

    @property
    def _gates(self) -> bool:
        (subject, _) = self.board.entries()
        return bool(subject.config.gates)

    def _told(self, since: int) -> str:
        told = [f"{each.reason or each.outcome}: {each.message}" for each in self.results[since:]]
        return f"{self.board.state(SUBJECT).status} after {told[-8:]}"


def longest_pause(moments: Iterable[float]) -> float:
    """Return the seconds between two moments that were furthest apart."""
    return max(later - earlier for earlier, later in pairwise(moments))


@asynccontextmanager
async def drill(
    keys: Keys, *, deadline: str = "500ms", clock: Clock | None = None, interval: str = "100ms"
) -> AsyncIterator[Drill]:
    """Run a check with these keys beside its neighbour; assert at the end that nothing else was disturbed.

    Servers and fakes begin before the drill, and end after it.
    """
    with Metronome() as metronome:
        resolver = _resolver()
        before = held()
        async with (
            silent() as address,
            _running(_configured(keys, address, deadline, interval), clock or Clock(), metronome) as running,
        ):
            yield running
            running.assert_undisturbed()
        resolver.close()  # it keeps its sockets for the next look-up
        await assert_held(before)


def _configured(keys: Keys, neighbour: Address, deadline: str, interval: str) -> Config:
    """Return the configuration of both, read as a user's file is."""
    common = {"interval": interval, "timeout": deadline, "failure_threshold": 2, "gates": "readiness"}
    beside = {"type": "tcp", "host": neighbour.host, "port": neighbour.port, "timeout": "1s"}
    checks = [
        {**common, "name": SUBJECT, **keys},
        {**common, "name": NEIGHBOUR, **beside, "interval": f"{INTERVAL * 1000:.0f}ms"},
    ]
    return load(Source("drill.yaml", json.dumps(checks).encode()), InstalledTypes(), os.environ)


@asynccontextmanager
async def _running(config: Config, clock: Clock, metronome: Metronome) -> AsyncIterator[Drill]:
    """Serve as `sidecar serve` does, without signals and files."""
    board = Board(config.checks, started_at=clock.monotonic(), startup_deadline=300.0)
    pulse = Pulse(clock)
    metrics = metrics_of(board, pulse, clock)
    site = Site(board, Probes(board, pulse, clock), metrics, is_trusted=True)
    (listener,) = bind(["127.0.0.1"], 0)
    kubelet = Kubelet(listener.getsockname()[1])
    running = Drill(board, kubelet, metronome, deadline=config.checks[0].timeout)
    board.subscribe_results(running.note)
    async with (
        serving(site.handle, [listener], bounds=config.sections.server, stop_within=1.0),
        asyncio.TaskGroup() as group,
    ):
        scheduler = Scheduler(
            group,
            Surroundings(board=board, pulse=pulse, clock=clock),
            find=partial(find_type, InstalledTypes()),
            redact=Redactor(config.secrets),
        )
        companions = [group.create_task(pulse.beat_forever()), group.create_task(kubelet.ask_forever())]
        scheduler.start(config.checks)
        try:
            yield running
        finally:
            await scheduler.aclose()
            for each in companions:
                each.cancel()


def _resolver() -> Resolver:
    """Return the loop's: pycares begins a thread with the first one, and keeps it for good."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SidecarLoop)
    return loop.resolver


async def held_at_rest() -> Held:
    """Return what is held for most of the time from one run to the next."""
    seen = []
    for _ in range(LOOKS):
        seen.append(held())
        await asyncio.sleep(INTERVAL / LOOKS)
    return mode(seen)
