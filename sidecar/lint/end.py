"""Rules on the end of a pod: what a drain needs fits into the time that the kubelet gives."""

from collections.abc import Iterator
from math import ceil

from sidecar.lint.case import Case, Style
from sidecar.lint.findings import Remark
from sidecar.lint.times import drain_time, needed_grace
from sidecar.support.text import show_duration


def grace_period(case: Case) -> Iterator[Remark]:
    """Find a grace period in which a drain is killed."""
    drain = case.config.sections.drain
    needed = ceil(needed_grace(drain))
    if case.style is not Style.INIT and case.pod.grace < needed:
        yield Remark(
            case.pod.grace_place,
            f"the pod is killed {case.pod.grace}s after its end began, and a drain takes "
            f"{show_duration(drain_time(drain).most)}",
            f"terminationGracePeriodSeconds: {needed}",
        )


def late_drain(case: Case) -> Iterator[Remark]:
    """Find a native sidecar whose drain begins only when the app has gone, and then waits for nobody."""
    drain = case.config.sections.drain
    if case.style is Style.NATIVE and case.sidecar.pre_stop is None and drain.delay > 0:
        yield Remark(
            case.sidecar.place,
            f"{case.sidecar.name} gets SIGTERM after the app has gone, and serves on for "
            f"{show_duration(drain.delay)} for nobody",
            "drain: {delay: 0s}",
        )
