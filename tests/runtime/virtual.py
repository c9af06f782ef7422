"""A loop whose time is the test's own, for state machines: each of their rules runs it for a while."""

import asyncio
from collections.abc import Coroutine
from selectors import DefaultSelector
from typing import Any, TypeVar

T = TypeVar("T")


class _LeapingSelector(DefaultSelector):
    """Waits for nothing: where nothing is ready, the time is come that was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing would ever wake this loop"
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Knows no time but its own; for what needs neither threads nor sockets."""

    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    def time(self) -> float:
        """Return the second of the test."""
        return self._leaping.now

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns."""
        return self.run_until_complete(work)

    def pass_by(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.run_until_complete(asyncio.sleep(seconds))

    def end(self) -> list[str]:
        """Close, and return the names of the tasks that are left."""
        self.pass_by(0.1)
        left = [task.get_name() for task in asyncio.all_tasks(self)]
        self.close()
        return left
