"""Every manifest that we ship: those that stand alone, and those that a kustomization is made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import yaml

from tests.k8s.kustomize import Manifest
from tests.k8s.manifests import EXAMPLE, ROOT

FOLDER: Final = ROOT / "k8s"
CONFIG: Final = "config.yaml"


@dataclass(frozen=True)
class Shipped:
    """A file that can be applied as it stands."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def objects(self) -> tuple[Manifest, ...]:
        """Everything in the file."""
        return tuple(yaml.safe_load_all(self.path.read_text()))

    @property
    def workload(self) -> Manifest:
        """What creates the pods."""
        [found] = [each for each in self.objects if "template" in _creator(each)]
        return found

    @property
    def pod(self) -> Manifest:
        """The spec of the pods."""
        spec: Manifest = _creator(self.workload)["template"]["spec"]
        return spec

    @property
    def containers(self) -> list[Manifest]:
        """All containers, the init containers first."""
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def ours(self) -> list[Manifest]:
        """The containers that run the sidecar's image."""
        return [each for each in self.containers if "/sidecar:" in each["image"]]

    @property
    def apps(self) -> list[Manifest]:
        """The other containers."""
        return [each for each in self.containers if each not in self.ours]

    @property
    def config(self) -> str:
        """The sidecar's configuration, which the file has in a ConfigMap."""
        [text] = [each["data"][CONFIG] for each in self.objects if each["kind"] == "ConfigMap"]
        return str(text)


def _creator(manifest: Manifest) -> Manifest:
    """Return what holds the pod template of a workload; a CronJob's is one floor deeper."""
    spec: Manifest = manifest.get("spec", {})
    return spec.get("jobTemplate", {}).get("spec", spec)  # type: ignore[no-any-return]  # YAML has no types


def _alone() -> Iterator[Shipped]:
    for path in sorted(FOLDER.rglob("*.yaml")):
        if not (path.parent / "kustomization.yaml").exists():
            yield Shipped(path)


SHIPPED: Final = tuple(_alone())
"""Every file of k8s/ that is in no folder with a kustomization."""
COMPLETE: Final = tuple(each for each in SHIPPED if any("template" in _creator(o) for o in each.objects))
"""Those that start pods."""
STYLES: Final = tuple(each for each in COMPLETE if each.path != EXAMPLE)
"""Those that a person reads from top to bottom."""


def style(name: str) -> Shipped:
    """Return a file by its place in k8s/, such as `native/deployment`."""
    [found] = [each for each in STYLES if each.path == FOLDER / f"{name}.yaml"]
    return found
