"""Rules on the end of a pod: what a drain needs fits into the time that the kubelet gives."""

import re
from collections.abc import Iterator
from math import ceil
from typing import Final

from sidecar.lint.case import Case, Style
from sidecar.lint.findings import Remark
from sidecar.lint.invocation import DRAIN, PROGRAM, invocation_in
from sidecar.lint.pod import Container, Handler, Means
from sidecar.lint.questions import DRAINED, USUAL, asked_at, is_for_port, is_missed
from sidecar.lint.times import drain_time, needed_grace
from sidecar.runtime.drain import BEGINS_WITHIN
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
    delay, hook = case.config.sections.drain.delay, case.sidecar.pre_stop
    if case.style is not Style.NATIVE or delay == 0 or drain_beginner(case) is not None:
        return
    late = (
        f"{case.sidecar.name} gets SIGTERM after the app has gone, and serves on for {show_duration(delay)} "
        "for nobody"
    )
    if hook is None:
        yield Remark(case.sidecar.place, late, "drain: {delay: 0s}")
    else:
        yield Remark(hook.place, f"{late}: its preStop {_fault_of(case, hook)}", _beginning(case))


def unbegun_drain(case: Case) -> Iterator[Remark]:
    """Find an app that waits for a drain which begins only when it has gone."""
    if case.style is not Style.NATIVE or drain_beginner(case) is not None:
        return
    for container in case.apps:
        hook = container.pre_stop
        if hook is not None and hook.path == DRAINED and is_for_port(case, container, hook):
            yield Remark(
                hook.place,
                f"{container.name}: preStop waits for a drain, which nobody begins before the app has "
                f"gone: it is answered after {show_duration(BEGINS_WITHIN)}",
                f"{case.sidecar.name}: lifecycle: {{preStop: {{{_beginning(case)}}}}}",
            )


def drain_beginner(case: Case) -> Container | None:
    """Return the container whose preStop begins a drain; a command of the sidecar that we do not know may."""
    return next((each for each in case.pod.containers if _begins_drain(case, each)), None)


def _begins_drain(case: Case, container: Container) -> bool:
    hook = container.pre_stop
    if hook is None:
        return False
    is_ours = container == case.sidecar or invocation_in(hook.command) is not None
    return is_ours and not _fault_of(case, hook)


def _fault_of(case: Case, hook: Handler) -> str:
    """Return why a preStop begins no drain; empty if it does, or if we cannot know."""
    invocation = invocation_in(hook.command)
    if hook.means is not Means.EXEC:
        return f"is {hook.means}, which begins no drain"
    if invocation is None:
        return "only sleeps" if _SLEEP.fullmatch(" ".join(hook.command)) else ""
    if invocation.verb != DRAIN:
        return f"runs {PROGRAM} {invocation.verb}, which begins no drain"
    asked = asked_at(case, invocation, USUAL.admin_port)
    is_wrong = is_missed(asked, case.admin_address)
    return f"asks {asked}, and the admin listener is at {case.admin_address}" if is_wrong else ""


def _beginning(case: Case) -> str:
    """Return the line that begins a drain."""
    server = case.config.sections.server
    words = [PROGRAM, DRAIN]
    if server.admin_socket is not None:
        words += ["--socket", server.admin_socket]
    elif server.admin_port != USUAL.admin_port:
        words += ["--port", f'"{server.admin_port}"']
    return f"exec: {{command: [{', '.join(words)}]}}"


_SLEEP: Final = re.compile(r"(?:\S*sh -c )?(?:\S*/)?sleep \S+")
