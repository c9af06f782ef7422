"""Rules on what the sidecar's container has beside its probes: files, variables, resources, ports."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from sidecar.core.verdict import Gate
from sidecar.lint.case import Case, Style
from sidecar.lint.findings import Remark
from sidecar.lint.pod import Variable

LATCH: Final = (
    "startup: {latch_file: /var/lib/sidecar/latch}",
    "volumeMounts: [{name: sidecar-state, mountPath: /var/lib/sidecar}]",
    "volumes: [{name: sidecar-state, emptyDir: {}}]",
)
"""In the configuration, in the container, in the pod."""
UPDATED_VOLUMES: Final = frozenset({"configMap", "secret", "projected", "downwardAPI"})
"""Volumes whose files the kubelet replaces when their source changes, unless they are mounted by subPath."""


def latch_volume(case: Case) -> Iterator[Remark]:
    """Find a start that begins anew when only our container is restarted."""
    if case.style is Style.INIT or not case.gating(Gate.STARTUP):
        return
    fault = _latch_fault(case, case.config.sections.startup.latch_file)
    if fault:
        yield Remark(case.sidecar.place, f"{case.sidecar.name}: {fault}", "\n".join(LATCH))


def config_subpath(case: Case) -> Iterator[Remark]:
    """Find a file of ours that never changes while the pod lives."""
    for mount in case.sidecar.mounts:
        source = case.pod.source_of(mount)
        if mount.has_sub_path and source in UPDATED_VOLUMES:
            yield Remark(
                mount.place,
                f"{case.sidecar.name} mounts a file of the {source} volume {mount.volume} by subPath, "
                "so that it is never updated",
                f"mountPath: {PurePosixPath(mount.path).parent}, without subPath",
            )


def secret_in_env(case: Case) -> Iterator[Remark]:
    """Find a secret that stands in the manifest."""
    for container in case.pod.containers:
        for variable in container.variables:
            if _holds_secret(variable):
                yield Remark(
                    variable.place,
                    f"{container.name}: the value of {variable.name} stands in the manifest",
                    f"{{name: {variable.name}, valueFrom: {{secretKeyRef: {{name: NAME, key: KEY}}}}}}",
                )


def requests(case: Case) -> Iterator[Remark]:
    """Find a sidecar that asks for no cpu or memory; the API server takes a limit for a request."""
    own, whole = case.sidecar.resources, case.pod.resources
    asked = own.requests | own.limits | whole.requests | whole.limits
    missing = [each for each in ("cpu", "memory") if each not in asked]
    if missing:
        yield Remark(
            case.sidecar.resources.place,
            f"{case.sidecar.name} requests no {' and no '.join(missing)}",
            "requests: {cpu: 25m, memory: 64Mi}",
        )


def limits(case: Case) -> Iterator[Remark]:
    """Find a sidecar whose memory has no bound."""
    if "memory" not in case.sidecar.resources.limits | case.pod.resources.limits:
        yield Remark(
            case.sidecar.resources.place,
            f"{case.sidecar.name} has no memory limit",
            "limits: {memory: 128Mi}",
        )


def port_conflict(case: Case) -> Iterator[Remark]:
    """Find another container that listens where the sidecar does: those of a pod share their ports."""
    ours = {case.port, case.admin_port}
    for container in case.companions:
        declared = {port.number for port in container.ports}
        assumed = ours if container in case.crew.twins and not declared else declared
        if ours & assumed:
            yield Remark(
                container.place,
                f"{container.name} listens on {', '.join(map(str, sorted(ours & assumed)))}, and so does "
                f"{case.sidecar.name}",
                f"server: {{port: {case.port + 10}, admin_port: {case.admin_port + 10}}}",
            )


def host_network(case: Case) -> Iterator[Remark]:
    """Find a pod whose ports are its node's."""
    if case.pod.host_network is not None:
        yield Remark(
            case.pod.host_network,
            f"the pod shares its node's network: port {case.port} is the whole node's"
            + _shared_loopback(case),
            "hostNetwork: false",
        )


def _shared_loopback(case: Case) -> str:
    if case.config.sections.server.admin_socket is not None:
        return ""
    return f", and so is loopback, where port {case.admin_port} shows messages and begins a drain"


def _latch_fault(case: Case, path: str | None) -> str:
    """Return why a latch does not outlive a restart of our container; empty if it does."""
    if path is None:
        return "the configuration names no latch_file"
    mount = case.sidecar.mount_of(path)
    if mount is None:
        return f"{path} is on no volume, and is gone with the container"
    if case.pod.source_of(mount) != "emptyDir":
        return f"{path} is on the volume {mount.volume}, which is no emptyDir"
    return f"{path} is mounted read-only" if mount.is_read_only else ""


def _holds_secret(variable: Variable) -> bool:
    value = variable.value or ""
    if _URL_WITH_PASSWORD.search(value):
        return True
    is_reference = value.startswith(("/", "$("))
    return bool(value) and not is_reference and _SECRET_NAME.search(variable.name) is not None


_SECRET_NAME: Final = re.compile(
    r"(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|WEBHOOK(?:_URL)?|_PASS|_PWD"
    r"|(?:API|ACCESS|PRIVATE|SIGNING|ENCRYPTION)_?KEY)$",
    re.IGNORECASE,
)
"""Names of variables whose values are secrets; `DB_PASSWORD_FILE` and `TOKEN_URL` are none."""
_URL_WITH_PASSWORD: Final = re.compile(r"://[^\s/:@]*:(?!\$\()[^\s/@]+@")
