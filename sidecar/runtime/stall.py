"""Who holds the event loop up: how long each step of a coroutine takes, from one wait to the next."""

import time
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, Final, TypeVar

STALL: Final = 1.0
"""Seconds that a step may take: a kubelet waits no longer for a probe's answer unless it is told to."""

T = TypeVar("T")


@coroutine
def timed(
    work: Coroutine[Any, Any, T],
    tell: Callable[[float], None],
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> Generator[Any, None, T]:
    """Await `work`; tell the seconds of each step that was too long, as soon as it ends."""
    resume: Callable[[], Any] = partial(work.send, None)
    while True:
        began = monotonic()
        try:
            waits_for = resume()
        except StopIteration as end:
            answer: T = end.value
            return answer
        finally:
            took = monotonic() - began
            if took >= STALL:
                tell(took)
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001 - handed on to the work, whose it is
            resume = partial(work.throw, error)
        else:
            resume = partial(work.send, None)
