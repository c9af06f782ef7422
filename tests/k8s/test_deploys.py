"""The component that lets the sidecar claim and announce its deploy, and the example that lists it."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import kubernetes_validate
import pytest
import yaml

from sidecar.checks import InstalledTypes
from sidecar.config.deploy import ClaimBy, DeployConfig
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.source import Source
from sidecar.core.deploy import DeployEvent, Record
from sidecar.deploys import InstalledServices
from sidecar.deploys._send import send
from sidecar.deploys._service import Cluster
from sidecar.deploys.claims.claim import ClaimError
from sidecar.deploys.claims.kubernetes import KubernetesClaim
from sidecar.kube.client import ApiServer
from sidecar.kube.here import Pod
from tests.deploys.announcements import announcement, service_with
from tests.deploys.records import DEPLOY, FULL
from tests.k8s.kustomize import Manifest, render
from tests.k8s.manifests import CRDS, ROOT
from tests.k8s.pod_security import violations
from tests.k8s.rendered import of, pod_of, with_components
from tests.lint.shell import lint
from tests.network.cluster import FakeCluster
from tests.network.kube import service_account, serving
from tests.network.tls import Certificates
from tests.runtime.fakes import EPOCH

EXAMPLE: Final = ROOT / "examples" / "deploys"
PAGE: Final = (ROOT / "docs" / "kubernetes.md").read_text()
OBJECTS: Final = render(EXAMPLE)
METHODS: Final = {"get": "GET", "create": "POST", "update": "PUT"}
POD: Final = Pod(name="builds-0", namespace="ci", uid="0c0ffee0-1")


def granted(role: Manifest) -> frozenset[str]:
    """Return what a Role allows, as the stand-in for a cluster calls it."""
    return frozenset(
        f"{METHODS[verb]} {kind}"
        for rule in role["rules"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    )


RIGHTS: Final = granted(of(OBJECTS, "Role"))


@pytest.fixture
async def cluster(certificates: Certificates) -> AsyncIterator[FakeCluster]:
    async with serving(FakeCluster(allowed=RIGHTS), certificates) as found:
        yield found


@pytest.fixture
def api(cluster: FakeCluster, tmp_path: Path, certificates: Certificates) -> ApiServer:
    return ApiServer(cluster.address, service_account(tmp_path / "account", certificates))


async def track(api: ApiServer) -> None:
    """Claim a deploy that the cluster identifies, replace its record, and write an Event about it."""
    claim = KubernetesClaim(DEPLOY, api, POD, has_id=False, wall=lambda: EPOCH)
    await claim.identify()
    assert await claim.create(Record(deploy=DEPLOY))
    held = await claim.read()
    assert held is not None
    assert await claim.replace(FULL, held)
    await claim.renew()
    event = service_with({"type": "kubernetes-event"}, Cluster(api=api, pod=POD))
    await event.tell(announcement(DeployEvent.SUCCEEDED), {}, send)


@pytest.fixture
def config() -> Config:
    """Return the example's configuration, read as the example's sidecar reads it."""
    text = of(OBJECTS, "ConfigMap")["data"]["config.yaml"]
    environ = {each["name"]: each.get("value", "") for each in sidecar()["env"]}
    return load(
        Source("config.yaml", text.encode()),
        InstalledTypes(),
        environ,
        lambda _: b"s3cret",
        services=InstalledServices(),
    )


@pytest.fixture
def deploy(config: Config) -> DeployConfig:
    found = config.sections.deploy
    assert found is not None
    return found


def sidecar() -> Manifest:
    [found] = pod_of(OBJECTS)["initContainers"]
    return found  # type: ignore[no-any-return]  # YAML has no types


def test_the_rights_are_what_a_claim_and_an_event_take_and_the_pods_account_has_them(tmp_path: Path) -> None:
    objects = with_components(tmp_path, "deploys")
    role, binding = of(objects, "Role"), of(objects, "RoleBinding")

    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": ["get", "create", "update"],
        },
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {
            "kind": "ServiceAccount",
            "name": pod_of(objects).get("serviceAccountName", "default"),
            "namespace": "builds",
        }
    ]


async def test_the_rights_suffice_and_each_is_made_use_of(cluster: FakeCluster, api: ApiServer) -> None:
    await track(api)

    assert (len(cluster.leases), len(cluster.events)) == (1, 1)
    assert cluster.asked == RIGHTS


async def test_the_lease_that_the_page_shows_is_the_one_that_a_claim_makes(
    cluster: FakeCluster, api: ApiServer
) -> None:
    await track(api)

    [(name, lease)] = cluster.leases.items()
    form = re.sub(r"[0-9a-f]{20}$", r"[0-9a-f]{20}\\b", name)
    assert len(re.findall(rf"^{form}", PAGE, re.MULTILINE)) == 2
    shown = re.findall(r"\.metadata\.annotations\.(sidecar/\w+)", PAGE)
    assert [each for each in shown if each in lease["metadata"]["annotations"]] == [
        "sidecar/revision",
        "sidecar/record",
    ]


@pytest.mark.parametrize("right", sorted(RIGHTS - {"POST events"}))
async def test_without_one_of_the_rights_there_is_no_claim(
    cluster: FakeCluster, api: ApiServer, right: str
) -> None:
    cluster.allowed = RIGHTS - {right}

    with pytest.raises(ClaimError, match=f"cannot {right}"):
        await track(api)


@pytest.mark.parametrize(
    "manifest",
    [each for each in OBJECTS if each["kind"] not in CRDS],
    ids=lambda each: f"{each['kind']} {each['metadata']['name']}",
)
def test_the_newest_kubernetes_accepts_every_field(manifest: Manifest) -> None:
    newest = kubernetes_validate.latest_version()

    assert kubernetes_validate.validate(manifest, newest, strict=True) == newest.rpartition(".")[0]


def test_the_pod_obeys_what_its_namespace_enforces() -> None:
    assert violations(pod_of(OBJECTS)) == []


def test_lint_finds_nothing_in_the_example() -> None:
    rendered = yaml.safe_dump_all(OBJECTS)

    told = lint("--pod", "-", "--config", str(EXAMPLE / "config.yaml"), stdin=rendered)

    assert (told.exit_code, told.stderr) == (0, "0 errors, 0 warnings, 5 information\n"), told.stdout


def test_the_sidecar_accepts_the_configuration_without_advice(config: Config, deploy: DeployConfig) -> None:
    assert (deploy.claim, [each.label for each in deploy.announce]) == (
        ClaimBy.KUBERNETES,
        ["slack", "kubernetes-event"],
    )
    assert config.advice == ()


def test_the_example_checks_what_the_one_that_it_adds_to_does() -> None:
    plain = (ROOT / "examples" / "kubernetes" / "config.yaml").read_text()

    assert (EXAMPLE / "config.yaml").read_text().startswith(f"{plain}\ndeploy:\n")


def test_the_revision_is_the_tag_of_the_apps_image(deploy: DeployConfig) -> None:
    [app] = pod_of(OBJECTS)["containers"]
    [image] = yaml.safe_load((EXAMPLE / "kustomization.yaml").read_text())["images"]

    assert app["image"] == f"{image['name']}:{deploy.revision}"
    assert deploy.revision == image["newTag"]


def test_the_secret_files_that_are_read_are_mounted_in_the_sidecar_alone(config: Config) -> None:
    assert {str(path) for path in config.files} <= set(secret_files(sidecar()))
    [app] = pod_of(OBJECTS)["containers"]
    assert "/run/secrets/slack/token" not in set(secret_files(app))


def secret_files(container: Manifest) -> Iterator[str]:
    """Yield the files that the kubelet makes of Secrets in a container."""
    volumes = {each["name"]: each["secret"] for each in pod_of(OBJECTS)["volumes"] if "secret" in each}
    for mount in container["volumeMounts"]:
        if mount["name"] in volumes:
            secret = of(OBJECTS, "Secret", volumes[mount["name"]]["secretName"])
            yield from (f"{mount['mountPath']}/{key}" for key in secret["stringData"])


def test_a_deploy_times_out_when_a_start_has_used_up_its_budgets_and_a_minute_before_the_rollout(
    config: Config, deploy: DeployConfig
) -> None:
    [app] = pod_of(OBJECTS)["containers"]
    boot = app["startupProbe"]["periodSeconds"] * app["startupProbe"]["failureThreshold"]
    spec = of(OBJECTS, "Deployment")["spec"]

    assert deploy.deadline == config.sections.startup.deadline + boot + deploy.stable_for
    assert spec["progressDeadlineSeconds"] == deploy.deadline + 60
    assert spec["minReadySeconds"] <= deploy.stable_for
    assert f"`progressDeadlineSeconds: {spec['progressDeadlineSeconds']}`" in PAGE


def test_a_job_finds_every_pod_and_reaches_its_sidecar(config: Config) -> None:
    service = of(OBJECTS, "Service", "builds-pods")["spec"]
    policy = of(OBJECTS, "NetworkPolicy", "builds-deploys")["spec"]
    labels = of(OBJECTS, "Deployment")["spec"]["template"]["metadata"]["labels"]
    port = config.sections.server.port

    assert service == {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": labels,
        "ports": [{"name": "sidecar", "port": port}],
    }
    assert policy["podSelector"] == {"matchLabels": labels}
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": port}]]
