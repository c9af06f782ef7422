"""Rules on the start of a pod: it does not wait for itself, and it is given the time that it may take."""

from collections.abc import Iterator
from math import ceil

from sidecar.checks.file import FileConfig
from sidecar.config.check import CheckConfig
from sidecar.core.verdict import Gate
from sidecar.core.verdict import Probe as Asked
from sidecar.lint.case import Case
from sidecar.lint.findings import Remark
from sidecar.lint.invocation import SERVE, invocation_of
from sidecar.lint.mesh import MESHES
from sidecar.lint.pod import Container, Probe, Role
from sidecar.lint.questions import Question, question_of, right_path
from sidecar.lint.times import needed_budget
from sidecar.lint.waiting import Wait, addresses_inside, waits
from sidecar.support.text import show_duration


def start_deadlock(case: Case) -> Iterator[Remark]:
    """Find a start that waits for the app, which waits for that start."""
    for wait in waits(case):
        for check in wait.checks:
            missing = next(_missing(case, wait, check), None)
            if missing is not None:
                yield Remark(
                    case.place_of(check),
                    f"{wait.container.name} waits for the check {check.name} before the app is started, and "
                    f"{missing}: neither ever starts",
                    _way_out(case, wait, check),
                )


def start_before_mesh(case: Case) -> Iterator[Remark]:
    """Find a start that waits for dependencies before a mesh has opened the network."""
    for wait in waits(case):
        for mesh in MESHES:
            names = [check.name for check in wait.checks if mesh.carries(case, check)]
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


def init_proves_nothing(case: Case) -> Iterator[Remark]:
    """Find an init container that is to check what no check gates."""
    names = {check.name for check in case.config.checks}
    for wait in waits(case):
        invocation = invocation_of(wait.container)
        gate, only = invocation.value_of("--gate", ""), invocation.values_of("--only")
        if wait.container in case.crew.waiters and gate and not wait.checks and names.issuperset(only):
            yield Remark(
                wait.container.place,
                f"{wait.container.name} runs the checks that gate {gate}, and "
                f"{'none of ' + ', '.join(only) if only else 'no check'} does: it proves nothing",
                f"gates: {gate}",
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
    for container, probe in case.probes(Role.STARTUP):
        question = question_of(case, container, probe.handler)
        if question is None or not _waits_for_deadline(case, question):
            continue
        if container in case.apps and right_path(case, container, Role.STARTUP) != str(question):
            yield from _too_much(case, container, probe, question)
        else:
            yield from _too_early(case, container, probe)


def _missing(case: Case, wait: Wait, check: CheckConfig) -> Iterator[str]:
    """Yield what of a check only a container behind `wait` can bring."""
    if isinstance(check, FileConfig):
        yield from _unwritten(case, wait, check.path)
    for address, port in addresses_inside(case, check):
        if not _is_served_before(case, wait, port):
            yield f"{address} is inside the pod"


def _unwritten(case: Case, wait: Wait, path: str) -> Iterator[str]:
    """Yield who may write a file of an emptyDir, if nobody has been able to before."""
    mount = wait.container.mount_of(path)
    if mount is None or case.pod.source_of(mount) != "emptyDir":
        return
    writers = [each for each in case.pod.containers if each.can_write_to(mount.volume)]
    started = case.pod.containers.index(wait.container)
    if not any(writer in case.pod.containers[:started] for writer in writers):
        later = (each.name for each in case.pod.containers[started + 1 :] if each in writers)
        yield from (f"{path} is on the emptyDir {mount.volume}, which {name} fills" for name in later)


def _is_served_before(case: Case, wait: Wait, number: int | None) -> bool:
    """Whether a native sidecar that is started before answers on a port, or may where it is not known."""
    earlier = [each for each in case.pod.containers if wait.is_behind(case, each)]
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


def _too_early(case: Case, container: Container, probe: Probe) -> Iterator[Remark]:
    """Yield that a startupProbe, which waits for what the startup deadline is for, gives up before it."""
    needed = needed_budget(case.config)
    if probe.budget < needed:
        yield Remark(
            probe.place,
            f"{container.name}: startupProbe gives up after {probe.budget}s, and the startup deadline is "
            f"{show_duration(case.config.sections.startup.deadline)}: the kubelet restarts it too early",
            f"failureThreshold: {ceil((needed - probe.initial_delay) / probe.period)}",
        )


def _too_much(case: Case, container: Container, probe: Probe, question: Question) -> Iterator[Remark]:
    """Yield that an app's startupProbe, whose budget is for the app's boot, waits for more than that."""
    others = ", ".join(check.name for check in _others(case, question))
    if others and probe.budget < needed_budget(case.config):
        yield Remark(
            probe.handler.place,
            f"{container.name}: startupProbe asks {question}, which waits for {others} as well, and gives up "
            f"after {probe.budget}s: the kubelet restarts the app for what is not its own",
            f"path: {right_path(case, container, Role.STARTUP)}",
        )


def _others(case: Case, question: Question) -> Iterator[CheckConfig]:
    """Yield the dependencies that the app waits for; what only our own start waited for has passed."""
    passed = [check for wait in waits(case) if wait.container == case.sidecar for check in wait.checks]
    for check in question.waits_for(case):
        if case.is_remote(check) and (check not in passed or Gate.READINESS in check.gates):
            yield check


def _waits_for_deadline(case: Case, question: Question) -> bool:
    """Whether a question waits for all that the startup deadline is for."""
    if question.check:
        return False
    return question.root in (Asked.STARTUPZ, Asked.READYZ) and bool(case.gating(Gate.STARTUP))
