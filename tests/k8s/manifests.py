"""What `k8s/example.yaml` holds, by kind and by container."""

from pathlib import Path

import yaml

from tests.k8s.kustomize import Manifest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "k8s" / "example.yaml"
CRDS = {"PodMonitor"}
"""Kinds that Kubernetes itself has no schema for."""


def manifests() -> list[Manifest]:
    """Return every object of the shipped example."""
    return list(yaml.load_all(EXAMPLE.read_text(), Loader=yaml.CSafeLoader))


def the(kind: str) -> Manifest:
    """Return the only object of a kind."""
    [manifest] = [each for each in manifests() if each["kind"] == kind]
    return manifest


def pod() -> Manifest:
    """Return the pod that the example's Deployment starts."""
    spec: Manifest = the("Deployment")["spec"]["template"]["spec"]
    return spec


def container(name: str) -> Manifest:
    """Return one container of that pod, the sidecar's or the app's."""
    [found] = [each for each in pod()["initContainers"] + pod()["containers"] if each["name"] == name]
    return found  # type: ignore[no-any-return]  # YAML has no types


def mounted_at(name: str, volume: str) -> str:
    """Return where a container has a volume."""
    [path] = [mount["mountPath"] for mount in container(name)["volumeMounts"] if mount["name"] == volume]
    return str(path)
