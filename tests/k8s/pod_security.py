"""The `restricted` Pod Security Standard, as far as the fields of a pod on Linux tell."""

from collections.abc import Iterator

from tests.k8s.kustomize import Manifest

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def violations(pod: Manifest) -> list[str]:
    """Return what the admission of a namespace that enforces `restricted` would refuse in a pod."""
    return [*_of_the_pod(pod), *_of_the_containers(pod)]


def _of_the_pod(pod: Manifest) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", []):
        if volume.keys() - {"name"} - VOLUMES:
            yield f"volume {volume['name']}"


def _of_the_containers(pod: Manifest) -> Iterator[str]:
    for container in pod.get("initContainers", []) + pod["containers"]:
        name, own = container["name"], container.get("securityContext", {})
        context = pod.get("securityContext", {}) | own
        capabilities = own.get("capabilities", {})
        if own.get("privileged"):
            yield f"{name} privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name} allowPrivilegeEscalation"
        if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {
            "NET_BIND_SERVICE"
        }:
            yield f"{name} capabilities"
        if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
            yield f"{name} runAsNonRoot"
        if context.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
            yield f"{name} seccompProfile"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{name} hostPort"
