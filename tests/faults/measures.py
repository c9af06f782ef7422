"""What a drill measures of the process that it runs in: the time, and the memory."""

import threading
import time
from types import TracebackType
from typing import Final, Self

TICK: Final = 0.01
"""Seconds that the thread of a `Metronome` sleeps at a time."""
LATE: Final = 3 * TICK
"""Seconds of a tick that count: the rest is the machine's doing."""


class Metronome:
    """A clock that stands still while the machine does: a thread beside the event loop counts its own ticks.

    A pause that both see is the machine's, and takes no time here; one that only the loop sees is ours.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        """Those that the thread has seen."""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="metronome", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _tick(self) -> None:
        last = time.monotonic()
        while not self._is_over.wait(TICK):
            now = time.monotonic()
            self.seconds += min(now - last, LATE)
            last = now
