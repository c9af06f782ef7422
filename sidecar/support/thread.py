"""Blocking calls off the event loop, in a thread that holds nobody up."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], *, name: str) -> T:
    """Return what the blocking `call` returns, from a daemon thread of its own.

    asyncio's executor is a small pool that hung calls fill, and whose threads hold up the exit by as long
    as they hang; a daemon thread a call does neither, at about 0.2 ms. A cancelled caller leaves the thread
    to end by itself.
    """
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
    return await future


def _post(
    loop: asyncio.AbstractEventLoop,
    settle: Callable[[Callable[[], None]], None],
    deliver: Callable[[], None],
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle, deliver)
