"""Drivers, imported off the event loop: that takes from 50 ms to seconds under a CPU limit."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from sidecar.support.driver import Driver
from sidecar.support.thread import in_thread


class Imports:
    """Imports each driver once, for all the checks that use it. Whoever made it closes it."""

    def __init__(self) -> None:
        self._tasks: dict[Driver, asyncio.Task[None]] = {}

    async def load(self, drivers: Iterable[Driver]) -> None:
        """Import what was not yet imported.

        One that cannot be imported raises nothing here: the runs of its checks fail, and say so.
        """
        for driver in drivers:
            if driver not in self._tasks:
                self._tasks[driver] = asyncio.create_task(_load(driver), name=f"import:{driver}")
            await asyncio.shield(self._tasks[driver])

    async def aclose(self) -> None:
        """Wait for no import any more; what is under way ends by itself, in its thread."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


async def _load(driver: Driver) -> None:
    with suppress(Exception):
        await in_thread(driver.load, name=f"import:{driver}")
