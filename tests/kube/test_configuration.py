"""The section `kubernetes`: off unless it is asked for, and then nothing that it needs may be missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.app.needs import find_cluster
from sidecar.checks import InstalledTypes
from sidecar.config.load import load
from sidecar.config.model import Config, KubernetesConfig
from sidecar.config.problems import ConfigError
from sidecar.config.source import Source
from sidecar.deploys import InstalledServices
from sidecar.kube.here import Here, Pod
from sidecar.runtime.changes import compare
from tests.process.program import run_sidecar

CHECKS = "checks: [{name: db, type: tcp, host: db, port: 1, gates: startup}]\n"
WANTED = f"{CHECKS}kubernetes:\n  readiness_events: true\n"
DEPLOY = """\
deploy:
  service: builds
  environment: ci
  revision: abc123
  claim: kubernetes
  announce:
    - type: kubernetes-event
    - {type: kubernetes-event, name: second}
"""
ENVIRON = {
    "POD_NAME": "builds-0",
    "POD_NAMESPACE": "ci",
    "POD_UID": "0c0ffee0-1",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
}


def loaded(text: str) -> Config:
    return load(Source("config.yaml", text.encode()), InstalledTypes(), {}, services=InstalledServices())


def test_by_default_the_cluster_is_told_nothing() -> None:
    config = loaded(CHECKS)

    assert config.sections.kubernetes == KubernetesConfig(
        readiness_events=False, service_account="/var/run/secrets/kubernetes.io/serviceaccount"
    )
    assert find_cluster(config, {}) is None


def test_a_pod_that_writes_no_events_pays_no_memory_for_them() -> None:
    shown = "import sys, sidecar.app.server; print(*(name for name in sys.modules if 'sidecar.' in name))"
    there = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True).stdout

    asked = {"sidecar.app.server", "sidecar.events", "sidecar.kube", "sidecar.core.telling"}
    assert asked & set(there.split()) == {"sidecar.app.server"}


def test_with_events_we_know_our_pod() -> None:
    assert find_cluster(loaded(WANTED), ENVIRON) == Here(
        pod=Pod(name="builds-0", namespace="ci", uid="0c0ffee0-1"), address="10.96.0.1:443"
    )


def test_what_the_manifest_lacks_is_told_at_the_line_that_needs_it() -> None:
    with pytest.raises(ConfigError) as refused:
        find_cluster(loaded(WANTED), {**ENVIRON, "POD_UID": ""})

    [problem] = refused.value.problems
    assert str(problem) == (
        "config.yaml:3:3: kubernetes.readiness_events: needs the variable POD_UID, which is not set; write "
        "in env of the sidecar's container: {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}"
    )


def test_outside_a_cluster_each_key_is_told_what_to_write_instead() -> None:
    config = loaded(f"{WANTED}{DEPLOY}")
    pod = {name: value for name, value in ENVIRON.items() if name.startswith("POD_")}
    needs = "needs KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, which the kubelet sets:"

    with pytest.raises(ConfigError) as refused:
        find_cluster(config, pod)

    assert [str(problem) for problem in refused.value.problems] == [
        f"config.yaml:3:3: kubernetes.readiness_events: {needs} outside a cluster write false",
        f"config.yaml:8:3: deploy.claim: {needs} outside a cluster write redis or none",
        f"config.yaml:9:3: deploy.announce.kubernetes-event: {needs} outside a cluster leave the service out",
        f"config.yaml:9:3: deploy.announce.second: {needs} outside a cluster leave the service out",
    ]


def test_a_variable_that_is_missing_is_told_once() -> None:
    with pytest.raises(ConfigError) as refused:
        find_cluster(loaded(f"{CHECKS}{DEPLOY}"), {**ENVIRON, "POD_UID": ""})

    [problem] = refused.value.problems
    assert str(problem).startswith(
        "config.yaml:6:3: deploy.claim: needs the variable POD_UID, which is not set"
    )


def test_a_change_waits_for_a_restart() -> None:
    assert compare(loaded(CHECKS), loaded(WANTED), frozenset()).waiting == ("kubernetes",)


@pytest.mark.slow
async def test_the_server_does_not_start_without_and_validate_needs_no_pod(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(WANTED)
    path = str(tmp_path / "c.yaml")

    served = await run_sidecar("serve", "--config", path)
    validated = await run_sidecar("validate", path)

    assert (served.code, served.out, served.err.splitlines()[-1], validated.code) == (
        2,
        "",
        "the configuration has 4 problems",
        0,
    )
