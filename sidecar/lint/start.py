"""Rules on the start of a pod: it does not wait for itself, and it is given the time that it may take."""

from collections.abc import Iterator
from math import ceil

from sidecar.config.check import CheckConfig
from sidecar.core.verdict import Gate
from sidecar.core.verdict import Probe as Asked
from sidecar.lint.case import Case
from sidecar.lint.findings import Remark
from sidecar.lint.invocation import SERVE, invocation_of
from sidecar.lint.mesh import MESHES
from sidecar.lint.pod import Container, Probe, Role
from sidecar.lint.questions import question_of
from sidecar.lint.times import needed_budget
from sidecar.lint.waiting import Wait, is_inside_pod, port_of, waits
from sidecar.support.text import show_duration


def start_deadlock(case: Case) -> Iterator[Remark]:
    """Find a start that waits for the app, which waits for that start."""
    for wait in waits(case):
        for check in wait.checks:
            if is_inside_pod(check) and not _is_served_before(case, wait, check):
                yield Remark(
                    case.place_of(check),
                    f"{wait.container.name} waits for the check {check.name} before the app is started, and "
                    f"{check.target} is inside the pod: neither ever starts",
                    _way_out(case, wait, check),
                )


def start_before_mesh(case: Case) -> Iterator[Remark]:
    """Find a start that waits for dependencies before a mesh has opened the network."""
    for wait in waits(case):
        for mesh in MESHES:
            names = [check.name for check in wait.checks if mesh.carries(case.pod, check)]
            write = mesh.opens_behind(case, wait)
            if names and write:
                yield Remark(
                    wait.container.place,
                    f"{wait.container.name} waits for {', '.join(names)}, and what it sends goes to "
                    f"{mesh.name}'s proxy, which is started only after it",
                    write,
                )


def start_waits_for_app(case: Case) -> Iterator[Remark]:
    """Find a start that waits for what the app, or a migration behind us, may have to create."""
    for wait in waits(case):
        for check in wait.checks:
            names = ", ".join(_created(check))
            if names:
                yield Remark(
                    case.place_of(check),
                    f"{wait.container.name} waits for {names} before the app is started: if the app, or an "
                    "init container behind it, creates one of them, neither ever starts",
                    _gates_without_startup(check),
                )


def init_never_ends(case: Case) -> Iterator[Remark]:
    """Find a sidecar that serves in an init container, which the kubelet waits for."""
    for container in (case.sidecar, *case.crew.twins):
        if container.is_init and not container.restarts_always and _serves(container):
            yield Remark(
                container.place,
                f"{container.name} is an init container that serves: it never ends, and the app never starts",
                "restartPolicy: Always",
            )


def job_never_completes(case: Case) -> Iterator[Remark]:
    """Find a plain container that serves in a pod that is to complete."""
    for container in (case.sidecar, *case.crew.twins):
        if case.workload.is_to_complete and not container.is_init and _serves(container):
            yield Remark(
                container.place,
                f"{container.name} is a plain container of {case.workload}: it goes on serving when the work "
                "is done, and the pod never completes",
                f"restartPolicy: Always, and {container.name} among the initContainers",
            )


def startup_budget(case: Case) -> Iterator[Remark]:
    """Find a startupProbe that gives up before our own deadline has said why."""
    needed = needed_budget(case.config)
    for container, probe in case.probes(Role.STARTUP):
        if _waits_for_deadline(case, container, probe) and probe.budget < needed:
            yield Remark(
                probe.place,
                f"{container.name}: startupProbe gives up after {probe.budget}s, and the startup deadline is "
                f"{show_duration(case.config.sections.startup.deadline)}: the kubelet restarts it too early",
                f"failureThreshold: {ceil((needed - probe.initial_delay) / probe.period)}",
            )


def _is_served_before(case: Case, wait: Wait, check: CheckConfig) -> bool:
    """Whether a native sidecar that is started before answers a check."""
    earlier = [each for each in case.pod.containers if wait.is_behind(case, each)]
    number = port_of(check)
    return any(number is None or number in [port.number for port in each.ports] for each in earlier)


def _way_out(case: Case, wait: Wait, check: CheckConfig) -> str:
    if Gate.STARTUP in check.gates:
        return _gates_without_startup(check)
    return "--gate startup" if wait.container in case.crew.waiters else "path: /startupz"


def _gates_without_startup(check: CheckConfig) -> str:
    gates = sorted(check.gates - {Gate.STARTUP} | {Gate.READINESS})
    return f"gates: {gates[0]}" if len(gates) == 1 else f"gates: [{', '.join(gates)}]"


def _created(check: CheckConfig) -> Iterator[str]:
    """Yield what a check wants to exist; a broker itself has the exchanges that begin with `amq.`."""
    for sort, key in (("queue", "queues"), ("exchange", "exchanges")):
        names = [getattr(each, "name", each) for each in getattr(check, key, ())]
        names += [getattr(each, sort) for each in getattr(check, "bindings", ())]
        yield from (f"the {sort} {name}" for name in dict.fromkeys(names) if not name.startswith("amq."))
    if migrations := getattr(check, "migrations", None):
        yield f"the migrations in {migrations.table}"
    yield from (f"the unique index of {unique.table}" for unique in getattr(check, "unique", ()))


def _serves(container: Container) -> bool:
    return invocation_of(container).verb == SERVE


def _waits_for_deadline(case: Case, container: Container, probe: Probe) -> bool:
    """Whether a probe waits for all that the startup deadline is for."""
    question = question_of(case, container, probe.handler)
    if question is None or question.check:
        return False
    return question.root in (Asked.STARTUPZ, Asked.READYZ) and bool(case.gating(Gate.STARTUP))
