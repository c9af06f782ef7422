"""What the board tells its listeners: facts, in the past tense."""

from dataclasses import dataclass

from sidecar.core.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged:
    """A check settled on another status."""

    name: str
    type: str
    before: State
    after: State
    runs_before: int
    """How many runs the old status was reported for without a line of its own."""

    @property
    def lasted(self) -> float:
        """Seconds that the old status lasted."""
        return self.after.since - self.before.since


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupPassed:
    """Every check that gates startup has been up: `/startupz` passes from here on."""

    after: float
    """Seconds since our start."""


Event = StatusChanged | StartupPassed
