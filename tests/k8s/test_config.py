"""The shipped configurations: the sidecar accepts them, and they fit the pods that carry them."""

from pathlib import Path

import pytest

from sidecar.checks import InstalledTypes
from sidecar.cli._configuration import DEFAULT_PATH
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.source import Source
from sidecar.core.verdict import Gate
from tests.k8s.manifests import ROOT, container, mounted_at, the


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Return a folder with the files that the kubelet makes of the example's Secret."""
    for key, value in the("Secret")["stringData"].items():
        (tmp_path / key).write_text(value)
    return tmp_path


@pytest.fixture
def config(secrets: Path) -> Config:
    """Return the example's configuration, read as the example's sidecar reads it."""
    text: str = the("ConfigMap")["data"]["config.yaml"]
    here = text.replace(mounted_at("sidecar", "sidecar-secrets"), str(secrets))
    return load(Source("config.yaml", here.encode()), InstalledTypes(), {})


def test_the_example_is_configured_to_show_what_each_gate_is_for(config: Config) -> None:
    assert {check.name: check.gates for check in config.checks} == {
        "sessions": {Gate.READINESS},
        "builds": {Gate.STARTUP},
        "artifacts": {Gate.STARTUP},
        "app": {Gate.LIVENESS, Gate.READINESS},
    }
    assert config.advice == ()


def test_the_base_is_a_configuration_to_begin_with() -> None:
    config = load(Source.from_file(ROOT / "k8s" / "base" / "config.yaml"), InstalledTypes(), {})

    assert {check.name: check.gates for check in config.checks} == {"app": {Gate.READINESS}}
    assert config.advice == ()


def test_nothing_that_holds_the_app_back_asks_the_app(config: Config) -> None:
    assert [
        check.name for check in config.checks if Gate.STARTUP in check.gates and not check.is_remote
    ] == []


def test_the_startup_probe_outlasts_the_startup_deadline_by_half_a_minute(config: Config) -> None:
    probe = container("sidecar")["startupProbe"]

    assert probe["periodSeconds"] * probe["failureThreshold"] == config.sections.startup.deadline + 30


def test_the_configuration_is_mounted_where_the_sidecar_looks_for_it() -> None:
    [name] = the("ConfigMap")["data"]

    assert f"{mounted_at('sidecar', 'sidecar-config')}/{name}" == DEFAULT_PATH


def test_the_sidecar_listens_where_it_is_probed(config: Config) -> None:
    assert [port["containerPort"] for port in container("sidecar")["ports"]] == [config.sections.server.port]


def test_the_apps_startup_probe_asks_for_a_check_that_there_is(config: Config) -> None:
    path = container("app")["startupProbe"]["httpGet"]["path"]

    assert path.removeprefix("/readyz/") in [check.name for check in config.checks]


def test_the_sidecar_reads_every_key_of_its_secret(config: Config, secrets: Path) -> None:
    assert config.files == set(secrets.iterdir())
