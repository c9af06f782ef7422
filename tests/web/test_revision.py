"""Who is live? Every answer of either listener says which revision it is that answers."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.test_utils import RawTestServer, TestClient

from sidecar.core.deploy import DeployEvent
from sidecar.core.verdict import Gate
from sidecar.runtime.board import Board
from sidecar.runtime.pulse import Pulse
from sidecar.web.probes import Probes
from sidecar.web.site import Site, stamped
from sidecar.web.status import StatusPage
from tests.boards import StoppedClock, board_of, check, metrics_of, record_all, success

Client = TestClient[aiohttp.web.BaseRequest, None]
JSON = {"Accept": "application/json"}


@pytest.fixture
def board() -> Board:
    clock = StoppedClock()
    board = board_of(check("db", Gate.READINESS), clock=clock)
    record_all(board, ("db",), success(clock))
    return board


@pytest.fixture
async def client(board: Board) -> AsyncIterator[Client]:
    clock = StoppedClock()
    pulse = Pulse(clock.clock)
    site = Site(
        board,
        Probes(board, pulse, clock.clock, revision="abc123"),
        metrics_of(board, pulse, clock.clock),
        is_trusted=True,
        pages={"/status": StatusPage(board, clock.clock, revision="abc123").handle},
    )
    made: Client = TestClient(RawTestServer(stamped(site.handle, "abc123")))
    async with made:
        yield made


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/startupz", "/healthz", "/metrics", "/status", "/readyz/db", "/nowhere"]
)
async def test_every_answer_says_which_revision_answers(client: Client, path: str) -> None:
    async with client.get(path) as response:
        assert response.headers["X-Revision"] == "abc123"
    async with client.post(path) as refused:
        assert (refused.status, refused.headers["X-Revision"]) == (405, "abc123")


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz", "/readyz/db", "/readyz?exclude=db"])
async def test_the_json_of_a_probe_says_it_too(client: Client, path: str) -> None:
    async with client.get(path, headers=JSON) as response:
        body = json.loads(await response.text())

    assert (body["releaseId"], "deploy" in body) == ("abc123", False)


async def test_the_json_follows_what_becomes_of_the_deploy(client: Client, board: Board) -> None:
    told = []
    for phase in (None, DeployEvent.STARTED, DeployEvent.TIMED_OUT, DeployEvent.SUCCEEDED):
        board.follow_deploy(phase)
        async with client.get("/readyz", headers=JSON) as response:
            told.append(json.loads(await response.text()).get("deploy"))

    assert told == [None, "started", "timed_out", "succeeded"]


async def test_the_board_for_people_has_both(client: Client, board: Board) -> None:
    board.follow_deploy(DeployEvent.FAILED)

    async with client.get("/status") as response:
        body = json.loads(await response.text())

    assert (body["revision"], body["deploy"]) == ("abc123", "failed")
