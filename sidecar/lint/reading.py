"""Turns manifests into the frozen model of `pod`; every problem that is met is reported at once."""

from collections.abc import Iterator, Mapping
from typing import Final

from sidecar.config.problems import ConfigError, Place, listed
from sidecar.lint.manifest import Branch, Sheet, documents
from sidecar.lint.pod import (
    Container,
    Handler,
    Means,
    Mount,
    Pod,
    Port,
    Probe,
    Resources,
    Role,
    Security,
    Update,
    Variable,
    Volume,
    Workload,
)
from sidecar.support.net import is_loopback

TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""The kinds that are read, and the way from each to its pod."""


def read_workloads(source: str, content: bytes) -> tuple[Workload, ...]:
    """Return every workload of a manifest; `source` is what problems call it.

    Raises:
        ConfigError: it is no YAML, has no workload, or one that cannot be read.
    """
    sheet = Sheet(source)
    workloads = tuple(
        _workload(document) for document in documents(sheet, content) if document["kind"].text() in TEMPLATES
    )
    if not workloads and not sheet.problems:
        sheet.refuse(Place(source), "", f"holds no {listed(TEMPLATES)}")
    if sheet.problems:
        raise ConfigError(sheet.problems)
    return workloads


def _workload(document: Branch) -> Workload:
    kind, spec = document["kind"].text(), document["spec"]
    replicas = spec["replicas"]
    progress = spec["progressDeadlineSeconds"]
    return Workload(
        place=document["kind"].place,
        kind=kind,
        name=document.below("metadata", "name").text() or document.below("metadata", "generateName").text(),
        pod=_pod(document.below(*TEMPLATES[kind])),
        update=_update(spec["updateStrategy" if kind in ("StatefulSet", "DaemonSet") else "strategy"]),
        replicas=replicas.number(1) if replicas else None,
        min_ready=spec["minReadySeconds"].number(0),
        progress_deadline=progress.number(600),
        progress_place=progress.place,
    )


def _update(strategy: Branch) -> Update:
    unavailable = strategy.below("rollingUpdate", "maxUnavailable")
    return Update(
        place=unavailable.place,
        kind=strategy["type"].text("RollingUpdate"),
        max_unavailable=unavailable.unquoted(),
    )


def _pod(template: Branch) -> Pod:
    spec = template["spec"]
    if not spec["containers"]:
        spec.sheet.refuse(spec.place, spec["containers"].path, "is missing; a pod has at least one container")
    grace, network = spec["terminationGracePeriodSeconds"], spec["hostNetwork"]
    return Pod(
        place=spec.place,
        containers=(*_containers(spec["initContainers"], is_init=True), *_containers(spec["containers"])),
        security=_security(spec["securityContext"]),
        resources=_resources(spec["resources"]),
        volumes=tuple(_volume(each) for each in spec["volumes"].each()),
        own_names=frozenset(_own_names(spec["hostAliases"])),
        grace=grace.number(30),
        grace_place=grace.place,
        host_network=network.place if network.truth() else None,
        refuses_token=spec["automountServiceAccountToken"].truth() is False,
        labels=_texts(template.below("metadata", "labels")),
        annotations=_texts(template.below("metadata", "annotations")),
    )


def _containers(branch: Branch, *, is_init: bool = False) -> Iterator[Container]:
    return (_container(each, is_init=is_init) for each in branch.each())


def _container(branch: Branch, *, is_init: bool) -> Container:
    return Container(
        place=branch.place,
        name=branch["name"].text(),
        image=branch["image"].text(),
        resources=_resources(branch["resources"]),
        security=_security(branch["securityContext"]),
        command=branch["command"].texts(),
        arguments=branch["args"].texts(),
        is_init=is_init,
        restarts_always=branch["restartPolicy"].text() == "Always",
        probes={role: _probe(role, branch[role]) for role in Role if branch[role]},
        pre_stop=_handler(branch.below("lifecycle", "preStop")),
        ports=tuple(_port(each) for each in branch["ports"].each()),
        variables=tuple(_variable(each) for each in branch["env"].each()),
        has_variables_from_elsewhere=bool(branch["envFrom"]),
        mounts=tuple(_mount(each) for each in branch["volumeMounts"].each()),
    )


def _probe(role: Role, branch: Branch) -> Probe:
    """Read a probe; the API server takes a 0 for a time that is not given."""
    handler, grace = _handler(branch), branch["terminationGracePeriodSeconds"]
    if handler is None:
        branch.sheet.refuse(branch.place, branch.path, "asks nothing; write httpGet")
    return Probe(
        role=role,
        place=branch.place,
        handler=handler or Handler(place=branch.place, means=Means.TCP),
        initial_delay=branch["initialDelaySeconds"].number(0),
        period=branch["periodSeconds"].number(10) or 10,
        timeout=branch["timeoutSeconds"].number(1) or 1,
        success_threshold=branch["successThreshold"].number(1) or 1,
        failure_threshold=branch["failureThreshold"].number(3) or 3,
        grace=grace.number(30) if grace else None,
    )


def _handler(branch: Branch) -> Handler | None:
    means = next((each for each in Means if branch[each]), None)
    if means is None:
        return None
    way = branch[means]
    return Handler(
        place=way.place,
        means=means,
        path=way["path"].text() or "/",
        port=way["port"].unquoted(),
        host=way["host"].text(),
        scheme=way["scheme"].text() or "HTTP",
        command=way["command"].texts(),
    )


def _port(branch: Branch) -> Port:
    return Port(
        place=branch.place,
        number=branch["containerPort"].number(0),
        name=branch["name"].text(),
        host_port=branch["hostPort"].number(0),
    )


def _variable(branch: Branch) -> Variable:
    source = branch["valueFrom"]
    return Variable(
        place=branch.place,
        name=branch["name"].text(),
        value=None if source else branch["value"].text(),
        pod_field=source.below("fieldRef", "fieldPath").text(),
    )


def _mount(branch: Branch) -> Mount:
    return Mount(
        place=branch.place,
        volume=branch["name"].text(),
        path=branch["mountPath"].text(),
        is_read_only=branch["readOnly"].truth() is True,
        has_sub_path=bool(branch["subPath"].text() or branch["subPathExpr"].text()),
    )


def _volume(branch: Branch) -> Volume:
    """Read a volume; one that names no source is an emptyDir, as the API server has it."""
    source = next((key for key in branch.names() if key != "name"), "emptyDir")
    tokens = (each["serviceAccountToken"]["path"] for each in branch.below("projected", "sources").each())
    return Volume(
        name=branch["name"].text(),
        source=source,
        has_token="token" in [each.text() for each in tokens],
    )


def _own_names(branch: Branch) -> Iterator[str]:
    for alias in branch.each():
        if is_loopback(alias["ip"].text()):
            yield from (name.lower() for name in alias["hostnames"].texts())


def _resources(branch: Branch) -> Resources:
    return Resources(
        place=branch.place,
        requests=frozenset(branch["requests"].names()),
        limits=frozenset(branch["limits"].names()),
    )


def _security(branch: Branch) -> Security:
    user, capabilities = branch["runAsUser"], branch["capabilities"]
    return Security(
        place=branch.place,
        run_as_non_root=branch["runAsNonRoot"].truth(),
        run_as_user=user.number(0) if user else None,
        seccomp=branch.below("seccompProfile", "type").text() or None,
        privileged=branch["privileged"].truth(),
        may_escalate=branch["allowPrivilegeEscalation"].truth(),
        dropped=frozenset(capabilities["drop"].texts()),
        added=frozenset(capabilities["add"].texts()),
    )


def _texts(branch: Branch) -> dict[str, str]:
    return {key: branch[key].text() for key in branch.names()}
