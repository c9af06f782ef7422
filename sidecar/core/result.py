"""The record of one run."""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.core.check import Reason


class Outcome(StrEnum):
    """How one run ended. A warning counts as success and is shown."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run, ended.

    `reason` is set exactly for failures. `message` is a sentence for a person, empty for a plain success.
    """

    outcome: Outcome
    finished_at: float
    """Seconds of the monotonic clock."""
    duration: float
    """Seconds."""
    time: float
    """Seconds since the epoch: only for what people read."""
    reason: Reason | None = None
    message: str = ""
    connections_opened: int = 0
    """During this run."""

    @property
    def is_success(self) -> bool:
        """Whether the run counts towards `up`."""
        return self.outcome is not Outcome.FAILURE
