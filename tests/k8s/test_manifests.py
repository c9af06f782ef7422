"""The shipped example: what the kubelet, the scheduler and the admission of a cluster read in it."""

from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest

from tests.k8s.kustomize import Manifest
from tests.k8s.manifests import CRDS, container, manifests, pod, the
from tests.k8s.pod_security import violations

PORT = 17808
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def probes(name: str) -> dict[str, Any]:
    return {probe: container(name)[probe] for probe in PROBES if probe in container(name)}


def fuse(probe: Manifest) -> int:
    """Return the seconds for which a probe may fail."""
    return int(probe["periodSeconds"] * probe["failureThreshold"])


@pytest.mark.parametrize(
    "manifest",
    [each for each in manifests() if each["kind"] not in CRDS],
    ids=lambda manifest: manifest["kind"],
)
def test_the_newest_kubernetes_accepts_every_field(manifest: Manifest) -> None:
    newest = kubernetes_validate.latest_version()

    assert kubernetes_validate.validate(manifest, newest, strict=True) == newest.rpartition(".")[0]


def test_the_sidecar_is_probed_as_designed() -> None:
    assert probes("sidecar") == {
        "startupProbe": {
            "httpGet": {"path": "/startupz", "port": "sidecar"},
            "periodSeconds": 2,
            "timeoutSeconds": 2,
            "failureThreshold": 165,
        },
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "sidecar"},
            "periodSeconds": 3,
            "timeoutSeconds": 2,
            "failureThreshold": 2,
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "sidecar"},
            "periodSeconds": 5,
            "timeoutSeconds": 2,
            "failureThreshold": 3,
            "terminationGracePeriodSeconds": 5,
        },
    }


def test_the_app_is_probed_through_the_sidecars_port_by_number() -> None:
    assert probes("app") == {
        "startupProbe": {
            "httpGet": {"path": "/readyz/app", "port": PORT},
            "periodSeconds": 2,
            "timeoutSeconds": 2,
            "failureThreshold": 30,
        },
        "livenessProbe": {
            "httpGet": {"path": "/livez", "port": PORT},
            "periodSeconds": 10,
            "timeoutSeconds": 2,
            "failureThreshold": 6,
        },
    }


def test_a_restart_of_a_sick_sidecar_does_not_burn_the_apps_fuse() -> None:
    of_the_sidecar = container("sidecar")["livenessProbe"]
    noticed = fuse(of_the_sidecar) + of_the_sidecar["timeoutSeconds"]
    grace, back_off, start, to_spare = of_the_sidecar["terminationGracePeriodSeconds"], 10, 1, 20

    assert fuse(container("app")["livenessProbe"]) >= noticed + grace + back_off + start + to_spare


def test_a_rollout_is_given_up_a_minute_after_every_budget_of_a_pod_is_used_up() -> None:
    deployment = the("Deployment")["spec"]
    startup_deadline = fuse(container("sidecar")["startupProbe"]) - 30
    boot_budget = fuse(container("app")["startupProbe"])

    assert deployment["progressDeadlineSeconds"] == startup_deadline + boot_budget + 60


def test_old_pods_serve_until_a_new_one_is_available() -> None:
    assert the("Deployment")["spec"]["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_the_sidecar_is_a_native_one() -> None:
    assert [(each["name"], each["restartPolicy"]) for each in pod()["initContainers"]] == [
        ("sidecar", "Always")
    ]


def test_every_probe_port_is_a_port_of_the_sidecar() -> None:
    assert container("sidecar")["ports"] == [{"name": "sidecar", "containerPort": PORT}]


def test_the_service_publishes_the_apps_port_only() -> None:
    app_ports = [port["name"] for port in container("app")["ports"]]

    assert [port["targetPort"] for port in the("Service")["spec"]["ports"]] == app_ports


def test_prometheus_finds_the_sidecars_port_by_its_name() -> None:
    [endpoint] = the("PodMonitor")["spec"]["podMetricsEndpoints"]

    assert (endpoint["port"], endpoint["path"]) == (container("sidecar")["ports"][0]["name"], "/metrics")


def test_the_network_policy_lets_in_what_the_containers_listen_on_by_number() -> None:
    open_ports = {port["port"] for rule in the("NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]}

    assert open_ports == {
        port["containerPort"] for name in ("app", "sidecar") for port in container(name)["ports"]
    }


def test_service_and_policy_select_the_pods() -> None:
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"]

    assert the("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert the("Service")["spec"]["selector"] == labels
    assert the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels


@pytest.mark.parametrize("name", ["app", "sidecar"])
def test_a_container_has_requests_and_a_memory_limit_and_no_cpu_limit(name: str) -> None:
    resources = container(name)["resources"]

    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}


def test_the_namespace_enforces_what_the_pod_obeys() -> None:
    assert the("Namespace")["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert violations(pod()) == []


def loosened(spec: Manifest, **fields: object) -> Manifest:
    """Return a pod of the sidecar alone, with other fields in its security context and none in the pod's."""
    first = spec["initContainers"][0]
    context = first["securityContext"] | fields
    return spec | {
        "securityContext": {},
        "initContainers": [first | {"securityContext": context}],
        "containers": [],
    }


@pytest.mark.parametrize(
    ("loosen", "violation"),
    [
        (lambda pod: pod | {"hostNetwork": True}, "hostNetwork"),
        (lambda pod: pod | {"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}, "volume node"),
        (lambda pod: loosened(pod, privileged=True), "sidecar privileged"),
        (lambda pod: loosened(pod, allowPrivilegeEscalation=None), "sidecar allowPrivilegeEscalation"),
        (lambda pod: loosened(pod, capabilities={"drop": ["NET_RAW"]}), "sidecar capabilities"),
        (
            lambda pod: loosened(pod, capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
            "sidecar capabilities",
        ),
        (lambda pod: loosened(pod, runAsNonRoot=None), "sidecar runAsNonRoot"),
        (lambda pod: loosened(pod, runAsUser=0), "sidecar runAsNonRoot"),
        (lambda pod: loosened(pod, seccompProfile={}), "sidecar seccompProfile"),
    ],
)
def test_a_looser_pod_would_be_refused(loosen: Callable[[Manifest], Manifest], violation: str) -> None:
    assert violations(loosen(pod())) == [violation]


def test_the_sidecar_can_write_to_nothing_but_its_latch() -> None:
    writable = [mount["name"] for mount in container("sidecar")["volumeMounts"] if not mount.get("readOnly")]

    assert container("sidecar")["securityContext"]["readOnlyRootFilesystem"] is True
    assert writable == ["sidecar-state"]


def test_every_mount_has_its_volume_and_every_volume_its_object() -> None:
    volumes = {volume["name"]: volume for volume in pod()["volumes"]}
    mounted = {m["name"] for name in ("app", "sidecar") for m in container(name)["volumeMounts"]}
    config_maps = {v["configMap"]["name"] for v in volumes.values() if "configMap" in v}
    secrets = {v["secret"]["secretName"] for v in volumes.values() if "secret" in v}

    assert mounted == volumes.keys()
    assert config_maps == {the("ConfigMap")["metadata"]["name"]}
    assert secrets == {the("Secret")["metadata"]["name"]}


def test_the_pod_asks_the_kubernetes_api_for_nothing() -> None:
    assert pod()["automountServiceAccountToken"] is False
