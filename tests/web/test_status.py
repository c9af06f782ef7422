"""The status page: the whole board, and for the admin listener only."""

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer, TestClient

from sidecar.core.check import Reason
from sidecar.core.verdict import Gate
from sidecar.runtime.board import Board
from sidecar.runtime.pulse import Pulse
from sidecar.web.probes import Probes
from sidecar.web.site import Site
from sidecar.web.status import StatusPage
from tests.boards import StoppedClock, board_of, check, failure, metrics_of, success

Client = TestClient[web.BaseRequest, None]


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def board(clock: StoppedClock) -> Board:
    """`db` went down after a success; `new` has not run."""
    board = board_of(check("db", Gate.READINESS, Gate.LIVENESS), check("new", Gate.STARTUP), clock=clock)
    clock.pass_by(1.0)
    board.record("db", success(clock))
    clock.pass_by(2.5)
    board.record("db", failure(clock, Reason.AUTH, "db:5432 refused the password"))
    board.plan("db", clock.now + 7.0)
    clock.pass_by(4.0)
    return board


def site(board: Board, clock: StoppedClock, *, is_trusted: bool) -> Site:
    pulse = Pulse(clock.clock)
    return Site(
        board,
        Probes(board, pulse, clock.clock),
        metrics_of(board, pulse, clock.clock),
        is_trusted=is_trusted,
        pages={"/status": StatusPage(board, clock.clock).handle} if is_trusted else {},
    )


def test_the_page_has_all_that_is_known_of_each_check(board: Board, clock: StoppedClock) -> None:
    assert json.loads(StatusPage(board, clock.clock).answer().body) == {
        "phase": "starting",
        "revision": None,
        "deploy": None,
        "uptime_seconds": 7.5,
        "startup_passed": False,
        "checks": [
            {
                "name": "db",
                "type": "tcp",
                "target": "db",
                "gates": ["liveness", "readiness"],
                "status": "down",
                "is_stale": False,
                "is_new": False,
                "has_been_up": True,
                "since_seconds": 4.0,
                "streak": 1,
                "outcomes": ["success", "failure"],
                "reason": "auth",
                "message": "db:5432 refused the password",
                "age_seconds": 4.0,
                "next_run_seconds": 3.0,
            },
            {
                "name": "new",
                "type": "tcp",
                "target": "new",
                "gates": ["startup"],
                "status": "unknown",
                "is_stale": False,
                "is_new": False,
                "has_been_up": False,
                "since_seconds": 7.5,
                "streak": 0,
                "outcomes": [],
                "reason": None,
                "message": "",
                "age_seconds": None,
                "next_run_seconds": None,
            },
        ],
    }


def test_a_run_that_is_late_is_due_now_and_one_under_way_is_not_known(
    board: Board, clock: StoppedClock
) -> None:
    def next_run() -> object:
        return json.loads(StatusPage(board, clock.clock).answer().body)["checks"][0]["next_run_seconds"]

    clock.pass_by(30.0)
    late = next_run()
    board.plan("db", None)

    assert (late, next_run()) == (0.0, None)


async def test_only_the_admin_listener_has_the_page(board: Board, clock: StoppedClock) -> None:
    async def answer(path: str, *, is_trusted: bool) -> tuple[int, str, str]:
        server = RawTestServer(site(board, clock, is_trusted=is_trusted).handle)
        async with Client(server) as client, client.get(path) as response:
            return response.status, response.headers["Content-Type"], await response.text()

    shown, refused = [await answer("/status", is_trusted=is_trusted) for is_trusted in (True, False)]
    _, _, missing = await answer("/nothing", is_trusted=True)

    assert (shown[:2], "refused the password" in shown[2]) == ((200, "application/json; charset=utf-8"), True)
    assert refused == (
        404,
        "text/plain; charset=utf-8",
        "no such path; there are /livez /readyz /startupz /healthz /metrics\n",
    )
    assert missing == "no such path; there are /livez /readyz /startupz /healthz /metrics /status\n"
    assert dict(board.requests) == {}
