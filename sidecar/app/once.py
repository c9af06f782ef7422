"""What the command line asks of the checks: each once, or how each of their rules stands."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from functools import partial

from sidecar.app.needs import find_type
from sidecar.config.check import CheckConfig, CheckTypes
from sidecar.core.explain import Explains, Samples
from sidecar.core.result import Result
from sidecar.core.sample import Sample
from sidecar.runtime.explanation import Explanation, explain
from sidecar.runtime.sweep import Report, sweep
from sidecar.support.loop import SidecarLoop


def check_once(
    checks: Sequence[CheckConfig],
    types: CheckTypes,
    redact: Callable[[str], str],
    *,
    wait: float | None,
    report: Report | None = None,
) -> dict[str, Result]:
    """Run `checks` once each, or with `wait` until all have succeeded or so many seconds have passed."""
    loop = SidecarLoop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(
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
        KeyboardInterrupt: SIGINT or SIGTERM ended it; what it had made at a broker is gone.
    """
    loop = SidecarLoop()
    asyncio.set_event_loop(loop)
    asking = loop.create_task(explain(checks, find=partial(find_type, types), redact=redact, sample=sample))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asking.cancel)
    try:
        return loop.run_until_complete(asking)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _say_nothing(_config: CheckConfig, _result: Result) -> None: ...
