"""Our own health: does the event loop turn, and does every loop of ours act when it said it would?"""

import asyncio
from typing import Final, Never

from sidecar.runtime.clock import Clock

BEAT: Final = 1.0
"""Seconds between two heartbeats of the event loop."""
PATIENCE: Final = 10.0
"""Seconds that a loop of ours may be late before `/healthz` fails."""
SLUGGISH: Final = 1.0
"""Seconds of lag that `/healthz` tells of: a kubelet waits no longer unless it is told to."""
LAG_WINDOW: Final = 15.0
"""Seconds: the lag shown is the worst of the current and the last window, so that a scrape sees a spike."""


class Pulse:
    """Knows by when each loop of ours has promised to act again."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._due: dict[str, float] = {}
        self._worst = 0.0
        self._worst_before = 0.0
        self._window_ends = self._clock.monotonic() + LAG_WINDOW
        self.expect("event-loop", within=BEAT)

    @property
    def lag(self) -> float:
        """Seconds by which the event loop was late at worst, lately."""
        return max(self._worst, self._worst_before)

    def expect(self, loop: str, *, within: float) -> None:
        """Take the promise of a loop to act again within so many seconds."""
        self._due[loop] = self._clock.monotonic() + within

    def forget(self, loop: str) -> None:
        """Expect no more of a loop that was ended."""
        self._due.pop(loop, None)

    def overdue(self) -> dict[str, float]:
        """Return the loops that are late beyond patience, and by how many seconds."""
        now = self._clock.monotonic()
        return {loop: now - due for loop, due in self._due.items() if now - due > PATIENCE}

    async def beat_forever(self) -> Never:
        """Prove once a second that the event loop turns, and measure how late it was."""
        while True:
            self.expect("event-loop", within=BEAT)
            due = self._clock.monotonic() + BEAT
            await asyncio.sleep(BEAT)
            self._measure(self._clock.monotonic() - due)

    def _measure(self, lag: float) -> None:
        if self._clock.monotonic() >= self._window_ends:
            self._worst_before, self._worst = self._worst, 0.0
            self._window_ends = self._clock.monotonic() + LAG_WINDOW
        self._worst = max(self._worst, lag)
