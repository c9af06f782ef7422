"""Rules on a deploy that is tracked: what is said of it agrees with what the cluster does meanwhile."""

from collections.abc import Iterator
from math import ceil

from sidecar.core.verdict import Gate
from sidecar.lint.case import Case
from sidecar.lint.findings import Remark
from sidecar.lint.times import TO_REPORT, needed_deploy
from sidecar.support.text import show_duration


def deploy_deadline(case: Case) -> Iterator[Remark]:
    """Find a deploy that is said to have timed out while a pod may still prove itself."""
    deploy = case.deploy
    if deploy is None or not case.gating(Gate.STARTUP):
        return
    needed = ceil(needed_deploy(case.config, deploy))
    if deploy.deadline < needed:
        startup = show_duration(case.config.sections.startup.deadline)
        yield Remark(
            case.section_place("deploy"),
            f"the deploy has timed out after {show_duration(deploy.deadline)}, and a pod may take {startup}, "
            f"the startup deadline, and is live {show_duration(deploy.stable_for)} later",
            f"deadline: {show_duration(needed)}",
        )


def deploy_stability(case: Case) -> Iterator[Remark]:
    """Find a deploy that is said to be live before the cluster counts its pod as available."""
    deploy, min_ready = case.deploy, case.workload.min_ready
    if deploy is not None and deploy.stable_for < min_ready:
        yield Remark(
            case.section_place("deploy"),
            f"the deploy is live when a pod has been ready for {show_duration(deploy.stable_for)}, and the "
            f"pod counts as available only after minReadySeconds, {min_ready}s",
            f"stable_for: {show_duration(min_ready)}",
        )


def deploy_outlasts_rollout(case: Case) -> Iterator[Remark]:
    """Say that the cluster reports a rollout as failed before the deploy has timed out."""
    deploy, progress = case.deploy, case.workload.progress_deadline
    if deploy is None or case.workload.kind != "Deployment":
        return
    needed = ceil(deploy.deadline) + TO_REPORT
    if progress < needed:
        yield Remark(
            case.workload.progress_place,
            f"the rollout is reported as failed after {show_duration(progress)}, and the deploy times out "
            f"{show_duration(deploy.deadline)} after its first process began: who rolls back at the one may "
            "never hear of the other",
            f"progressDeadlineSeconds: {needed}",
        )
