"""The termination message: why we are not ready, where `kubectl describe pod` shows it.

The kubelet reads the file when our container has ended, whoever ended it: so it always holds the checks that
hold a probe back now.
"""

import logging
import os
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import inf
from pathlib import Path
from threading import Lock
from typing import Final, Never

from sidecar.core.verdict import Line, failing
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.news import News
from sidecar.support.thread import in_thread

SIZE_LIMIT: Final = 4096
"""Bytes that the kubelet reads."""
SAME_SUBJECT_WITHIN: Final = 10.0
"""Seconds from one message to the next where the same checks fail for the same reasons, in other words."""
LAST_WORDS_WITHIN: Final = 0.5
"""Seconds that the file gets at the end."""

log = logging.getLogger("sidecar.termination")


def compose(lines: Sequence[str], *, limit: int = SIZE_LIMIT) -> bytes:
    """Return as many whole lines as fit into `limit` bytes, and how many did not."""
    encoded = [f"{line}\n".encode("utf-8", "replace") for line in lines]
    sizes = list(accumulate(map(len, encoded)))
    if not sizes or sizes[-1] <= limit:
        return b"".join(encoded)
    room = limit - len(_remainder(len(lines)))
    fitting = sum(size <= room for size in sizes)
    return b"".join(encoded[:fitting]) + _remainder(len(lines) - fitting)


def write_message(path: Path, message: bytes) -> None:
    """Have an existing file hold `message`; blocks. It is mounted, so that nothing can be renamed onto it.

    What is new is written before the rest of what was old is cut off: an end meanwhile leaves a reason.

    Raises:
        OSError: there is no such file, or it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(descriptor, message)
        os.ftruncate(descriptor, len(message))
    finally:
        os.close(descriptor)


class Termination:
    """Keeps the termination message up to date. `redact` blots secrets out of it."""

    def __init__(
        self,
        path: Path,
        board: Board,
        *,
        redact: Callable[[str], str],
        clock: Clock,
        write: Callable[[Path, bytes], None] = write_message,
    ) -> None:
        self._path = path
        self._board = board
        self._redact = redact
        self._clock = clock
        self._write = write
        self._one_at_a_time = Lock()
        self._complaint = ""

    async def keep_forever(self) -> Never:
        """Rewrite the message when other checks fail or for other reasons, and within 10s in other words.

        One that could not be written is tried again as often.
        """
        news = News(self._board)
        subject: object = None
        told: Sequence[str] | None = None
        told_at = 0.0
        while True:
            now = self._clock.monotonic()
            lines, expires_at = failing(self._board.standings(), self._board.latch, now)
            text, about = [_show(line) for line in lines], [(line.name, line.reason) for line in lines]
            if about != subject or (text != told and now >= told_at + SAME_SUBJECT_WITHIN):
                subject, told_at = about, now
                told = text if await self._say(text) else None
            in_other_words = inf if text == told else told_at + SAME_SUBJECT_WITHIN
            await news.within(min(expires_at, in_other_words) - now)

    async def end_with(self, sentence: str) -> None:
        """Write the message for the last time, with what we ourselves have to say before the checks."""
        lines, _ = failing(self._board.standings(), self._board.latch, self._clock.monotonic())
        await self._say([sentence, *map(_show, lines)])

    async def _say(self, lines: Sequence[str]) -> bool:
        """Write the message; return whether it stands there, or never can."""
        message = compose([self._redact(line) for line in lines])

        def write() -> None:
            with self._one_at_a_time:
                self._write(self._path, message)

        try:
            await in_thread(write, name="termination")
        except FileNotFoundError:
            pass  # no container, or one whose runtime has no such file
        except OSError as error:
            self._complain_once(error.strerror or str(error))
            return False
        return True

    def _complain_once(self, detail: str) -> None:
        if detail != self._complaint:
            self._complaint = detail
            log.warning(
                "termination message cannot be written",
                extra={"file": str(self._path), "detail": detail.lower()},
            )


def _show(line: Line) -> str:
    story = ": ".join(part for part in (line.text, line.reason, line.message) if part)
    return f"[{line.mark}]{line.name} {story}"


def _remainder(count: int) -> bytes:
    return f"and {count} more\n".encode()
