"""What lets the sidecar ask the cluster: a token in its container only, and the name of its pod."""

from pathlib import Path

import pytest

from sidecar.config.model import KubernetesConfig
from sidecar.kube.here import FIELDS
from tests.k8s.kustomize import Manifest
from tests.k8s.pod_security import violations
from tests.k8s.rendered import pod_of, with_components


@pytest.fixture(params=[("events",), ("deploys",), ("events", "deploys")], ids="+".join)
def pod(request: pytest.FixtureRequest, tmp_path: Path) -> Manifest:
    """Return the example's pod with one of the components that ask the cluster, or with both."""
    return pod_of(with_components(tmp_path, *request.param))


def test_the_sidecar_alone_has_a_token_where_it_looks_for_it(pod: Manifest) -> None:
    [volume] = [each for each in pod["volumes"] if "projected" in each]
    mounted = {
        container["name"]: [
            mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == volume["name"]
        ]
        for container in pod["initContainers"] + pod["containers"]
    }

    assert (pod["automountServiceAccountToken"], mounted) == (
        False,
        {"sidecar": [KubernetesConfig().service_account], "app": []},
    )
    assert [path for each in volume["projected"]["sources"] for path in paths(each)] == ["token", "ca.crt"]
    assert violations(pod) == []


def paths(source: Manifest) -> list[str]:
    """Return the files that a source of a projected volume brings."""
    [(_, brought)] = source.items()
    return [each["path"] for each in brought.get("items", [brought])]


def test_the_sidecar_knows_its_pod(pod: Manifest) -> None:
    [sidecar] = pod["initContainers"]

    assert {each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"] for each in sidecar["env"]} == FIELDS
    assert len(sidecar["env"]) == len(FIELDS)


def test_both_components_make_the_same_of_a_pod_as_one_of_them(tmp_path: Path) -> None:
    one = with_components(tmp_path / "one", "deploys")
    both = with_components(tmp_path / "both", "events", "deploys")

    assert pod_of(both) == pod_of(one)
