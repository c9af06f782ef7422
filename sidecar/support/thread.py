"""Blocking calls off the event loop, in a thread that holds nobody up."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], *, name: str) -> T:
    """Return what the blocking `call` returns, from a daemon thread of its own.

    asyncio's executor is a small pool that hung calls fill, and whose threads hold up the exit by as long
    as they hang; a daemon thread a call does neither, at about 0.2 ms. A cancelled caller leaves the thread
    to end by itself.
    """
    return await _begin(call, name)


class OneThread:
    """Runs blocking calls in a thread, one after the other: what hangs holds up the next, and adds no thread.

    For a check's calls, of which a hung file system would otherwise collect one a run.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._under_way: asyncio.Future[Any] | None = None

    async def __call__(self, call: Callable[[], T]) -> T:
        """Return what the blocking `call` returns. A cancelled caller leaves it to end by itself."""
        while self._under_way is not None:
            await asyncio.wait({self._under_way})
        under_way = self._under_way = _begin(call, self._name)
        under_way.add_done_callback(self._ended)
        return await asyncio.shield(under_way)

    def _ended(self, call: asyncio.Future[Any]) -> None:
        self._under_way = None
        if not call.cancelled():
            call.exception()  # looked at, for the caller may be gone


def _begin(call: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Return the future of what `call` returns in a thread."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(deliver: Callable[[], None]) -> None:
        if not future.cancelled():
            deliver()

    def work() -> None:
        try:
            value = call()
        except Exception as error:  # noqa: BLE001 - carried over to the caller
            failure = error
            _post(loop, settle, lambda: future.set_exception(failure))
        else:
            _post(loop, settle, lambda: future.set_result(value))

    threading.Thread(target=work, name=name, daemon=True).start()
    return future


def _post(
    loop: asyncio.AbstractEventLoop,
    settle: Callable[[Callable[[], None]], None],
    deliver: Callable[[], None],
) -> None:
    with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
        loop.call_soon_threadsafe(settle, deliver)
