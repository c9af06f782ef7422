"""What the command line asks of the checks: each once, or how each of their rules stands."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from types import FrameType
from typing import Any, TypeVar

from sidecar.app.ending import end
from sidecar.app.needs import find_type
from sidecar.config.check import CheckConfig, CheckTypes
from sidecar.core.explain import Explains, Samples
from sidecar.core.result import Result
from sidecar.core.sample import Sample
from sidecar.runtime.explanation import Explanation, explain
from sidecar.runtime.lifecycle import STOP_SIGNALS
from sidecar.runtime.sweep import Report, sweep
from sidecar.support.loop import SidecarLoop

T = TypeVar("T")


def check_once(
    checks: Sequence[CheckConfig],
    types: CheckTypes,
    redact: Callable[[str], str],
    *,
    wait: float | None,
    report: Report | None = None,
) -> dict[str, Result]:
    """Run `checks` once each, or with `wait` until all have succeeded or so many seconds have passed.

    Raises:
        SystemExit: SIGINT or SIGTERM ended it.
    """
    return _run(
        sweep(checks, find=partial(find_type, types), redact=redact, wait=wait, report=report or _say_nothing)
    )


def can_explain(check: CheckConfig, types: CheckTypes) -> bool:
    """Whether a check can say how each of its rules stands."""
    return isinstance(find_type(types, check).build(check), Explains)


def can_sample(check: CheckConfig, types: CheckTypes) -> bool:
    """Whether a check can look at copies of real messages."""
    return isinstance(find_type(types, check).build(check), Samples)


def explain_once(
    checks: Sequence[CheckConfig],
    types: CheckTypes,
    redact: Callable[[str], str],
    *,
    sample: Sample | None = None,
) -> list[Explanation]:
    """Return how each rule of `checks`, which can explain, stands; with `sample` look at messages too.

    Raises:
        SystemExit: SIGINT or SIGTERM ended it; what it had made at a broker is gone.
    """
    return _run(explain(checks, find=partial(find_type, types), redact=redact, sample=sample))


def _run(asking: Coroutine[Any, Any, T]) -> T:
    """Return what `asking` returns; a stop signal has it clean up, and the next ends the process at once.

    Raises:
        SystemExit: with 128 and the number of the signal, as a shell has it.
    """
    loop = SidecarLoop()
    asyncio.set_event_loop(loop)
    task = loop.create_task(asking)
    heard: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        heard.append(number)
        loop.call_soon_threadsafe(task.cancel)

    before = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        return loop.run_until_complete(task)
    except asyncio.CancelledError:
        end(128 + heard[0])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say_nothing(_config: CheckConfig, _result: Result) -> None: ...
