"""What the kubelet, a person with curl and a scraper get, byte for byte, over real connections."""

import errno
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp.test_utils import RawTestServer, TestClient

from sidecar.core.check import Reason
from sidecar.core.phase import Phase
from sidecar.core.verdict import Gate, Probe, Verdict
from sidecar.runtime.board import Board
from sidecar.runtime.pulse import Pulse
from sidecar.web.probes import Probes
from sidecar.web.site import Site
from tests.boards import StoppedClock, board_of, check, failure, metrics_of, record_all, success

HEADERS = ("Content-Type", "X-Content-Type-Options", "Cache-Control", "Server")


Client = TestClient[aiohttp.web.BaseRequest, None]


@dataclass
class Stage:
    """A board behind a main and an admin listener."""

    clock: StoppedClock
    board: Board
    pulse: Pulse
    main: Client
    admin: Client

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.main.get(path, headers=headers) as response:
            return response.status, await response.text()

    async def get_admin(self, path: str) -> str:
        async with self.admin.get(path) as response:
            return await response.text()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """`sessions` gates readiness, `builds` startup, `app` liveness, `extra` nothing."""
    clock = StoppedClock()
    board = board_of(
        check("sessions", Gate.READINESS),
        check("builds", Gate.STARTUP),
        check("app", Gate.LIVENESS),
        check("extra"),
        clock=clock,
    )
    pulse = Pulse(clock.clock)
    probes = Probes(board, pulse, clock.clock)
    render = metrics_of(board, pulse, clock.clock)

    def client(*, is_trusted: bool) -> Client:
        return TestClient(RawTestServer(Site(board, probes, render, is_trusted=is_trusted).handle))

    async with client(is_trusted=False) as main, client(is_trusted=True) as admin:
        yield Stage(clock, board, pulse, main, admin)


ALL = ("sessions", "builds", "app", "extra")


async def test_passing_probes_answer_ok_without_a_newline_as_kube_apiserver_does(stage: Stage) -> None:
    record_all(stage.board, ALL, success(stage.clock))

    answers = [await stage.get(path) for path in ("/livez", "/readyz", "/startupz", "/healthz")]

    assert answers == [(200, "ok")] * 4


async def test_verbose_lists_every_check_in_configured_order(stage: Stage) -> None:
    record_all(stage.board, ALL, success(stage.clock))

    assert await stage.get("/readyz?verbose") == (
        200,
        "[+]sessions ok\n[+]builds ok\n[+]app ok\n[+]extra ok\nreadyz check passed\n",
    )


async def test_failing_probe_is_503_and_always_verbose(stage: Stage) -> None:
    record_all(stage.board, ALL, success(stage.clock))
    stage.board.record("sessions", failure(stage.clock, Reason.REFUSED))
    stage.board.record("extra", failure(stage.clock, Reason.TIMEOUT))

    assert await stage.get("/readyz") == (
        503,
        (
            "[-]sessions failed: refused\n[+]builds ok\n[+]app ok\n[!]extra down, not gating: timeout\n"
            "readyz check failed\n"
        ),
    )


async def test_start_gate_holds_startupz_and_readyz_until_it_has_been_up_and_never_again(
    stage: Stage,
) -> None:
    record_all(stage.board, ("sessions", "app", "extra"), success(stage.clock))
    stage.board.record("builds", failure(stage.clock, Reason.AUTH))
    before = [(await stage.get(path))[0] for path in ("/startupz", "/readyz")]
    stage.board.record("builds", success(stage.clock))
    stage.board.record("builds", failure(stage.clock, Reason.AUTH))
    after = [(await stage.get(path))[0] for path in ("/startupz", "/readyz")]

    assert (before, after) == ([503, 503], [200, 200])


async def test_liveness_fails_for_a_down_app_alone(stage: Stage) -> None:
    record_all(stage.board, ALL, success(stage.clock))
    record_all(stage.board, ("sessions", "builds", "extra"), failure(stage.clock, Reason.REFUSED))
    others_down = await stage.get("/livez")
    stage.board.record("app", failure(stage.clock, Reason.REFUSED))
    app_down = await stage.get("/livez")

    assert (others_down[0], app_down[0]) == (200, 503)


async def test_main_listener_shows_reasons_and_the_admin_listener_messages(stage: Stage) -> None:
    record_all(stage.board, ALL, success(stage.clock))
    stage.board.record("sessions", failure(stage.clock, Reason.REFUSED))
    stage.board.record("extra", success(stage.clock, message="expires in 6 days"))

    _, main = await stage.get("/readyz")
    admin = await stage.get_admin("/readyz")

    assert (main.splitlines()[0], main.splitlines()[3], admin.splitlines()[0], admin.splitlines()[3]) == (
        "[-]sessions failed: refused",
        "[!]extra warning",
        "[-]sessions failed: refused: db:5432 refused the connection",
        "[!]extra warning: expires in 6 days",
    )


async def test_no_result_yet_and_stale_results_fail_readiness(stage: Stage) -> None:
    record_all(stage.board, ("builds", "app", "extra"), success(stage.clock))
    unknown = await stage.get("/readyz")
    stage.board.record("sessions", success(stage.clock))
    fresh = await stage.get("/readyz")
    stage.clock.pass_by(2.5 * 10 + 2)
    stale = await stage.get("/readyz")

    assert (unknown[1].splitlines()[0], fresh, stale[1].splitlines()[0]) == (
        "[-]sessions failed: no result yet",
        (200, "ok"),
        "[-]sessions failed: stale",
    )


async def test_draining_is_a_line_of_its_own_and_leaves_liveness_alone(stage: Stage) -> None:
    record_all(stage.board, ALL, success(stage.clock))
    stage.board.enter(Phase.DRAINING)

    code, body = await stage.get("/readyz")

    assert (
        code,
        body.splitlines()[-2:],
        (await stage.get("/livez"))[0],
        (await stage.get("/healthz"))[0],
    ) == (
        503,
        ["[-]draining", "readyz check failed"],
        200,
        200,
    )


async def test_excluded_checks_pass_and_unknown_ones_are_named(stage: Stage) -> None:
    record_all(stage.board, ALL, success(stage.clock))
    stage.board.record("sessions", failure(stage.clock, Reason.REFUSED))

    assert await stage.get("/readyz?exclude=sessions") == (200, "ok")
    assert await stage.get("/readyz?verbose&exclude=sessions&exclude=nope&exclude=also") == (
        200,
        (
            "[+]sessions excluded: ok\n[+]builds ok\n[+]app ok\n[+]extra ok\n"
            'warn: some health checks cannot be excluded: no matches for "also","nope"\n'
            "readyz check passed\n"
        ),
    )


async def test_one_check_is_asked_by_name_as_if_it_alone_gated(stage: Stage) -> None:
    record_all(stage.board, ALL, success(stage.clock))
    stage.board.record("extra", failure(stage.clock, Reason.TLS))

    assert [await stage.get(f"/readyz/{name}") for name in ("sessions", "extra")] == [
        (200, "ok"),
        (503, "[-]extra failed: tls\nreadyz check failed\n"),
    ]


async def test_unknown_check_and_unknown_path_are_404_and_name_what_there_is(stage: Stage) -> None:
    assert [await stage.get(path) for path in ("/readyz/nope", "/nope", "/", "/healthz/app")] == [
        (404, "no such check; there are sessions builds app extra\n"),
        *[(404, "no such path; there are /livez /readyz /startupz /healthz /metrics\n")] * 3,
    ]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_other_methods_are_405_and_say_which_are_allowed(stage: Stage, method: str) -> None:
    async with stage.main.request(method, "/readyz") as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/startupz", "/healthz", "/metrics", "/readyz/app", "/nope"]
)
async def test_head_is_answered_like_get_without_a_body(stage: Stage, path: str) -> None:
    async with stage.main.get(path) as got, stage.main.head(path) as headed:
        body = await headed.read()

        assert (headed.status, body, headed.content_type) == (got.status, b"", got.content_type)


async def test_json_is_given_to_those_who_accept_it_with_the_same_codes(stage: Stage) -> None:
    record_all(stage.board, ALL, success(stage.clock))
    stage.board.record("sessions", failure(stage.clock, Reason.REFUSED))
    stage.board.record("extra", success(stage.clock, message="expires in 6 days"))

    async with stage.main.get("/readyz", headers={"Accept": "application/health+json"}) as response:
        assert (response.status, response.content_type, json.loads(await response.text())) == (
            503,
            "application/health+json",
            {
                "status": "fail",
                "description": "readyz",
                "checks": {
                    "sessions": [{"status": "fail", "output": "failed: refused"}],
                    "builds": [{"status": "pass"}],
                    "app": [{"status": "pass"}],
                    "extra": [{"status": "warn", "output": "warning"}],
                },
            },
        )
    async with stage.main.get("/livez", headers={"Accept": "application/json"}) as response:
        assert (response.status, response.content_type, (await response.json())["status"]) == (
            200,
            "application/json",
            "warn",
        )


async def test_every_response_has_the_headers_of_an_internal_endpoint(stage: Stage) -> None:
    for path in ("/livez", "/readyz", "/nope"):
        async with stage.main.get(path) as response:
            assert {name: response.headers[name] for name in HEADERS} == {
                "Content-Type": "text/plain; charset=utf-8",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
                "Server": "sidecar",
            }


def count_verdicts(board: Board, monkeypatch: pytest.MonkeyPatch) -> list[Probe]:
    """Return the probes that are judged from now on, as they are."""
    judged: list[Probe] = []
    judge = board.verdict

    def judge_and_count(probe: Probe, now: float) -> Verdict:
        judged.append(probe)
        return judge(probe, now)

    monkeypatch.setattr(board, "verdict", judge_and_count)
    return judged


async def test_an_answer_is_rendered_once_until_the_board_or_time_changes_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_all(stage.board, ALL, success(stage.clock))
    judged = count_verdicts(stage.board, monkeypatch)

    for _ in range(5):
        await stage.get("/readyz")
    stage.board.record("sessions", success(stage.clock))
    await stage.get("/readyz")
    stage.board.record("sessions", failure(stage.clock, Reason.DNS))
    await stage.get("/readyz")
    stage.clock.pass_by(27)
    await stage.get("/readyz")

    assert len(judged) == 3


async def test_a_plain_ok_is_not_judged_anew_because_a_check_tells_another_story(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_all(stage.board, ALL, success(stage.clock))
    asked = [await stage.get("/readyz"), await stage.get("/readyz?verbose")]
    judged = count_verdicts(stage.board, monkeypatch)
    stage.board.record("extra", success(stage.clock, message="expires in 6 days"))

    asked += [await stage.get("/readyz"), await stage.get("/readyz?verbose")]

    assert (asked[0] == asked[2], asked[1] == asked[3], len(judged)) == (True, False, 1)


async def test_healthz_fails_when_a_loop_of_ours_is_late_and_no_check_ever_counts(stage: Stage) -> None:
    record_all(stage.board, ALL, failure(stage.clock, Reason.REFUSED))
    healthy = await stage.get("/healthz?verbose")
    stage.pulse.expect("check:sessions", within=60.0)
    stage.clock.pass_by(9)
    stage.pulse.expect("event-loop", within=1.0)
    stage.clock.pass_by(65)

    assert (healthy, await stage.get("/healthz")) == (
        (200, "[+]loops ok\nhealthz check passed\n"),
        (
            503,
            (
                "[-]event-loop failed: late by 1m 4s\n"
                "[-]check:sessions failed: late by 14s\n"
                "healthz check failed\n"
            ),
        ),
    )


async def test_healthz_notes_an_event_loop_that_was_late_lately(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pulse, "lag", 3.2)
    noted = await stage.get("/healthz?verbose"), await stage.get("/healthz")
    monkeypatch.setattr(Pulse, "lag", 0.9)

    assert noted == ((200, "[!]event-loop warning: late by 3s\nhealthz check passed\n"), (200, "ok"))
    assert await stage.get("/healthz?verbose") == (200, "[+]loops ok\nhealthz check passed\n")


async def test_metrics_are_200_whatever_the_health_is(stage: Stage) -> None:
    record_all(stage.board, ALL, failure(stage.clock, Reason.REFUSED))
    await stage.get("/readyz")

    code, body = await stage.get("/metrics")

    assert code == 200
    assert 'sidecar_probe_requests_total{code="503",probe="readyz"} 1.0' in body
    assert 'sidecar_probe_verdict{probe="readyz"} 0.0' in body


async def test_metrics_that_cannot_be_written_are_503() -> None:
    clock = StoppedClock()
    board, pulse = board_of(clock=clock), Pulse(clock.clock)

    async def render(_accept: str) -> tuple[bytes, str]:
        raise OSError(errno.EMFILE, "Too many open files", "sidecar/metrics.py")

    site = Site(board, Probes(board, pulse, clock.clock), render, is_trusted=False)
    client: Client = TestClient(RawTestServer(site.handle))
    async with client, client.get("/metrics") as response:
        assert (response.status, await response.text()) == (503, "no metrics: too many open files\n")
