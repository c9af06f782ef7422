"""What a team should know of its pod: how far an outage reaches, and how long things take. Never a fault."""

from collections.abc import Iterator
from typing import Final

from sidecar.config.check import CheckConfig
from sidecar.config.model import OnDeadline
from sidecar.core.verdict import Gate
from sidecar.lint.case import Case, Style
from sidecar.lint.end import drain_beginner
from sidecar.lint.findings import Remark
from sidecar.lint.invocation import invocation_of
from sidecar.lint.pod import Container, Probe, Role
from sidecar.lint.questions import askers
from sidecar.lint.rollout import removes_first
from sidecar.lint.times import Outage, exit_time
from sidecar.support.text import show_duration

ROLLED_OUT: Final = ("Deployment", "StatefulSet", "DaemonSet")
"""The kinds that replace pods; only the first says that a rollout has failed."""


def outage_reach(case: Case) -> Iterator[Remark]:
    """Say which pods an outage of a dependency takes out of the endpoints."""
    for check, _ in _asked_for(case):
        if case.is_remote(check):
            yield Remark(
                case.place_of(check),
                f"an outage of {check.target}, which {check.name} asks, takes {_all_pods(case)} out of the "
                "endpoints; with gates: startup it takes none, and still holds back a broken release",
                "gates: startup",
            )


def outage_times(case: Case) -> Iterator[Remark]:
    """Say how long it takes from the death of a dependency to out of the endpoints, and back."""
    for check, probe in _asked_for(case):
        outage = Outage.of(check, probe, is_held=check.name in case.holders)
        yield Remark(case.place_of(check), f"{check.name}: {outage}")


def rollout_times(case: Case) -> Iterator[Remark]:
    """Say what becomes of a broken release, and when."""
    if case.gating(Gate.STARTUP) and case.workload.kind in ROLLED_OUT:
        steps = "; ".join((_held_back(case), *_while_held(case), *_given_up(case)))
        yield Remark(case.workload.update.place, f"a broken release: {steps}")


def exit_times(case: Case) -> Iterator[Remark]:
    """Say how long it takes from SIGTERM to the exit."""
    if case.style is Style.INIT:
        return
    beginner = drain_beginner(case)
    is_late = case.style is Style.NATIVE and beginner is None
    took = exit_time(case.config.sections.drain)
    begin = "SIGTERM, which comes after the app has gone" if is_late else _begin_of_drain(case, beginner)
    yield Remark(
        case.pod.grace_place,
        f"{case.sidecar.name} exits {took} after {begin}; the pod is killed after {case.pod.grace}s",
    )


def _begin_of_drain(case: Case, beginner: Container | None) -> str:
    if beginner is None:
        return "SIGTERM"
    return "its preStop" if beginner == case.sidecar else f"the preStop of {beginner.name}"


def _asked_for(case: Case) -> Iterator[tuple[CheckConfig, Probe]]:
    """Yield the checks that take a pod out of the endpoints, with the probe that does it."""
    if case.workload.is_to_complete:
        return
    for check in case.gating(Gate.READINESS):
        probe = next(askers(case, check, Role.READINESS), None)
        if probe is not None:
            yield check, probe


def _all_pods(case: Case) -> str:
    if case.workload.kind == "Pod" or case.workload.replicas == 1:
        return "the pod"
    return f"all {case.workload.replicas} pods" if case.workload.replicas else "every pod"


def _held_back(case: Case) -> str:
    return f"its first pod is never ready, and {_who_serves(case)} serving"


def _who_serves(case: Case) -> str:
    if removes_first(case):
        return "only the old ones that are left go on"
    if case.workload.kind == "Deployment":
        return "the old ones go on"
    return "all old ones but the one that it replaces go on"


def _while_held(case: Case) -> Iterator[str]:
    if case.style is Style.INIT:
        yield f"{case.sidecar.name} {_end_of_waiter(case)}, and is started again"
        return
    startup, own = case.config.sections.startup, case.sidecar.probes.get(Role.STARTUP)
    if startup.fail_fast is not None:
        yield f"the process exits with 3 after {show_duration(startup.fail_fast)} of one permanent reason"
    what = "exits with 3" if startup.on_deadline is OnDeadline.EXIT else "says which checks are missing"
    yield f"the sidecar {what} after {show_duration(startup.deadline)}"
    if own is not None:
        yield f"the kubelet restarts it after {show_duration(own.budget)}"


def _end_of_waiter(case: Case) -> str:
    """Return how `sidecar check` ends in vain; a --wait without a time means the startup deadline."""
    invocation = invocation_of(case.sidecar)
    written = [each for each in invocation.values_of("--wait") if not each.startswith("-")]
    if not written and "--wait" not in invocation.arguments:
        return "exits with 1 after one run"
    longest = written[-1] if written else show_duration(case.config.sections.startup.deadline)
    return f"exits with 124 after {longest}"


def _given_up(case: Case) -> Iterator[str]:
    if case.workload.kind == ROLLED_OUT[0]:
        yield f"the rollout is reported as failed after {show_duration(case.workload.progress_deadline)}"
