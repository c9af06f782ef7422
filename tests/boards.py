"""Boards for tests: checks in any standing, results that came in, and a clock that stands still."""

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.config.check import CheckConfig
from sidecar.core.check import Reason
from sidecar.core.result import Outcome, Result
from sidecar.core.verdict import Gate
from sidecar.metrics import metrics_renderer
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.reload import ReloadRecord
from sidecar.web.site import RenderMetrics

NOON = 1_800_000_000.0


@dataclass
class StoppedClock:
    """Monotonic seconds that pass only when told to."""

    now: float = 100.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, wall=lambda: NOON + self.now)


def check(name: str, *gates: Gate, failure_threshold: int = 1, interval: float = 10.0) -> CheckConfig:
    return CheckConfig(
        name=name,
        type="tcp",
        gates=frozenset(gates),
        failure_threshold=failure_threshold,
        interval=interval,
    )


def board_of(*configs: CheckConfig, clock: StoppedClock, deadline: float = 300.0) -> Board:
    return Board(configs, started_at=clock.now, startup_deadline=deadline)


def success(clock: StoppedClock, *, message: str = "", duration: float = 0.01) -> Result:
    outcome = Outcome.WARNING if message else Outcome.SUCCESS
    return Result(
        outcome=outcome, finished_at=clock.now, duration=duration, time=NOON + clock.now, message=message
    )


def failure(clock: StoppedClock, reason: Reason, message: str = "db:5432 refused the connection") -> Result:
    return Result(
        outcome=Outcome.FAILURE,
        finished_at=clock.now,
        duration=0.01,
        time=NOON + clock.now,
        reason=reason,
        message=message,
    )


def record_all(board: Board, names: Iterable[str], result: Result) -> None:
    for name in names:
        board.record(name, result)


def metrics_of(board: Board, pulse: Pulse, clock: Clock) -> RenderMetrics:
    """Return what a site asks for the metrics."""
    return metrics_renderer(board, pulse, ReloadRecord(), clock)
