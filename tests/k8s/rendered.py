"""The shipped example with other components, rendered, and what is looked for in it."""

import shutil
from pathlib import Path

from tests.k8s.kustomize import Manifest, render
from tests.k8s.manifests import ROOT


def with_components(folder: Path, *names: str) -> list[Manifest]:
    """Return what becomes of the shipped example with these components of k8s/; its copy is in `folder`."""
    for each in ("k8s", "examples/kubernetes"):
        shutil.copytree(ROOT / each, folder / each)
    kustomization = folder / "examples" / "kubernetes" / "kustomization.yaml"
    listed = "\n".join(f"  - ../../k8s/{name}" for name in names)
    kustomization.write_text(kustomization.read_text().replace("  - ../../k8s/pod-monitor", listed))
    return render(kustomization.parent)


def of(objects: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """Return the only object of a kind, and of a name if one is given."""
    [found] = [o for o in objects if o["kind"] == kind and name in {None, o["metadata"]["name"]}]
    return found


def pod_of(objects: list[Manifest]) -> Manifest:
    """Return the pod that the Deployment starts."""
    spec: Manifest = of(objects, "Deployment")["spec"]["template"]["spec"]
    return spec
