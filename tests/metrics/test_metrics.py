"""What Prometheus reads: names, labels, counts, and promtool's opinion of them."""

import subprocess
from collections.abc import Callable
from itertools import count

import pytest
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
def scrape(board: Board, clock: StoppedClock) -> Callable[[], dict[tuple[str, str], float]]:
    render = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock)

    def scrape() -> dict[tuple[str, str], float]:
        families = text_string_to_metric_families(render("")[0].decode())
        return {
            (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    return scrape


def of(samples: dict[tuple[str, str], float], name: str) -> dict[str, float]:
    return {labels: value for (sample, labels), value in samples.items() if sample == name}


def test_up_is_absent_while_unknown(scrape: Callable[[], dict[tuple[str, str], float]]) -> None:
    assert of(scrape(), "sidecar_check_up") == {"check=sessions,type=tcp": 1.0, "check=builds,type=tcp": 0.0}


def test_runs_are_counted_by_outcome_and_failures_by_reason(
    scrape: Callable[[], dict[tuple[str, str], float]],
) -> None:
    samples = scrape()

    assert of(samples, "sidecar_check_runs_total") == {
        "check=sessions,outcome=success,type=tcp": 1.0,
        "check=sessions,outcome=warning,type=tcp": 1.0,
        "check=builds,outcome=success,type=tcp": 1.0,
        "check=builds,outcome=failure,type=tcp": 1.0,
    }
    assert of(samples, "sidecar_check_failures_total") == {"check=builds,reason=auth,type=tcp": 1.0}


def test_durations_are_a_cumulated_histogram_of_five_buckets(
    scrape: Callable[[], dict[tuple[str, str], float]],
) -> None:
    samples = scrape()
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


def test_verdicts_phase_requests_and_last_success_are_told(
    scrape: Callable[[], dict[tuple[str, str], float]], clock: StoppedClock
) -> None:
    samples = scrape()

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


def test_the_startup_deadline_is_exceeded_until_startup_has_passed(clock: StoppedClock) -> None:
    board = board_of(check("builds", Gate.STARTUP), clock=clock, deadline=60.0)
    render = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock)

    def exceeded() -> bool:
        return b"sidecar_startup_deadline_exceeded 1.0" in render("")[0]

    seen = [exceeded()]
    clock.pass_by(60.0)
    seen.append(exceeded())
    board.record("builds", success(clock))
    seen.append(exceeded())

    assert seen == [False, True, False]


def test_a_healthy_check_has_the_series_that_validate_reckons_with_and_at_most_sixteen(
    clock: StoppedClock,
) -> None:
    board = board_of(check("only", Gate.READINESS), clock=clock)
    board.record("only", success(clock))

    body = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock)("")[0].decode()
    series = [line for line in body.splitlines() if 'check="only"' in line]

    assert len(series) == SERIES_OF_A_HEALTHY_CHECK <= 16


def test_no_message_of_a_failure_becomes_a_label(board: Board, clock: StoppedClock) -> None:
    body = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock)("")[0]

    assert b"hunter2" not in body


@pytest.mark.parametrize(
    ("accept", "content_type", "end"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", b"\n"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", b"# EOF\n"),
    ],
)
def test_openmetrics_is_given_to_those_who_accept_it(
    board: Board, clock: StoppedClock, accept: str, content_type: str, end: bytes
) -> None:
    body, given = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock)(accept)

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


def test_the_revision_and_its_announcements_are_told_where_there_is_a_deploy(
    board: Board, clock: StoppedClock
) -> None:
    render = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock, deploy=DEPLOY)
    board.count_announcement("slack", DeployEvent.STARTED, "delivered")
    board.count_announcement("slack", DeployEvent.STARTED, "delivered")
    board.count_announcement("sentry", DeployEvent.SUCCEEDED, "given_up")
    board.queue_announcements(3)

    told = [line for line in render("")[0].decode().splitlines() if "deploy" in line or "announce" in line]

    assert [line for line in told if not line.startswith("#")] == [
        'sidecar_deploy_info{environment="production",revision="abc123"} 1.0',
        "sidecar_announcement_queue_length 3.0",
        'sidecar_announcements_total{event="started",outcome="given_up",service="slack"} 0.0',
        'sidecar_announcements_total{event="succeeded",outcome="given_up",service="sentry"} 1.0',
        'sidecar_announcements_total{event="started",outcome="delivered",service="slack"} 2.0',
    ]


def test_without_a_deploy_nothing_is_told_of_one(scrape: Callable[[], dict[tuple[str, str], float]]) -> None:
    assert [name for name, _ in scrape() if "deploy" in name or "announce" in name] == []


@pytest.mark.servers
def test_promtool_finds_nothing_to_complain_about(board: Board, clock: StoppedClock) -> None:
    board.count_announcement("slack", DeployEvent.STARTED, "delivered")
    render = metrics_renderer(board, Pulse(clock.clock), ReloadRecord(), clock.clock, deploy=DEPLOY)
    body, _ = render("")

    verdict = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, check=False, timeout=30
    )

    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, b"", b"")


def test_eager_scrapers_get_an_exposition_again_that_took_long_to_write(board: Board) -> None:
    ticking = count(step=0.01)
    render = metrics_renderer(board, Pulse(Clock()), ReloadRecord(), Clock(monotonic=lambda: next(ticking)))
    first = render("")
    board.count_request("livez", 200)

    again = render("")
    for _ in range(100):
        next(ticking)

    assert (again == first, render("") == first) == (True, False)
