"""The kustomizations, rendered."""

import shutil
from pathlib import Path

import pytest

from tests.k8s.kustomize import Manifest, render
from tests.k8s.manifests import ROOT, manifests


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the repository's manifests, to be changed."""
    for folder in ("k8s", "examples/kubernetes"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def write_app(tree: Path, workloads: str) -> Path:
    """Write a kustomization as a user would, beside the shipped ones, and return its folder."""
    folder = tree / "app"
    folder.mkdir()
    (folder / "workloads.yaml").write_text(workloads)
    (folder / "kustomization.yaml").write_text(
        "resources: [workloads.yaml, ../k8s/base]\ncomponents: [../k8s/component]\n"
    )
    return folder


def by_name(objects: list[Manifest]) -> dict[str, Manifest]:
    return {f"{each['kind']} {each['metadata']['name']}": each for each in objects}


def config_map_name(objects: list[Manifest]) -> str:
    [name] = [each["metadata"]["name"] for each in objects if each["kind"] == "ConfigMap"]
    return str(name)


def pod_of(objects: list[Manifest], kind: str) -> Manifest:
    [spec] = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == kind]
    return spec  # type: ignore[no-any-return]  # YAML has no types


def test_the_shipped_example_is_what_kustomize_makes_of_its_source() -> None:
    assert by_name(render(ROOT / "examples" / "kubernetes")) == by_name(manifests())


def test_a_change_of_configuration_changes_the_pod_and_so_is_a_rollout(tree: Path) -> None:
    before = render(tree / "examples" / "kubernetes")
    config = tree / "examples" / "kubernetes" / "config.yaml"
    config.write_text(config.read_text().replace("deadline: 5m", "deadline: 6m"))

    after = render(tree / "examples" / "kubernetes")

    assert config_map_name(before) != config_map_name(after)
    assert {"name": "sidecar-config", "configMap": {"name": config_map_name(after)}} in pod_of(
        after, "Deployment"
    )["volumes"]


def test_the_component_leaves_what_a_workload_has_and_starts_before_its_init_containers(tree: Path) -> None:
    folder = write_app(
        tree,
        """
        apiVersion: apps/v1
        kind: StatefulSet
        metadata: {name: store}
        spec:
          template:
            spec:
              initContainers: [{name: migrate, image: store}]
              containers: [{name: store, image: store}]
              volumes: [{name: data, emptyDir: {}}]
        """,
    )

    spec = pod_of(render(folder), "StatefulSet")

    assert [each["name"] for each in spec["initContainers"]] == ["sidecar", "migrate"]
    assert spec["containers"] == [{"name": "store", "image": "store"}]
    assert {"name": "data", "emptyDir": {}} in spec["volumes"]


def test_a_part_of_a_value_is_copied_to_where_something_is_and_nowhere_else(tree: Path) -> None:
    folder = write_app(
        tree,
        """
        kind: Deployment
        metadata: {name: shop}
        spec: {template: {spec: {containers: [{name: app, image: "shop:7", env: [{name: TAG, value: x}]}]}}}
        """,
    )
    kustomization = folder / "kustomization.yaml"
    listed = kustomization.read_text()
    container = "spec.template.spec.containers.[name=app]"

    kustomization.write_text(f"{listed}{copying(f'{container}.env.[name=TAG].value')}")
    assert pod_of(render(folder), "Deployment")["containers"][0]["env"] == [{"name": "TAG", "value": "7"}]

    kustomization.write_text(f"{listed}{copying(f'{container}.tag')}")
    with pytest.raises(ValueError, match="nothing is at"):
        render(folder)


def copying(path: str) -> str:
    """Return a replacement of what is at `path` by the tag of the image."""
    image = "spec.template.spec.containers.[name=app].image"
    select = "{kind: Deployment, name: shop}"
    source = f"{{kind: Deployment, name: shop, fieldPath: '{image}', options: {{delimiter: ':', index: 1}}}}"
    return f"replacements: [{{source: {source}, targets: [{{select: {select}, fieldPaths: ['{path}']}}]}}]\n"


def test_the_component_leaves_other_kinds_alone(tree: Path) -> None:
    job = "{kind: Job, metadata: {name: once}, spec: {template: {spec: {containers: []}}}}"

    assert pod_of(render(write_app(tree, job)), "Job") == {"containers": []}
