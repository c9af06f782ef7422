"""Rules on a sidecar that asks the cluster's API: it knows which pod it is, and has a token to ask with."""

from collections.abc import Iterator
from typing import Final

from sidecar.config.model import KubernetesConfig
from sidecar.kube.here import FIELDS
from sidecar.lint.case import Case, Style
from sidecar.lint.findings import Remark
from sidecar.lint.pod import Container

AUTOMOUNTED: Final = KubernetesConfig().service_account
"""Where the cluster mounts a token of its own accord."""
SOURCES: Final = (
    "{serviceAccountToken: {path: token}}",
    "{configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}}",
)


def cluster_variables(case: Case) -> Iterator[Remark]:
    """Find a sidecar that asks the cluster, and is not told which pod it is."""
    faults = {name: fault for name in FIELDS if (fault := _fault_of(case.sidecar, name))}
    if faults and _asks(case):
        yield Remark(
            case.sidecar.place,
            f"{case.sidecar.name}: {', '.join(faults.values())}, and {case.asking[0]} asks the cluster",
            "\n".join(["env:", *(f"- {_line(name)}" for name in faults)]),
        )


def cluster_token(case: Case) -> Iterator[Remark]:
    """Find a sidecar that asks the cluster without a token."""
    folder = case.config.sections.kubernetes.service_account
    fault = _token_fault(case, folder)
    if fault and _asks(case):
        yield Remark(
            case.sidecar.place,
            f"{case.sidecar.name}: {fault}, and {case.asking[0]} asks the cluster",
            f"volumeMounts: [{{name: sidecar-token, mountPath: {folder}, readOnly: true}}]\n"
            f"volumes: [{{name: sidecar-token, projected: {{sources: [{', '.join(SOURCES)}]}}}}]",
        )


def _asks(case: Case) -> bool:
    return bool(case.asking) and case.style is not Style.INIT


def _fault_of(container: Container, name: str) -> str:
    """Return why a variable does not say which pod it is; empty if it does, or if we cannot know."""
    found = next((each for each in reversed(container.variables) if each.name == name), None)
    if found is None:
        return "" if container.has_variables_from_elsewhere else f"{name} is not set"
    if found.value == "":
        return f"{name} is empty"
    is_another = found.pod_field not in ("", FIELDS[name])
    return f"{name} is {found.pod_field}" if is_another else ""


def _line(name: str) -> str:
    return f"{{name: {name}, valueFrom: {{fieldRef: {{fieldPath: {FIELDS[name]}}}}}}}"


def _token_fault(case: Case, folder: str) -> str:
    """Return why no token is where it is looked for; empty if one is, or may be."""
    mount = case.sidecar.mount_of(f"{folder}/token")
    if mount is None:
        is_automounted = folder == AUTOMOUNTED and not case.pod.refuses_token
        return "" if is_automounted else f"nothing is mounted on {folder}"
    if case.pod.may_hold_token(mount):
        return ""
    return f"the volume {mount.volume} on {mount.path} brings no token"
