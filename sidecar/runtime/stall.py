"""Who holds the event loop up: how long each step of a coroutine takes, from one wait to the next."""

import time
from collections.abc import Callable, Coroutine, Generator
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
    thrown: BaseException | None = None
    while True:
        began = monotonic()
        try:
            waits_for = work.send(None) if thrown is None else work.throw(thrown)
        except StopIteration as end:
            answer: T = end.value
            return answer
        finally:
            thrown = None  # its traceback holds this frame: a cycle would keep all that the work had
            took = monotonic() - began
            if took >= STALL:
                tell(took)
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001 - handed on to the work, whose it is
            thrown = error
        del waits_for  # its error's traceback holds this frame: a cycle again
