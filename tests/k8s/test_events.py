"""The component that lets the sidecar write Events: one right, and a token in its container only."""

import shutil
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from sidecar.checks import InstalledTypes
from sidecar.config.load import Source, load
from sidecar.kube.here import FIELDS
from tests.k8s.kustomize import Manifest, render
from tests.k8s.manifests import ROOT
from tests.k8s.pod_security import violations
from tests.lint.shell import lint


@pytest.fixture
def objects(tmp_path: Path) -> list[Manifest]:
    """Return what becomes of the shipped example with Events."""
    for folder in ("k8s", "examples/kubernetes"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    kustomization = tmp_path / "examples" / "kubernetes" / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text().replace("k8s/pod-monitor", "k8s/events"))
    return render(kustomization.parent)


def of(objects: list[Manifest], kind: str) -> Manifest:
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def pod_of(objects: list[Manifest]) -> Manifest:
    spec: Manifest = of(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def test_the_newest_kubernetes_accepts_every_field(objects: list[Manifest]) -> None:
    newest = kubernetes_validate.latest_version()

    for each in objects:
        assert kubernetes_validate.validate(each, newest, strict=True) == newest.rpartition(".")[0]


def test_the_right_is_to_create_events_and_the_pods_account_has_it(objects: list[Manifest]) -> None:
    role, binding, account = (
        of(objects, "Role"),
        of(objects, "RoleBinding"),
        pod_of(objects).get("serviceAccountName", "default"),
    )

    assert role["rules"] == [{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "builds"}]


def test_the_sidecar_alone_has_a_token_where_it_looks_for_it(objects: list[Manifest]) -> None:
    spec = pod_of(objects)
    [volume] = [each for each in spec["volumes"] if "projected" in each]
    text = Source("c.yaml", b"{ungated: true, checks: []}")
    where = load(text, InstalledTypes(), {}).sections.kubernetes.service_account
    mounted = {
        container["name"]: [
            mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == volume["name"]
        ]
        for container in spec["initContainers"] + spec["containers"]
    }

    assert (spec["automountServiceAccountToken"], mounted) == (False, {"sidecar": [where], "app": []})
    assert violations(spec) == []


def test_the_sidecar_knows_its_pod(objects: list[Manifest]) -> None:
    [sidecar] = pod_of(objects)["initContainers"]

    assert {each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"] for each in sidecar["env"]} == FIELDS


def test_lint_finds_nothing_in_it(objects: list[Manifest], tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump_all(objects))
    config = tmp_path / "config.yaml"
    config.write_text(
        (ROOT / "examples" / "kubernetes" / "config.yaml").read_text()
        + "\nkubernetes:\n  readiness_events: true\n"
    )

    told = lint("--pod", str(tmp_path / "pod.yaml"), "--config", str(config))

    assert (told.exit_code, told.stderr) == (0, "0 errors, 0 warnings, 5 information\n"), told.stdout
