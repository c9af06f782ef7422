"""Slow, hostile and heavy clients against the real process, while a kubelet asks `/readyz` all along."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.network.fakes import silent
from tests.process.harness import Sidecar, running

PATIENCE: Final = 1.0
"""Seconds that a kubelet waits for an answer unless it is told otherwise."""
PERIOD: Final = 0.05
"""Seconds from one answer to the next question: often enough to fall into every gap."""
SHORT: Final = "read_timeout: 500ms, write_timeout: 500ms, idle_timeout: 1s"
CROWD: Final = Path(__file__).with_name("crowd.py")
FEW: Final = 4
"""File descriptors that come and go: a probe under way, a run of a check."""
UNDER_WAY: Final = 200
"""Connections that are accepted, or reset, and not yet counted so: three turns of the loop."""
GROWTH: Final = 24
"""MiB that the allocator may keep after a crowd has gone, however large it was."""


def up(port: int) -> str:
    return f"  - {{name: db, type: tcp, host: 127.0.0.1, port: {port}, gates: readiness}}\n"


def hanging(port: int, count: int) -> str:
    shape = f"type: tcp, host: 127.0.0.1, port: {port}, tls: {{}}, timeout: 500ms, failure_threshold: 1"
    return "".join(f"  - {{name: c{n}, {shape}}}\n" for n in range(count))


@dataclass
class Kubelet:
    """Asks `/readyz` on a new connection each time."""

    port: int
    in_time: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask_forever(self) -> None:
        while True:
            began = time.perf_counter()
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._ask()
                self.in_time.append(time.perf_counter() - began)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                self.failed.append(repr(error))
            self._asked.set()
            await asyncio.sleep(PERIOD)

    async def until_answered(self, times: int) -> None:
        """Wait for so many more answers; stop waiting at the first that does not come."""
        wanted = len(self.in_time) + times
        while len(self.in_time) < wanted and not self.failed:
            self._asked.clear()
            await self._asked.wait()

    async def _ask(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.transport.abort()


@dataclass(frozen=True)
class Crowd:
    """A crowd that is there."""

    process: asyncio.subprocess.Process

    async def leave(self) -> dict[str, Any]:
        """Send it away; return its tally."""
        out, _ = await self.process.communicate(b"")
        told: dict[str, Any] = json.loads(out)
        assert told["failed"] == []
        return told


@dataclass(frozen=True)
class Scene:
    """The sidecar, and a kubelet that asks it all along."""

    sidecar: Sidecar
    kubelet: Kubelet
    crowds: AsyncExitStack

    async def crowd(self, kind: str, *, clients: int, source: str = "127.0.0.1") -> Crowd:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CROWD), kind, str(self.sidecar.port), str(clients), source),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self.crowds.push_async_callback(end, process)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        return Crowd(process)

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.sidecar.process.pid}/fd").iterdir()))

    def memory(self) -> float:
        """Return the resident MiB."""
        status = Path(f"/proc/{self.sidecar.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    async def until(self, holds: Callable[[], bool], *, within: float = 5.0) -> None:
        async with asyncio.timeout(within):
            while not holds():  # noqa: ASYNC110 - another process's state tells nobody when it changes
                await asyncio.sleep(0.02)


async def end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


@asynccontextmanager
async def scene(
    folder: Path, checks: str, *, server: str = "", settled: str = "check is up", by: str = "db"
) -> AsyncIterator[Scene]:
    """Everything comes back that a crowd took, no answer to the kubelet was late, and the log stays short.

    What a crowd took is told from how things are once the check `by` has `settled`.
    """
    async with running(folder, checks, server=server) as sidecar, AsyncExitStack() as crowds:
        await sidecar.until_logged(settled, check=by)
        played = Scene(sidecar, Kubelet(sidecar.port), crowds)
        asking = asyncio.create_task(played.kubelet.ask_forever())
        crowds.callback(asking.cancel)
        await played.kubelet.until_answered(5)
        descriptors, memory, lines = played.descriptors(), played.memory(), len(sidecar.raw)

        yield played

        await played.kubelet.until_answered(5)
        await played.until(lambda: played.descriptors() <= descriptors + FEW)
        assert played.kubelet.failed == []
        assert max(played.kubelet.in_time) < PATIENCE
        assert played.memory() - memory < GROWTH
        assert len(sidecar.raw) - lines < 10
        assert not any("Traceback" in line for line in sidecar.raw)


@pytest.mark.parametrize("kind", ["slow_head", "slow_body"])
async def test_clients_that_drip_are_cut_off_and_hold_up_nobody(tmp_path: Path, kind: str) -> None:
    async with silent() as db, scene(tmp_path, up(db.port), server=SHORT) as played:
        crowd = await played.crowd(kind, clients=300)
        await played.kubelet.until_answered(30)
        tally = await crowd.leave()

        assert tally["cut"] >= 300


async def test_ten_thousand_idle_connections_take_no_more_than_their_share(tmp_path: Path) -> None:
    async with silent() as db, scene(tmp_path, up(db.port)) as played:
        before = played.descriptors()
        gathered = [played.crowd("idle", clients=2_000, source=f"127.0.1.{n}") for n in range(1, 6)]
        crowds = await asyncio.gather(*gathered)
        await played.kubelet.until_answered(10)
        held = played.descriptors() - before
        tallies = [await each.leave() for each in crowds]

        assert 900 < held <= 1000 + UNDER_WAY
        assert sum(each["opened"] for each in tallies) == 10_000


@pytest.mark.parametrize("kind", ["garbage", "big_heads"])
async def test_what_is_no_request_is_refused_without_a_word_to_the_stranger_or_the_log(
    tmp_path: Path, kind: str
) -> None:
    async with silent() as db, scene(tmp_path, up(db.port), server=SHORT) as played:
        crowd = await played.crowd(kind, clients=30)
        await played.kubelet.until_answered(30)
        tally = await crowd.leave()

        assert (tally["cut"] >= 100, tally["leaks"]) == (True, 0)


async def test_clients_that_never_read_are_cut_off_and_fill_no_memory(tmp_path: Path) -> None:
    async with silent() as db, scene(tmp_path, up(db.port), server=SHORT) as played:
        before = played.memory()
        crowd = await played.crowd("never_reads", clients=30)
        await played.kubelet.until_answered(30)
        grown = played.memory() - before
        tally = await crowd.leave()

        assert (tally["cut"] >= 100, grown < 2 * GROWTH) == (True, True)


async def test_two_thousand_requests_a_second_while_every_dependency_hangs(tmp_path: Path) -> None:
    """The rate itself is the machine's: what is claimed is a quarter of it on two busy cores."""
    async with (
        silent() as db,
        scene(tmp_path, hanging(db.port, 200), settled="check is down", by="c199") as played,
    ):
        began = time.perf_counter()
        crowd = await played.crowd("heavy", clients=20)
        await played.kubelet.until_answered(50)
        tally = await crowd.leave()
        took = time.perf_counter() - began

        assert (set(tally) - {"opened", "failed"}, tally["opened"]) == ({"503"}, 20)
        assert tally["503"] / took > 500


ASKED: Final = [
    (verb, path, accept)
    for verb in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
    for path in (
        *(
            "/livez",
            "/readyz",
            "/startupz",
            "/healthz",
            "/metrics",
            "/status",
            "/drain",
            "/drained",
            "/",
            "*",
        ),
        *("/readyz?verbose", "/readyz/db?verbose", "/readyz?exclude=db&verbose", "//drain", "/../drain"),
    )
    for accept in ("*/*", "application/json")
]


async def test_a_peer_at_127_0_0_6_gets_no_message_and_can_change_nothing(tmp_path: Path) -> None:
    """Istio delivers strangers from that address: trust follows the listener."""
    async with silent() as db, scene(tmp_path, up(db.port) + up(1).replace("db", "dead")) as played:
        await played.sidecar.until_logged("check is down", check="dead")
        before = [await played.sidecar.get(path, admin=True) for path in ("/readyz?verbose", "/livez")]

        answers = await asyncio.gather(*(ask_as_a_stranger(played.sidecar.port, *each) for each in ASKED))

        after = [await played.sidecar.get(path, admin=True) for path in ("/readyz?verbose", "/livez")]
        assert "127.0.0.1:1 refused" in before[0][1]
        assert not any("127.0.0.1:1 refused" in each or "refused the connection" in each for each in answers)
        assert all(
            each.split()[1] in ("404", "405", "400")
            for (verb, *_), each in zip(ASKED, answers, strict=True)
            if verb not in ("GET", "HEAD")
        )
        assert after == before


async def ask_as_a_stranger(port: int, verb: str, path: str, accept: str) -> str:
    """Return the whole response to a peer at 127.0.0.6."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.6", 0))
    writer.write(
        f"{verb} {path} HTTP/1.1\r\nHost: pod\r\nX-Sidecar: 1\r\nX-Forwarded-For: 127.0.0.1\r\n"
        f"Accept: {accept}\r\nConnection: close\r\n\r\n".encode()
    )
    received = await reader.read()
    writer.close()
    return received.decode()
