"""What Prometheus reads: names, labels, counts, and promtool's opinion of them."""

import asyncio
import threading
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from sidecar.config.deploy import DeployConfig, ServiceConfig
from sidecar.core.check import Reason
from sidecar.core.deploy import DeployEvent
from sidecar.core.verdict import Gate
from sidecar.metrics import SERIES_OF_A_HEALTHY_CHECK, metrics_renderer
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.reload import ReloadRecord
from tests.boards import StoppedClock, board_of, check, failure, success

Scrape = Callable[[], Awaitable[dict[tuple[str, str], float]]]


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def board(clock: StoppedClock) -> Board:
    board = board_of(
        check("sessions", Gate.READINESS), check("builds", Gate.STARTUP), check("extra"), clock=clock
    )
    board.record("sessions", success(clock, duration=0.004))
    board.record("sessions", success(clock, duration=3.0, message="slow"))
    board.record("builds", success(clock))
    board.record("builds", failure(clock, Reason.AUTH, "amqp refused hunter2-password"))
    board.count_request("readyz", 200)
    return board


@pytest.fixture
def scrape(board: Board, clock: StoppedClock) -> Scrape:
    render = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock)

    async def scrape() -> dict[tuple[str, str], float]:
        body, _ = await render("")
        families = text_string_to_metric_families(body.decode())
        return {
            (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    return scrape


def of(samples: dict[tuple[str, str], float], name: str) -> dict[str, float]:
    return {labels: value for (sample, labels), value in samples.items() if sample == name}


async def test_up_is_absent_while_unknown(scrape: Scrape) -> None:
    assert of(await scrape(), "sidecar_check_up") == {
        "check=sessions,type=tcp": 1.0,
        "check=builds,type=tcp": 0.0,
    }


async def test_runs_are_counted_by_outcome_and_failures_by_reason(
    scrape: Scrape,
) -> None:
    samples = await scrape()

    assert of(samples, "sidecar_check_runs_total") == {
        "check=sessions,outcome=success,type=tcp": 1.0,
        "check=sessions,outcome=warning,type=tcp": 1.0,
        "check=builds,outcome=success,type=tcp": 1.0,
        "check=builds,outcome=failure,type=tcp": 1.0,
    }
    assert of(samples, "sidecar_check_failures_total") == {"check=builds,reason=auth,type=tcp": 1.0}


async def test_durations_are_a_cumulated_histogram_of_five_buckets(
    scrape: Scrape,
) -> None:
    samples = await scrape()
    sessions = {
        labels: value
        for labels, value in of(samples, "sidecar_check_duration_seconds_bucket").items()
        if "sessions" in labels
    }

    assert sessions == {
        "check=sessions,le=0.005,type=tcp": 1.0,
        "check=sessions,le=0.05,type=tcp": 1.0,
        "check=sessions,le=0.5,type=tcp": 1.0,
        "check=sessions,le=2.0,type=tcp": 1.0,
        "check=sessions,le=+Inf,type=tcp": 2.0,
    }
    assert of(samples, "sidecar_check_duration_seconds_sum")["check=sessions,type=tcp"] == 3.004


async def test_verdicts_phase_requests_and_last_success_are_told(scrape: Scrape, clock: StoppedClock) -> None:
    samples = await scrape()

    assert of(samples, "sidecar_probe_verdict") == {
        "probe=livez": 1.0,
        "probe=readyz": 1.0,
        "probe=startupz": 1.0,
        "probe=healthz": 1.0,
    }
    assert of(samples, "sidecar_phase") == {
        "phase=starting": 0.0,
        "phase=serving": 1.0,
        "phase=draining": 0.0,
        "phase=stopped": 0.0,
    }
    assert of(samples, "sidecar_probe_requests_total") == {"code=200,probe=readyz": 1.0}
    assert of(samples, "sidecar_check_last_success_timestamp_seconds") == {
        "check=sessions,type=tcp": clock.clock.wall(),
        "check=builds,type=tcp": clock.clock.wall(),
    }
    assert of(samples, "sidecar_check_transitions_total") == {
        "check=sessions,to=up,type=tcp": 1.0,
        "check=builds,to=up,type=tcp": 1.0,
        "check=builds,to=down,type=tcp": 1.0,
    }


async def test_the_startup_deadline_is_exceeded_until_startup_has_passed(clock: StoppedClock) -> None:
    board = board_of(check("builds", Gate.STARTUP), clock=clock, deadline=60.0)
    render = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock)

    async def exceeded() -> bool:
        body, _ = await render("")
        return b"sidecar_startup_deadline_exceeded 1.0" in body

    seen = [await exceeded()]
    clock.pass_by(60.0)
    seen.append(await exceeded())
    board.record("builds", success(clock))
    seen.append(await exceeded())

    assert seen == [False, True, False]


async def test_a_healthy_check_has_the_series_that_validate_reckons_with_and_at_most_sixteen(
    clock: StoppedClock,
) -> None:
    board = board_of(check("only", Gate.READINESS), clock=clock)
    board.record("only", success(clock))

    body, _ = await metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock)("")
    series = [line for line in body.decode().splitlines() if 'check="only"' in line]

    assert len(series) == SERIES_OF_A_HEALTHY_CHECK <= 16


async def test_no_message_of_a_failure_becomes_a_label(board: Board, clock: StoppedClock) -> None:
    body, _ = await metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock)("")

    assert b"hunter2" not in body


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", b"\n"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", b"# EOF\n"),
    ],
)
async def test_openmetrics_is_given_to_those_who_accept_it(
    board: Board, clock: StoppedClock, accept: str, content_type: str, end: bytes
) -> None:
    body, given = await metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock)(accept)

    assert (given.startswith(content_type), body.endswith(end)) == (True, True)


DEPLOY = DeployConfig(
    service="builds",
    environment="production",
    revision="abc123",
    announce=(
        ServiceConfig(type="slack", events=frozenset({DeployEvent.STARTED})),
        ServiceConfig(type="sentry", events=frozenset({DeployEvent.SUCCEEDED})),
    ),
)


async def test_the_revision_and_its_announcements_are_told_where_there_is_a_deploy(
    board: Board, clock: StoppedClock
) -> None:
    render = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock, deploy=DEPLOY)
    board.count_announcement("slack", DeployEvent.STARTED, "delivered")
    board.count_announcement("slack", DeployEvent.STARTED, "delivered")
    board.count_announcement("sentry", DeployEvent.SUCCEEDED, "given_up")
    board.queue_announcements(3)

    body, _ = await render("")
    told = [line for line in body.decode().splitlines() if "deploy" in line or "announce" in line]

    assert [line for line in told if not line.startswith("#")] == [
        'sidecar_deploy_info{environment="production",revision="abc123"} 1.0',
        "sidecar_announcement_queue_length 3.0",
        'sidecar_announcements_total{event="started",outcome="given_up",service="slack"} 0.0',
        'sidecar_announcements_total{event="succeeded",outcome="given_up",service="sentry"} 1.0',
        'sidecar_announcements_total{event="started",outcome="delivered",service="slack"} 2.0',
    ]


async def test_without_a_deploy_nothing_is_told_of_one(scrape: Scrape) -> None:
    assert [name for name, _ in await scrape() if "deploy" in name or "announce" in name] == []


@pytest.mark.servers
async def test_promtool_finds_nothing_to_complain_about(board: Board, clock: StoppedClock) -> None:
    board.count_announcement("slack", DeployEvent.STARTED, "delivered")
    render = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock, deploy=DEPLOY)
    body, _ = await render("")

    promtool = await asyncio.create_subprocess_exec(
        *("promtool", "check", "metrics"), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    out, err = await promtool.communicate(body)

    assert (promtool.returncode, out, err) == (0, b"", b"")


async def test_eager_scrapers_get_an_exposition_again_that_took_long_to_write(board: Board) -> None:
    ticking = count(step=0.01)
    render = metrics_renderer(board, Pulse(Clock()), ReloadRecord(), Clock(monotonic=lambda: next(ticking)))
    first = await render("")
    board.count_request("livez", 200)

    again = await render("")
    for _ in range(100):
        next(ticking)

    assert (again == first, await render("") == first) == (True, False)


async def test_scrapers_who_ask_together_get_the_same_exposition(board: Board) -> None:
    render = metrics_renderer(board, Pulse(Clock()), ReloadRecord())

    first, second = await asyncio.gather(render(""), render(""))

    assert first[0] is second[0]


async def test_the_event_loop_turns_while_an_exposition_is_written(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_turned = threading.Event()
    collected: list[str] = []

    def encode(registry: CollectorRegistry) -> bytes:
        collected.extend(family.name for family in registry.collect())
        return b"turned" if has_turned.wait(timeout=5) else b"held up"

    monkeypatch.setattr("sidecar.metrics.choose_encoder", lambda _accept: (encode, "text/plain"))
    writing = asyncio.ensure_future(metrics_renderer(board, Pulse(Clock()), ReloadRecord())(""))
    turns = 0
    while not collected:
        turns += 1
        await asyncio.sleep(0)
    has_turned.set()

    assert (await writing, turns > len(collected)) == ((b"turned", "text/plain"), True)


async def test_one_who_leaves_meanwhile_holds_up_nobody(board: Board) -> None:
    render = metrics_renderer(board, Pulse(Clock()), ReloadRecord())
    impatient = asyncio.ensure_future(render(""))
    patient = asyncio.ensure_future(render(""))
    await asyncio.sleep(0)
    impatient.cancel()

    body, _ = await patient

    assert (impatient.cancelled(), b"sidecar_check_up" in body) == (True, True)
