"""From the first second to the last: signals, and the end that nothing can hold up."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from types import FrameType
from typing import Final, Self

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
RELOAD_SIGNAL: Final = signal.SIGHUP
STOP_LIMIT: Final = 3.0
"""Seconds from the end of the drain to that of the process, whatever refuses to stop."""
WAKE: Final = b"\0"
"""No signal has this number: it only has the time looked at again."""
LAST_WORDS_WITHIN: Final = 0.2
"""Seconds that the log gets to say so."""
SHORTEST_WAIT: Final = 0.001
"""Seconds; none at all would mean not to wait, and to raise another error."""

log = logging.getLogger(__name__)


class Signals:
    """Hears SIGTERM, SIGINT and SIGHUP in a thread: a blocked event loop does not hold up the end.

    SIGHUP calls `reload`, and the first stop signal `stop`, both in that thread. The second ends the process
    with `leave`, and so do `limit` seconds more than a drain then takes, which `longest_drain` returns in
    that thread. Made in the main thread; one at a time in a process.
    """

    def __init__(
        self,
        stop: Callable[[], object],
        *,
        reload: Callable[[], object] = lambda: None,
        longest_drain: Callable[[], float] = lambda: 0.0,
        limit: float = STOP_LIMIT,
        leave: Callable[[int], None] = os._exit,
    ) -> None:
        self._stop = stop
        self._reload = reload
        self._longest_drain = longest_drain
        self._limit = limit
        self._leave_at = inf
        self._leave = leave
        self._heard, self._wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        self._previous: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        """Begin to listen; the socket comes first, so that no signal is handled without being heard."""
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, RELOAD_SIGNAL):
            self._previous[number] = signal.signal(number, _note)
        threading.Thread(target=self._listen, name="stop-signals", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more; a pending deadline is called off."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._wakeup.close()

    def hurry(self) -> None:
        """Have the limit begin now, in the main thread: the drain is over before its longest time."""
        self._leave_at = time.monotonic() + self._limit
        with suppress(OSError):  # a buffer that is full wakes it too
            self._wakeup.send(WAKE)

    def _listen(self) -> None:
        with self._heard:
            if not self._hears_stop():
                return
            self._leave_at = time.monotonic() + self._longest_drain() + self._limit
            self._stop()
            if self._must_leave():
                self._leave(0)

    def _must_leave(self) -> bool:
        """Wait for what comes first: a second stop signal, the limit, or the end of listening."""
        try:
            is_told_again = self._hears_stop()
        except TimeoutError:
            _log_without_waiting("did not stop in time, leaving")
            return True
        if is_told_again:
            _log_without_waiting("told to stop again, leaving")
        return is_told_again

    def _hears_stop(self) -> bool:
        """Wait for a stop signal; False when listening was ended. Other signals wake us for nothing.

        Raises:
            TimeoutError: none came until it was time to leave.
        """
        while True:
            self._heard.settimeout(_seconds_until(self._leave_at))
            received = self._heard.recv(1)
            if received and received[0] == RELOAD_SIGNAL:
                self._reload()
            if not received or received[0] in STOP_SIGNALS:
                return bool(received)


def _seconds_until(moment: float) -> float | None:
    """Return the seconds to a monotonic moment as a socket takes them: None to wait for ever."""
    return None if moment == inf else max(moment - time.monotonic(), SHORTEST_WAIT)


def _log_without_waiting(message: str) -> None:
    """Log from a thread: what refuses to stop may hold the log's lock, or nobody may read the log."""
    speaker = threading.Thread(target=log.error, args=(message,), name="last-words", daemon=True)
    speaker.start()
    speaker.join(LAST_WORDS_WITHIN)


def _note(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal by doing nothing: that it came is read from the wake-up socket."""
