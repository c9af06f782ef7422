"""One run begins at a time, so that no burst of them keeps the event loop from answering probes."""

import asyncio
from collections import deque
from typing import Final

PACE: Final = 0.0004
"""Seconds from the beginning of one run to that of the next, at least.

A thousand checks whose deadlines pass together would else ask again together, for most of a second. A
semaphore would do worse: hanging checks fill it.
"""


class Pacer:
    """Gives turns in the order in which they were asked for.

    The next turn is given by a timer that is set when one is taken: a loop that is behind gives one turn a
    round, and answers what else has come meanwhile. With a `pace` of 0 it gives one a round in any case.
    """

    def __init__(self, pace: float = PACE) -> None:
        self._pace = pace
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_resting = False

    async def turn(self) -> None:
        """Return when it is our turn: at once, unless many ask."""
        if self._is_resting:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        else:
            self._rest()

    def _rest(self) -> None:
        self._is_resting = True
        asyncio.get_running_loop().call_later(self._pace, self._give_turn)

    def _give_turn(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.cancelled():
                waiter.set_result(None)
                self._rest()
                return
        self._is_resting = False
