"""Wakes a loop of ours when the board has changed, or when it is time."""

import asyncio
from contextlib import suppress
from math import inf
from typing import Final

from sidecar.runtime.board import Board

SPACING: Final = 0.1
"""Seconds from one look to the next at least: a thousand results that come in together are one."""


class News:
    """What one loop waits for between two looks at the board. Nobody else may wait for the same news."""

    def __init__(self, board: Board) -> None:
        self._changed = asyncio.Event()
        board.watch(self._changed.set)

    async def within(self, seconds: float) -> None:
        """Return when the board has changed since the last look, or after so many seconds."""
        await asyncio.sleep(SPACING)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == inf else seconds - SPACING):
                await self._changed.wait()
        self._changed.clear()
