"""The phase of the process, and what it may turn into."""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where the process stands between its first and its last second."""

    STARTING = "starting"
    """The listeners are open; `/startupz` has not passed yet."""
    SERVING = "serving"
    DRAINING = "draining"
    STOPPED = "stopped"


LEAVING: Final = frozenset({Phase.DRAINING, Phase.STOPPED})
"""No new traffic is wanted from here on."""


def after_startup(phase: Phase) -> Phase:
    """Return the phase once `/startupz` has passed: a drain that began meanwhile stays one."""
    return Phase.SERVING if phase is Phase.STARTING else phase


def after_drain(*, startup_passed: bool) -> Phase:
    """Return the phase in which a drain that did not end the process leaves it."""
    return Phase.SERVING if startup_passed else Phase.STARTING
