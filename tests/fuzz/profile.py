"""How much is tried: little and always the same, or with `make fuzz` much, and something else each time."""

import os
from typing import Final

from hypothesis import HealthCheck, settings

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""How many examples a test tries at least; 0 where it is not asked for."""


def tries(few: int) -> settings:
    """Return what a test tries that is one of many in a suite."""
    return settings(
        max_examples=max(few, EXAMPLES),
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,  # each test has a bound of its own, and the machine may be busy
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def steps(few: int) -> settings:
    """Return how many histories, of 25 steps each, a state machine tries."""
    return settings(tries(few), stateful_step_count=25)
