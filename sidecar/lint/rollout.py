"""Rules on rollouts: a broken release takes nothing from the old one, and has the time to prove itself."""

from collections.abc import Iterator
from math import ceil

from sidecar.core.verdict import Gate
from sidecar.lint.case import Case
from sidecar.lint.findings import Remark
from sidecar.lint.pod import Update
from sidecar.lint.times import needed_progress
from sidecar.support.text import show_duration


def rollout_takes_pods(case: Case) -> Iterator[Remark]:
    """Find an update that removes old pods before a new one has passed the start gate."""
    gating = ", ".join(check.name for check in case.gating(Gate.STARTUP))
    fault = removes_first(case)
    if gating and fault:
        yield Remark(
            case.workload.update.place,
            f"{fault}, and only then does the new pod prove {gating}: a broken release takes traffic away",
            _update_that_adds_first(case),
        )


def progress_deadline(case: Case) -> Iterator[Remark]:
    """Find a rollout that is given up while a pod may still prove itself."""
    needed = ceil(needed_progress(case.config))
    is_gated = case.gating(Gate.STARTUP) or case.gating(Gate.READINESS)
    if case.workload.kind == "Deployment" and is_gated and case.workload.progress_deadline < needed:
        yield Remark(
            case.workload.progress_place,
            f"the rollout is reported as failed after {case.workload.progress_deadline}s, and the startup "
            f"deadline is {show_duration(case.config.sections.startup.deadline)}",
            f"progressDeadlineSeconds: {needed}",
        )


def removes_first(case: Case) -> str:
    """Return how an update removes pods before it adds one; empty if it does not, or cannot do otherwise."""
    kind, update = case.workload.kind, case.workload.update
    if case.workload.replicas == 0:
        return ""
    if kind == "Deployment" and update.kind == "Recreate":
        return "Recreate stops every old pod first"
    if kind == "Deployment" and _is_above(update, 0, default="25%"):
        return f"maxUnavailable {update.max_unavailable or '(left out: 25%)'} lets old pods be stopped first"
    if kind == "DaemonSet" and update.kind == "RollingUpdate" and case.pod.host_network is None:
        is_above = _is_above(update, 0, default="1")
        written = update.max_unavailable or "(left out: 1)"
        return f"maxUnavailable {written} lets old pods be stopped first" if is_above else ""
    if kind == "StatefulSet" and _is_above(update, 1, default="1"):
        return f"maxUnavailable {update.max_unavailable} lets several old pods be stopped at once"
    return ""


def _is_above(update: Update, limit: int, *, default: str) -> bool:
    number = (update.max_unavailable or default).removesuffix("%")
    return number.isdecimal() and int(number) > limit


def _update_that_adds_first(case: Case) -> str:
    if case.workload.kind == "StatefulSet":
        return "updateStrategy: {rollingUpdate: {maxUnavailable: 1}}"
    key = "strategy" if case.workload.kind == "Deployment" else "updateStrategy"
    return f"{key}: {{type: RollingUpdate, rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}}}"
