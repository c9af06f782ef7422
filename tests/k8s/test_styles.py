"""Every manifest that we ship: what a cluster, our own rules and the sidecar itself say of it."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from sidecar.checks import InstalledTypes
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.source import Source
from sidecar.core.verdict import Gate
from sidecar.lint.times import BEYOND_DEADLINE, TO_REPORT
from tests.k8s.commands import understands
from tests.k8s.kustomize import Manifest
from tests.k8s.manifests import CRDS, ROOT
from tests.k8s.pod_security import violations
from tests.k8s.styles import COMPLETE, CONFIG, FOLDER, SHIPPED, STYLES, Shipped, style
from tests.lint.shell import lint

OBJECTS = [(shipped, each) for shipped in SHIPPED for each in shipped.objects if each["kind"] not in CRDS]
SECRETS = "/run/secrets/sidecar"
ALL = pytest.mark.parametrize("shipped", COMPLETE, ids=str)
ALONE = pytest.mark.parametrize("shipped", STYLES, ids=str)


def configured(shipped: Shipped, folder: Path) -> Config:
    """Return the configuration, with the secret files that it reads made in `folder`."""
    text = shipped.config.replace(SECRETS, str(folder))
    for name in re.findall(rf"{re.escape(SECRETS)}/([\w-]+)", shipped.config):
        (folder / name).write_text("s3cret")
    return load(Source(CONFIG, text.encode()), InstalledTypes(), {})


def judged(objects: list[Manifest], config: str, folder: Path) -> tuple[int, str]:
    """Return how `sidecar lint` ends, and how it sums up."""
    (folder / CONFIG).write_text(config)
    told = lint("--pod", "-", "--config", str(folder / CONFIG), stdin=yaml.safe_dump_all(objects))
    return told.exit_code, re.sub(r", \d+ information\n", "", told.stderr)


def commands(shipped: Shipped) -> list[list[str]]:
    """Return what our containers run: as they are started, and at their end."""
    hooks = [c["lifecycle"]["preStop"]["exec"]["command"] for c in shipped.ours if "lifecycle" in c]
    assert all(hook[0] == "sidecar" for hook in hooks)
    return [container.get("args", ["serve"]) for container in shipped.ours] + [hook[1:] for hook in hooks]


def test_the_three_styles_are_there() -> None:
    assert {"native", "plain", "init"} <= {each.path.parent.name for each in STYLES}


@pytest.mark.parametrize(
    "path", sorted(FOLDER.rglob("kustomization.yaml")), ids=lambda path: path.parent.name
)
def test_a_folder_with_a_kustomization_has_no_file_that_it_does_not_name(path: Path) -> None:
    there = {each.name for each in path.parent.glob("*.yaml")} - {path.name}

    assert {name for name in there if name not in path.read_text()} == set()


@pytest.mark.parametrize(
    ("shipped", "manifest"), OBJECTS, ids=[f"{shipped} {each['kind']}" for shipped, each in OBJECTS]
)
def test_the_newest_kubernetes_accepts_every_field(shipped: Shipped, manifest: Manifest) -> None:
    newest = kubernetes_validate.latest_version()

    assert kubernetes_validate.validate(manifest, newest, strict=True) == newest.rpartition(".")[0], shipped


@ALL
def test_our_own_rules_find_nothing(shipped: Shipped, tmp_path: Path) -> None:
    assert judged([*shipped.objects], shipped.config, tmp_path) == (0, "0 errors, 0 warnings")


@ALL
def test_the_sidecar_accepts_its_configuration_without_advice(shipped: Shipped, tmp_path: Path) -> None:
    assert configured(shipped, tmp_path).advice == ()


@ALL
def test_the_program_understands_what_its_containers_run(shipped: Shipped) -> None:
    assert [words for words in commands(shipped) if not understands(words)] == []


@ALL
def test_a_namespace_that_enforces_restricted_admits_the_pod(shipped: Shipped) -> None:
    assert violations(shipped.pod) == []


@ALL
def test_every_container_has_requests_a_memory_limit_and_no_cpu_limit(shipped: Shipped) -> None:
    resources = [each["resources"] for each in shipped.containers]

    assert [r["requests"].keys() for r in resources] == [{"cpu", "memory"} for _ in resources]
    assert [r["limits"].keys() for r in resources] == [{"memory"} for _ in resources]


@ALL
def test_every_mount_has_its_volume_and_the_configuration_its_object(shipped: Shipped) -> None:
    volumes = {volume["name"]: volume for volume in shipped.pod["volumes"]}
    mounted = {mount["name"] for each in shipped.containers for mount in each["volumeMounts"]}
    named = [volume["configMap"]["name"] for volume in volumes.values() if "configMap" in volume]

    assert mounted == volumes.keys()
    assert named == [each["metadata"]["name"] for each in shipped.objects if each["kind"] == "ConfigMap"]


@ALL
def test_secrets_are_files_and_nothing_is_mounted_past_the_link_that_is_swapped(shipped: Shipped) -> None:
    mounts = [mount for each in shipped.containers for mount in each["volumeMounts"]]

    assert [each["name"] for each in shipped.containers if "env" in each or "envFrom" in each] == []
    assert [mount for mount in mounts if "subPath" in mount] == []


@ALL
def test_a_start_that_the_configuration_allows_is_ended_by_nobody(shipped: Shipped, tmp_path: Path) -> None:
    deadline = configured(shipped, tmp_path).sections.startup.deadline
    probes = [each["startupProbe"] for each in shipped.ours if "startupProbe" in each]

    assert [p["periodSeconds"] * p["failureThreshold"] for p in probes] == [
        deadline + BEYOND_DEADLINE for _ in probes
    ]


@pytest.mark.parametrize(
    "shipped", [each for each in COMPLETE if each.workload["kind"] == "Deployment"], ids=str
)
def test_old_pods_serve_until_a_new_one_has_used_its_time(shipped: Shipped, tmp_path: Path) -> None:
    spec, [app] = shipped.workload["spec"], shipped.apps
    boot = app["startupProbe"]["periodSeconds"] * app["startupProbe"]["failureThreshold"]
    deadline = configured(shipped, tmp_path).sections.startup.deadline

    assert spec["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["progressDeadlineSeconds"] == deadline + boot + TO_REPORT
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]


@ALONE
def test_what_the_styles_share_is_the_same_in_all_of_them(shipped: Shipped) -> None:
    """Each file can be read alone; so each repeats the others, and none may fall behind."""
    [first] = style("native/deployment").ours
    differing = {"name", "args", "restartPolicy", "ports", "lifecycle", "volumeMounts"}

    for each in shipped.ours:
        assert {key: each[key] for key in each.keys() - differing} == {
            key: first[key] for key in each.keys() - differing
        }
        assert [mount for mount in each["volumeMounts"] if mount not in first["volumeMounts"]] == []


def test_the_files_and_the_kustomize_component_have_the_same_sidecar() -> None:
    [alone] = style("native/deployment").ours
    template = yaml.safe_load((FOLDER / "component" / "sidecar.yaml").read_text())["spec"]["template"]
    [patch] = template["spec"]["initContainers"]
    own = {"image", "volumeMounts", "securityContext"}

    assert {key: alone[key] for key in alone.keys() - own} == {key: patch[key] for key in patch.keys() - own}
    assert alone["securityContext"].items() <= patch["securityContext"].items()


def test_only_a_native_sidecar_holds_the_app_back_and_so_asks_nothing_of_it(tmp_path: Path) -> None:
    config = configured(style("native/deployment"), tmp_path)

    assert [c.name for c in config.checks if Gate.STARTUP in c.gates and not c.is_remote] == []


@pytest.mark.parametrize(
    ("name", "hooks"),
    [
        ("native/deployment", [None, {"sleep": {"seconds": 5}}]),
        (
            "native/worker",
            [{"exec": {"command": ["sidecar", "drain"]}}, {"httpGet": {"path": "/drained", "port": 17808}}],
        ),
        ("plain/deployment", [{"httpGet": {"path": "/drained", "port": 17808}}, None]),
        ("init/deployment", [None, {"sleep": {"seconds": 5}}]),
    ],
)
def test_each_style_ends_in_its_own_way(name: str, hooks: list[Manifest | None]) -> None:
    containers = style(name).containers

    assert [each.get("lifecycle", {}).get("preStop") for each in containers] == hooks


@pytest.mark.parametrize("name", ["native/deployment", "native/worker", "plain/deployment"])
def test_an_init_container_that_proves_goes_with_every_other_style(name: str, tmp_path: Path) -> None:
    [prove] = style("init/deployment").pod["initContainers"]
    both = Shipped(style(name).path)
    both.pod["initContainers"] = [prove, *both.pod.get("initContainers", [])]

    assert judged([*both.objects], both.config, tmp_path) == (0, "0 errors, 0 warnings")


def test_the_autoscaler_looks_at_the_app_alone_and_unready_pods_may_be_evicted() -> None:
    autoscaler, budget = (each["spec"] for each in Shipped(FOLDER / "scaling.yaml").objects)
    [metric], deployment = autoscaler["metrics"], style("native/deployment")

    assert autoscaler["scaleTargetRef"]["name"] == deployment.workload["metadata"]["name"]
    assert metric["containerResource"]["container"] in [each["name"] for each in deployment.apps]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"] == deployment.workload["spec"]["selector"]


def test_every_manifest_of_the_examples_is_part_of_the_example() -> None:
    folder = ROOT / "examples" / "kubernetes"
    named = (folder / "kustomization.yaml").read_text()

    assert [
        each.name for each in folder.glob("*.yaml") if each.name not in f"{named} kustomization.yaml"
    ] == []
