"""The two clocks, in one value, so that tests may hand in others."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Monotonic seconds for spans and deadlines; seconds since the epoch for what people read."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
