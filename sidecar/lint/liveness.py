"""Rules on liveness: the app is restarted when that cures it, and for nothing else."""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Final

from sidecar.core.verdict import Gate
from sidecar.core.verdict import Probe as Asked
from sidecar.lint.case import Case, Style
from sidecar.lint.findings import Remark
from sidecar.lint.pod import Container, Means, Probe, Role
from sidecar.lint.questions import (
    HEALTHZ,
    RIGHT_QUESTIONS,
    Question,
    asking,
    is_for_port,
    probing,
    question_of,
    right_path,
    root_of,
)
from sidecar.lint.times import Replacement


def livez_on_sidecar(case: Case) -> Iterator[Remark]:
    """Find `/livez` on the sidecar's own container."""
    for probe in case.sidecar.probes.values():
        question = question_of(case, case.sidecar, probe.handler)
        if question is not None and question.root == Asked.LIVEZ:
            yield Remark(
                probe.handler.place,
                f"{case.sidecar.name}: {probe.role} asks {question}, which says whether the app lives; "
                "this container is the sidecar",
                f"path: {RIGHT_QUESTIONS[probe.role]}",
            )


def liveness_question(case: Case) -> Iterator[Remark]:
    """Find a livenessProbe that asks for readiness or a start, or on an app for the sidecar's own health."""
    for container, probe in case.probes(Role.LIVENESS):
        question = question_of(case, container, probe.handler)
        right = right_path(case, container, Role.LIVENESS)
        if question is not None and question.root != Asked.LIVEZ and str(question) != right:
            yield Remark(
                probe.handler.place,
                f"{container.name}: livenessProbe asks {question}, so that {_killer(question)} restarts it",
                f"path: {right}",
            )


def liveness_fuse(case: Case) -> Iterator[Remark]:
    """Find an app that is restarted because of a sick sidecar before the sidecar itself is."""
    for container, probe in case.probes(Role.LIVENESS):
        if container in case.apps and root_of(case, container, probe) == Asked.LIVEZ:
            yield from _too_short(case, container, probe)


def liveness_without_startup(case: Case) -> Iterator[Remark]:
    """Find an app that may be killed while it boots."""
    for container in case.apps:
        probe = container.probes.get(Role.LIVENESS)
        if probe is not None and Role.STARTUP not in container.probes:
            yield Remark(
                probe.place,
                f"{container.name} has a livenessProbe and no startupProbe: a boot, the first or a later "
                f"one, that takes longer than {probe.budget}s is killed, and so is the next",
                probing(Role.STARTUP, _boot_question(case, container, probe), period=2, failures=30),
            )


def dependency_gates_liveness(case: Case) -> Iterator[Remark]:
    """Find a check of a dependency that gates liveness."""
    for check in case.gating(Gate.LIVENESS):
        if case.is_remote(check):
            yield Remark(
                case.place_of(check),
                f"the check {check.name} gates liveness: an outage of {check.target} restarts the app",
                "gates: startup",
            )


def _killer(question: Question) -> str:
    return f"every failure of {question.check}" if question.check else _KILLED_BY[question.root]


def _too_short(case: Case, container: Container, probe: Probe) -> Iterator[Remark]:
    own = case.sidecar.probes.get(Role.LIVENESS)
    if own is None and case.style is not Style.INIT:
        yield Remark(case.sidecar.place, _unwatched(case, container), _own_liveness(case))
    if own is None:
        return
    replacement = Replacement.of(own, case.pod)
    if probe.fuse < replacement.seconds:
        yield Remark(
            probe.place,
            f"{container.name}: livenessProbe may fail for {probe.fuse}s, {probe.failure_threshold} times "
            f"{probe.period}s, and replacing a sick sidecar takes {replacement.seconds}s: {replacement}",
            f"failureThreshold: {ceil(replacement.seconds / probe.period)}",
        )


def _unwatched(case: Case, container: Container) -> str:
    return (
        f"{case.sidecar.name} has no livenessProbe: nobody restarts a sidecar that hangs, and "
        f"{container.name}, whose livenessProbe it answers, is restarted for ever in its place"
    )


def _own_liveness(case: Case) -> str:
    question, grace = asking(case, f"/{HEALTHZ}"), ", terminationGracePeriodSeconds: 5"
    return probing(Role.LIVENESS, question, period=5, failures=3, more=grace)


def _boot_question(case: Case, container: Container, probe: Probe) -> str:
    """Return how to ask whether an app has booted: as its livenessProbe asks, unless that one asks us."""
    own = probe.handler
    if own.means is not Means.HTTP or is_for_port(case, container, own):
        return asking(case, right_path(case, container, Role.STARTUP))
    return f"httpGet: {{path: {own.path}, port: {own.port}}}"


_KILLED_BY: Final[Mapping[str, str]] = {
    Asked.READYZ: "every outage of what gates readiness",
    Asked.STARTUPZ: "a start that takes long",
    HEALTHZ: "a sick sidecar",
}
