"""From the first second to the last: signals, and the end that nothing can hold up."""

import logging
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final, Self

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
STOP_LIMIT: Final = 3.0
"""Seconds from the stop signal to the end, whatever refuses to stop."""

log = logging.getLogger(__name__)


class StopSignals:
    """Hears SIGTERM and SIGINT in a thread of its own, so that a blocked event loop does not hold up the end.

    The first signal calls `stop`, in that thread. The second, or `limit` seconds, end the process with
    `leave`. Made in the main thread; one at a time in a process.
    """

    def __init__(
        self,
        stop: Callable[[], object],
        *,
        limit: float = STOP_LIMIT,
        leave: Callable[[int], None] = os._exit,
    ) -> None:
        self._stop = stop
        self._limit = limit
        self._leave = leave
        self._heard, self._wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        self._previous: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        """Begin to listen."""
        for number in STOP_SIGNALS:
            self._previous[number] = signal.signal(number, _note)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, name="stop-signals", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more; a pending deadline is called off."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._wakeup.close()

    def _listen(self) -> None:
        with self._heard:
            if not self._hears_stop(timeout=None):
                return
            self._stop()
            in_time = select.select([self._heard], [], [], self._limit)[0]
            if not in_time:
                log.error("did not stop in time, leaving")
                self._leave(0)
            elif self._hears_stop(timeout=0):
                self._leave(0)

    def _hears_stop(self, timeout: float | None) -> bool:
        """Wait for one of our signals; False when listening was ended. Other signals wake us for nothing."""
        self._heard.settimeout(timeout or None)
        while received := self._heard.recv(1):
            if received[0] in STOP_SIGNALS:
                return True
        return False


def _note(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal by doing nothing: that it came is read from the wake-up socket."""
