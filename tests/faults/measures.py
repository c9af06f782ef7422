"""What a drill measures of the process that it runs in: the time, and the memory."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

MIB: Final = 1 << 20
ROOM: Final = 8 * MIB
"""Bytes by which the process may grow, whatever is there to read: the fakes' own included."""
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


@contextmanager
def within_room(room: int = ROOM) -> Iterator[None]:
    """Assert that at no moment of the block the process held so much more memory than before (proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak()
    yield
    grown = _peak() - before
    assert grown < room, f"{grown / MIB:.1f} MiB"


def _peak() -> int:
    """Return the most bytes of memory that this process has held since the peak was last reset."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
