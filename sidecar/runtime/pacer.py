"""One run begins at a time, so that no burst of them keeps the event loop from answering probes."""

import asyncio
from collections import deque
from math import inf
from typing import Final

PACE: Final = 0.0004
"""Seconds from the beginning of one run to that of the next, at least.

A thousand checks whose deadlines pass together would else ask again together, for most of a second. A
semaphore would do worse: hanging checks fill it.
"""


class Pacer:
    """Gives turns in the order in which they were asked for, at most one a round of the event loop.

    So a loop that is behind answers what else has come between two turns, however few seconds the `pace` is.
    Nobody who need not wait sets a timer: it would wake a loop that has nothing to do.
    """

    def __init__(self, pace: float = PACE) -> None:
        self._pace = pace
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._rests_until = -inf
        """Second of the loop's clock before which no other turn is given."""
        self._has_given = False
        """Whether a turn was given in this round of the loop."""

    async def turn(self) -> None:
        """Return when it is our turn: at once, unless many ask."""
        loop = asyncio.get_running_loop()
        if self._waiting or self._has_given or loop.time() < self._rests_until:
            if not self._waiting:
                loop.call_at(self._rests_until, self._give_turn)
            waiter = loop.create_future()
            self._waiting.append(waiter)
            await waiter
        else:
            self._rest(loop)

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        self._rests_until = loop.time() + self._pace
        self._has_given = True
        loop.call_soon(self._begin_round)

    def _begin_round(self) -> None:
        self._has_given = False

    def _give_turn(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.cancelled():
                waiter.set_result(None)
                loop = waiter.get_loop()
                self._rest(loop)
                if self._waiting:
                    loop.call_at(self._rests_until, self._give_turn)
                return
