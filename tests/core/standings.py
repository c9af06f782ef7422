"""Every situation that a check can be in, in words, and the standings that show it."""

from dataclasses import replace
from math import inf
from typing import Final

from sidecar.core.state import State
from sidecar.core.verdict import Gate, Latch, Standing
from tests.core.builders import states

NOW: Final = 1000.0
FRESH: Final = NOW + 1.0
DEADLINE: Final = NOW + 5.0
AWAITED: Final = Latch(startup_passed=False, liveness_deadline=DEADLINE)
LATCHED: Final = replace(AWAITED, startup_passed=True)

NEVER_RAN: Final = State()
FAILED_ONCE: Final = states("f")[-1]
UP: Final = states("s")[-1]
UP_WITH_WARNING: Final = states("w")[-1]
UP_FAILING: Final = states("sff")[-1]
DOWN: Final = states("sfff")[-1]
NEVER_UP: Final = states("fff")[-1]
DOWN_RECOVERING: Final = states("ssfffs", success_threshold=2)[-1]

SITUATIONS: Final = {
    # words: state, stale from, is new
    "never ran": (NEVER_RAN, inf, False),
    "unknown": (FAILED_ONCE, FRESH, False),
    "unknown, stale": (FAILED_ONCE, NOW, False),
    "up": (UP, FRESH, False),
    "up, failing": (UP_FAILING, FRESH, False),
    "up, stale": (UP, NOW, False),
    "down": (DOWN, FRESH, False),
    "down, recovering": (DOWN_RECOVERING, FRESH, False),
    "down, stale": (DOWN, NOW, False),
    "never up": (NEVER_UP, FRESH, False),
    "never up, stale": (NEVER_UP, NOW, False),
    "new, never ran": (NEVER_RAN, inf, True),
    "new, unknown": (FAILED_ONCE, FRESH, True),
    "new, never up": (NEVER_UP, FRESH, True),
    "new, never up, stale": (NEVER_UP, NOW, True),
    "new, up": (UP, FRESH, True),
    "new, up, stale": (UP, NOW, True),
    "new, down": (DOWN, FRESH, True),
}


def standing(situation: str, *gates: Gate, name: str = "db") -> Standing:
    """Return a check in a situation at NOW."""
    state, stale_at, is_new = SITUATIONS[situation]
    pending = frozenset(gates) if is_new else frozenset()
    return Standing(name=name, gates=frozenset(gates), state=state, stale_at=stale_at, pending=pending)
