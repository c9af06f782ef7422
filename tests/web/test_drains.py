"""Drains over HTTP: who may begin and end one, who may wait, and how many."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp.test_utils import RawTestServer, TestClient

from sidecar.config.model import DrainConfig, ServerConfig
from sidecar.core.phase import Phase
from sidecar.core.verdict import Gate
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.drain import Drainer, Ending
from sidecar.runtime.pulse import Pulse
from sidecar.web.drains import WAITING_LIMIT, DrainPages
from sidecar.web.listeners import bind, serving
from sidecar.web.probes import Probes
from sidecar.web.site import Site
from tests.boards import StoppedClock, board_of, check, metrics_of

Client = TestClient[aiohttp.web.BaseRequest, None]
PERMIT = {"X-Sidecar": "1"}


class Watched(Drainer):
    """Says when somebody begins to wait, each time anew, and when that ends."""

    def __init__(self, board: Board, clock: Clock | None = None) -> None:
        super().__init__(board, DrainConfig(delay=3600.0), clock)
        self._entered = asyncio.Semaphore(0)
        self.left = asyncio.Event()

    async def ended(self) -> Ending:
        self._entered.release()
        try:
            return await super().ended()
        finally:
            self.left.set()

    async def entered(self, count: int = 1) -> None:
        """Wait until so many more have begun to wait."""
        for _ in range(count):
            await self._entered.acquire()


@dataclass
class Stage:
    """A drainer of an hour's delay behind a main and an admin listener."""

    clock: StoppedClock
    board: Board
    drainer: Watched
    main: Client
    admin: Client

    @staticmethod
    async def ask(client: Client, method: str, path: str, **headers: str) -> tuple[int, str]:
        async with client.request(method, path, headers=headers) as response:
            return response.status, await response.text()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = StoppedClock()
    board = board_of(check("db", Gate.READINESS), clock=clock)
    drainer, pulse = Watched(board, clock.clock), Pulse(clock.clock)

    def client(*, is_trusted: bool) -> Client:
        site = Site(
            board,
            Probes(board, pulse, clock.clock),
            metrics_of(board, pulse, clock.clock),
            is_trusted=is_trusted,
            pages=DrainPages(drainer, is_trusted=is_trusted).paths(),
        )
        return TestClient(RawTestServer(site.handle), connector=aiohttp.TCPConnector(limit=0))

    async with client(is_trusted=False) as main, client(is_trusted=True) as admin:
        yield Stage(clock, board, drainer, main, admin)


async def test_a_post_on_the_admin_listener_begins_a_drain_and_tells_how_long_it_takes(stage: Stage) -> None:
    async with stage.admin.post("/drain", headers=PERMIT) as first:
        first_told = (first.status, first.headers["Retry-After"], await first.text())
    stage.clock.pass_by(600.5)
    async with stage.admin.post("/drain", headers=PERMIT) as second:
        second_told = (second.status, second.headers["Retry-After"], await second.text())

    assert (first_told, second_told, stage.board.phase) == (
        (202, "3600", "draining for at most 1h\n"),
        (202, "3000", "draining for at most 50m\n"),
        Phase.DRAINING,
    )


async def test_a_delete_ends_it(stage: Stage) -> None:
    stage.drainer.begin()

    told = [await stage.ask(stage.admin, "DELETE", "/drain", **PERMIT) for _ in range(2)]

    assert (told, stage.board.phase) == (
        [(200, "serving on\n"), (200, "no drain was under way\n")],
        Phase.SERVING,
    )


@pytest.mark.parametrize("headers", [{}, {"X-Sidecar": "0"}, {"X-Sidecar": ""}])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_without_the_header_nothing_changes(stage: Stage, method: str, headers: dict[str, str]) -> None:
    if method == "DELETE":
        stage.drainer.begin()
    before = stage.board.phase

    told = await stage.ask(stage.admin, method, "/drain", **headers)

    assert (told, stage.board.phase) == ((403, "needs the header X-Sidecar: 1\n"), before)


async def test_the_main_listener_changes_nothing(stage: Stage) -> None:
    told = [
        (await stage.ask(stage.main, method, path, **PERMIT))[0]
        for method, path in (
            ("POST", "/drain"),
            ("DELETE", "/drain"),
            ("GET", "/drain"),
            ("POST", "/drained"),
            ("DELETE", "/drained"),
        )
    ]

    assert (told, stage.board.phase) == ([405, 405, 404, 405, 405], Phase.SERVING)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
async def test_other_methods_are_405_and_say_which_are_allowed(stage: Stage, method: str) -> None:
    async with stage.admin.request(method, "/drain", headers=PERMIT) as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST, DELETE")


async def test_the_paths_of_a_listener_are_named(stage: Stage) -> None:
    _, main = await stage.ask(stage.main, "GET", "/nope")
    _, admin = await stage.ask(stage.admin, "GET", "/nope")

    assert (main.split()[-2:], admin.split()[-3:]) == (
        ["/metrics", "/drained"],
        ["/metrics", "/drained", "/drain"],
    )


async def test_a_drain_that_ends_the_process_is_not_ended(stage: Stage) -> None:
    stage.drainer.stop()

    told = await stage.ask(stage.admin, "DELETE", "/drain", **PERMIT)

    assert (told, stage.board.phase) == (
        (409, "a stop signal has come: the drain ends the process\n"),
        Phase.DRAINING,
    )


async def test_who_waits_is_answered_when_the_drain_has_ended(stage: Stage) -> None:
    stage.drainer.begin()
    asked = [
        asyncio.create_task(stage.ask(client, "GET", "/drained")) for client in (stage.main, stage.admin)
    ]
    await stage.drainer.entered(2)
    stage.drainer.cancel()

    assert await asyncio.gather(*asked) == [(409, "the drain was cancelled\n")] * 2


async def test_too_many_who_wait_are_turned_away_and_the_admin_listener_has_room_of_its_own(
    stage: Stage,
) -> None:
    stage.drainer.begin()
    crowd = [asyncio.create_task(stage.ask(stage.main, "GET", "/drained")) for _ in range(WAITING_LIMIT + 1)]
    turned_away, _ = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
    ours = asyncio.create_task(stage.ask(stage.admin, "GET", "/drained"))
    await stage.drainer.entered(WAITING_LIMIT + 1)
    await stage.ask(stage.admin, "DELETE", "/drain", **PERMIT)
    answers = Counter(await asyncio.gather(*crowd))

    assert ([each.result() for each in turned_away], answers, (await ours)[0]) == (
        [(503, "too many are waiting already\n")],
        {(503, "too many are waiting already\n"): 1, (409, "the drain was cancelled\n"): WAITING_LIMIT},
        409,
    )


async def test_who_hangs_up_makes_room_for_another(stage: Stage) -> None:
    drainer = Watched(stage.board)
    drainer.begin()
    pages = DrainPages(drainer, is_trusted=False)
    sockets = bind(["127.0.0.1"], 0)
    async with serving(pages.wait, sockets, bounds=ServerConfig(), stop_within=1.0), asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
        writer.write(b"GET /drained HTTP/1.1\r\nHost: pod\r\n\r\n")
        await drainer.entered()
        writer.close()
        await drainer.left.wait()

        assert (reader.at_eof(), drainer.cancel()) == (True, True)
