"""Tells Prometheus: every name, label and help text, and a collector that reads them off the board.

Counts are the board's plain tallies; families exist only while a scrape is answered. Label values come from
the configuration or from a closed set, never from an error's text.
"""

import asyncio
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from sidecar import __version__
from sidecar.config.deploy import DeployConfig
from sidecar.core.deploy import DeployEvent, Progress
from sidecar.core.phase import Phase
from sidecar.core.start import is_overdue
from sidecar.core.state import Status
from sidecar.core.verdict import Answer, Probe
from sidecar.runtime.board import DURATION_BUCKETS, Board, Entry
from sidecar.runtime.clock import Clock
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.reload import ReloadRecord
from sidecar.support.thread import in_thread

CHECK: Final = ("check", "type")
BOUNDS: Final = (*map(str, DURATION_BUCKETS), "+Inf")
SERIES_OF_A_HEALTHY_CHECK: Final = 12
"""One of each family but failures, and seven of the histogram."""
KEPT_FOR: Final = 10
"""So that eager scrapers take a tenth of a core at most: to write a thousand checks takes 0.3 seconds."""


def metrics_renderer(
    board: Board,
    pulse: Pulse,
    reloads: ReloadRecord,
    clock: Clock | None = None,
    *,
    deploy: DeployConfig | None = None,
) -> Callable[[str], Awaitable[tuple[bytes, str]]]:
    """Return a function from an Accept header to the exposition and its content type.

    An exposition is given out again for `KEPT_FOR` times as long as it took to write. Probes are answered
    meanwhile: between two families, and while a thread makes text of them.
    """
    registry = CollectorRegistry(auto_describe=False)
    clock = clock or Clock()
    registry.register(_BoardCollector(board, pulse, reloads, clock))
    if deploy is not None:
        registry.register(_DeployCollector(board, deploy))
    ProcessCollector(registry=registry)
    kept: dict[str, tuple[bytes, float]] = {}
    writing = asyncio.Lock()

    async def render(accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        async with writing:
            began = clock.monotonic()
            body, until = kept.get(content_type, (b"", began))
            if began >= until:
                families = _Families([family async for family in _one_by_one(registry)])
                body = await in_thread(partial(encode, families), name="metrics")
                ended = clock.monotonic()
                kept[content_type] = body, ended + KEPT_FOR * (ended - began)
        return body, content_type

    return render


class _Families(Collector):
    """What was collected before."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families


async def _one_by_one(registry: CollectorRegistry) -> AsyncIterator[Metric]:
    """Yield each family, and let the event loop turn between two."""
    for family in registry.collect():
        yield family
        await asyncio.sleep(0)


class _BoardCollector(Collector):
    def __init__(self, board: Board, pulse: Pulse, reloads: ReloadRecord, clock: Clock) -> None:
        self._board = board
        self._pulse = pulse
        self._reloads = reloads
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        entries = list(self._board.entries())
        yield _up(entries)
        yield _runs(entries)
        yield _failures(entries)
        yield _durations(entries)
        yield _last_successes(entries)
        yield _transitions(entries)
        yield _connections(entries)
        yield self._verdicts()
        yield self._requests()
        yield self._phase()
        yield GaugeMetricFamily(
            "sidecar_startup_deadline_exceeded",
            "Whether the startup deadline has passed and startup has not.",
            value=float(is_overdue(self._board.latch, self._clock.monotonic())),
        )
        yield GaugeMetricFamily(
            "sidecar_event_loop_lag_seconds",
            "By how much the event loop was late at worst, in the last 15 to 30 seconds.",
            value=self._pulse.lag,
        )
        yield GaugeMetricFamily(
            "sidecar_config_last_reload_successful",
            "Whether the last configuration that was read could be used.",
            value=float(self._reloads.was_successful),
        )
        yield GaugeMetricFamily(
            "sidecar_config_last_reload_success_timestamp_seconds",
            "When a configuration was last put into force.",
            value=self._reloads.last_success_time,
        )
        build = InfoMetricFamily("sidecar_build", "The version that runs, and the Python that runs it.")
        build.add_metric((), {"version": __version__, "python": platform.python_version()})
        yield build

    def _verdicts(self) -> Metric:
        family = GaugeMetricFamily(
            "sidecar_probe_verdict", "Whether the probe passes now.", labels=("probe",)
        )
        now = self._clock.monotonic()
        for probe in Probe:
            family.add_metric((probe,), float(self._board.verdict(probe, now).answer is not Answer.FAIL))
        family.add_metric(("healthz",), float(not self._pulse.overdue()))
        return family

    def _requests(self) -> Metric:
        family = CounterMetricFamily(
            "sidecar_probe_requests", "Probes answered, by status code.", labels=("probe", "code")
        )
        for (probe, code), count in self._board.requests.items():
            family.add_metric((probe, str(code)), count)
        return family

    def _phase(self) -> Metric:
        family = GaugeMetricFamily(
            "sidecar_phase", "1 for the phase that the process is in.", labels=("phase",)
        )
        for phase in Phase:
            family.add_metric((phase,), float(phase is self._board.phase))
        return family


class _DeployCollector(Collector):
    def __init__(self, board: Board, deploy: DeployConfig) -> None:
        self._board = board
        self._deploy = deploy

    def collect(self) -> Iterator[Metric]:
        deploy = InfoMetricFamily("sidecar_deploy", "The revision that runs here, and where that is.")
        labels = {"revision": self._deploy.revision, "environment": self._deploy.environment}
        deploy.add_metric((), labels)
        yield deploy
        yield GaugeMetricFamily(
            "sidecar_announcement_queue_length",
            "Announcements of the deploy that this process has yet to deliver.",
            value=float(self._board.queued_announcements),
        )
        announced = CounterMetricFamily(
            "sidecar_announcements",
            "Announcements that came to an end in this process.",
            labels=("service", "event", "outcome"),
        )
        for (service, event, outcome), count in {**self._none_yet(), **self._board.announcements}.items():
            announced.add_metric((service, event, outcome), count)
        yield announced

    def _none_yet(self) -> dict[tuple[str, DeployEvent, str], int]:
        """Return zeros for what an alert looks at: a series that begins at 1 has never increased."""
        return {
            (service.label, event, Progress.GIVEN_UP): 0
            for service in self._deploy.announce
            for event in DeployEvent
            if event in service.events
        }


def _labels(entry: Entry) -> tuple[str, str]:
    return entry.config.name, entry.config.type


def _up(entries: list[Entry]) -> Metric:
    family = GaugeMetricFamily(
        "sidecar_check_up", "Whether the check is up; absent while that is unknown.", labels=CHECK
    )
    for entry in entries:
        if entry.state.status is not Status.UNKNOWN:
            family.add_metric(_labels(entry), float(entry.state.status is Status.UP))
    return family


def _runs(entries: list[Entry]) -> Metric:
    family = CounterMetricFamily(
        "sidecar_check_runs", "Runs of the check, by outcome.", labels=(*CHECK, "outcome")
    )
    for entry in entries:
        for outcome, count in entry.tally.runs.items():
            family.add_metric((*_labels(entry), outcome), count)
    return family


def _failures(entries: list[Entry]) -> Metric:
    family = CounterMetricFamily(
        "sidecar_check_failures", "Failed runs of the check, by reason.", labels=(*CHECK, "reason")
    )
    for entry in entries:
        for reason, count in entry.tally.failures.items():
            family.add_metric((*_labels(entry), reason), count)
    return family


def _durations(entries: list[Entry]) -> Metric:
    family = HistogramMetricFamily("sidecar_check_duration_seconds", "How long the runs took.", labels=CHECK)
    for entry in entries:
        counts = map(float, accumulate(entry.tally.durations))
        family.add_metric(_labels(entry), list(zip(BOUNDS, counts, strict=True)), entry.tally.duration_sum)
    return family


def _last_successes(entries: list[Entry]) -> Metric:
    family = GaugeMetricFamily(
        "sidecar_check_last_success_timestamp_seconds", "When a run last succeeded.", labels=CHECK
    )
    for entry in entries:
        if entry.tally.last_success_time is not None:
            family.add_metric(_labels(entry), entry.tally.last_success_time)
    return family


def _transitions(entries: list[Entry]) -> Metric:
    family = CounterMetricFamily(
        "sidecar_check_transitions", "How often the check settled on another status.", labels=(*CHECK, "to")
    )
    for entry in entries:
        for status, count in entry.tally.transitions.items():
            family.add_metric((*_labels(entry), status), count)
    return family


def _connections(entries: list[Entry]) -> Metric:
    family = CounterMetricFamily(
        "sidecar_check_connections_opened", "Connections that the check opened.", labels=CHECK
    )
    for entry in entries:
        family.add_metric(_labels(entry), entry.tally.connections_opened)
    return family
