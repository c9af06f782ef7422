"""The component that lets the sidecar write Events: one right more than it has, which is none."""

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.k8s.kustomize import Manifest
from tests.k8s.manifests import ROOT
from tests.k8s.rendered import of, pod_of, with_components
from tests.lint.shell import lint


@pytest.fixture
def objects(tmp_path: Path) -> list[Manifest]:
    """Return what becomes of the shipped example with Events."""
    return with_components(tmp_path, "events")


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


def test_lint_finds_nothing_in_it(objects: list[Manifest], tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump_all(objects))
    config = tmp_path / "config.yaml"
    config.write_text(
        (ROOT / "examples" / "kubernetes" / "config.yaml").read_text()
        + "\nkubernetes:\n  readiness_events: true\n"
    )

    told = lint("--pod", str(tmp_path / "pod.yaml"), "--config", str(config))

    assert (told.exit_code, told.stderr) == (0, "0 errors, 0 warnings, 5 information\n"), told.stdout
