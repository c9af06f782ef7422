"""Pods that are as they should be, in each style, to be changed by a test; and what the rules say of them."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from sidecar.checks import InstalledTypes
from sidecar.config.source import Source
from sidecar.deploys import InstalledServices
from sidecar.lint.findings import Finding
from sidecar.lint.reading import read_workloads
from sidecar.lint.rules import examine
from sidecar.lint.surroundings import Loader

Manifest: TypeAlias = dict[str, Any]

SESSIONS: Final = "{name: sessions, type: redis, url: 'redis://redis:6379', gates: [startup, readiness]}"
APP: Final = "{name: app, type: http, url: 'http://localhost:8080/healthz', gates: [liveness, readiness]}"
STARTUP: Final = "startup: {latch_file: /var/lib/sidecar/latch}"


def config(*checks: str, startup: str = STARTUP, drain: str = "drain: {delay: 0s}", more: str = "") -> str:
    """Return a configuration; without checks it has that of a dependency and that of the app."""
    items = "\n".join(f"  - {check}" for check in checks or (SESSIONS, APP))
    return f"checks:\n{items}\n{startup}\n{drain}\n{more}\n"


def http(path: str, port: int | str = 17808, **times: int) -> Manifest:
    """Return a probe."""
    return {"httpGet": {"path": path, "port": port}, **times}


def sidecar(**overlay: Any) -> Manifest:
    """Return the sidecar's container as it should be."""
    return merged(
        {
            "name": "sidecar",
            "image": "registry.example.com/sidecar:1",
            "ports": [{"name": "sidecar", "containerPort": 17808}],
            "startupProbe": http("/startupz", periodSeconds=2, failureThreshold=165),
            "readinessProbe": http("/readyz", periodSeconds=3, timeoutSeconds=2, failureThreshold=2),
            "livenessProbe": http(
                "/healthz",
                periodSeconds=5,
                timeoutSeconds=2,
                failureThreshold=3,
                terminationGracePeriodSeconds=5,
            ),
            "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumeMounts": [
                {"name": "config", "mountPath": "/etc/sidecar", "readOnly": True},
                {"name": "state", "mountPath": "/var/lib/sidecar"},
            ],
        },
        overlay,
    )


def app(**overlay: Any) -> Manifest:
    """Return an app's container as it should be."""
    return merged(
        {
            "name": "app",
            "image": "app",
            "ports": [{"name": "http", "containerPort": 8080}],
            "startupProbe": http("/readyz/app", periodSeconds=2, failureThreshold=30),
            "livenessProbe": http("/livez", periodSeconds=10, failureThreshold=6),
        },
        overlay,
    )


def waiter(*arguments: str, **overlay: Any) -> Manifest:
    """Return an init container that runs the checks before the app is started."""
    return merged(
        {
            "name": "wait",
            "image": "sidecar",
            "args": ["check", "--wait", *(arguments or ("--gate", "startup"))],
        },
        overlay,
    )


def pod(*containers: Manifest, before: tuple[Manifest, ...] = (), **overlay: Any) -> Manifest:
    """Return the spec of a pod; `before` are its init containers."""
    volumes = [{"name": "config", "configMap": {"name": "config"}}, {"name": "state", "emptyDir": {}}]
    return merged({"initContainers": [*before], "containers": [*containers], "volumes": volumes}, overlay)


def native(own: Manifest | None = None, theirs: Manifest | None = None, **overlay: Any) -> Manifest:
    """Return a pod whose sidecar is a native one."""
    own = {**(own or sidecar()), "restartPolicy": "Always"}
    return pod(theirs or app(), before=(own,), **overlay)


def plain(own: Manifest | None = None, theirs: Manifest | None = None, **overlay: Any) -> Manifest:
    """Return a pod whose sidecar is a plain container."""
    return pod(theirs or app(), own or sidecar(), **overlay)


def deployment(spec: Manifest | None = None, *, kind: str = "Deployment", **overlay: Any) -> Manifest:
    """Return a workload that replaces no old pod before a new one is ready."""
    usual = (
        {"replicas": 3, "strategy": {"rollingUpdate": {"maxUnavailable": 0}}} if kind == "Deployment" else {}
    )
    template = {"spec": spec or native()}
    return {
        "kind": kind,
        "metadata": {"name": "builds"},
        "spec": merged({**usual, "template": template}, overlay),
    }


def job(spec: Manifest) -> Manifest:
    """Return a Job of a pod."""
    return deployment(spec, kind="Job")


@dataclass(frozen=True)
class Told:
    """What a rule said, and of which line."""

    line: str
    sentence: str
    write: str = ""


def examined(
    manifest: Manifest, text: str | None = None, environ: Mapping[str, str] | None = None
) -> list[tuple[Finding, str]]:
    """Return all findings, each with the line that it points at."""
    sources = {"pod.yaml": yaml.safe_dump(manifest, sort_keys=False), "config.yaml": text or config()}
    workloads = read_workloads("pod.yaml", sources["pod.yaml"].encode())
    loader = Loader(
        Source("config.yaml", sources["config.yaml"].encode()),
        InstalledTypes(),
        environ or {},
        InstalledServices(),
    )
    findings = examine(workloads, loader).findings
    lines = {name: source.splitlines() for name, source in sources.items()}
    places = [finding.remark.place for finding in findings]
    return [
        (finding, lines[place.source][place.line - 1].strip())
        for finding, place in zip(findings, places, strict=True)
    ]


def told(rule: str, manifest: Manifest, text: str | None = None) -> list[Told]:
    """Return what one rule says."""
    return [
        Told(line, finding.remark.sentence, finding.remark.write)
        for finding, line in examined(manifest, text)
        if finding.rule.name == rule
    ]


def merged(old: Manifest, new: Mapping[str, Any]) -> Manifest:
    """Return a mapping with some of its values replaced, and those removed that are None."""
    both = {**deepcopy(old), **deepcopy(dict(new))}
    return {key: value for key, value in both.items() if value is not None}
