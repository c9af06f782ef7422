"""The example for Compose: who waits for whom, what is asked, and how it ends."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from sidecar.checks import InstalledTypes
from sidecar.config.interpolate import Part, Scalar
from sidecar.config.kinds.number import DurationKind
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.source import Source
from sidecar.core.verdict import Gate
from sidecar.lint.times import needed_grace
from tests.k8s.commands import understands
from tests.k8s.manifests import ROOT

FOLDER: Final = ROOT / "examples" / "compose"
FILE: Final = FOLDER / "compose.yaml"
COMPOSE: Final[dict[str, Any]] = yaml.safe_load(FILE.read_text())
SERVICES: Final[dict[str, Any]] = COMPOSE["services"]
OURS: Final = ("prove", "sidecar")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Return the configuration that both containers of ours mount."""
    (tmp_path / "redis-password").write_text("s3cret")
    text = (FOLDER / "sidecar" / "config.yaml").read_text().replace("/run/secrets", str(tmp_path))
    return load(Source("config.yaml", text.encode()), InstalledTypes(), {})


def seconds(text: str) -> float:
    return DurationKind().parse(Scalar(text, (Part(text),)))


def test_the_schema_of_compose_accepts_the_file() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "ok -- validation done", "")


def test_the_app_is_started_when_its_dependencies_have_proved_themselves() -> None:
    assert SERVICES["app"]["depends_on"] == {"prove": {"condition": "service_completed_successfully"}}
    assert SERVICES["prove"]["command"][-2:] == ["--gate", "startup"]


def test_the_start_gate_asks_for_nothing_that_is_started_after_it(config: Config) -> None:
    gating = [check for check in config.checks if Gate.STARTUP in check.gates]

    assert [(check.name, check.is_remote) for check in gating] == [("sessions", True)]


def test_the_sidecar_lives_in_the_apps_network_and_is_made_anew_with_it() -> None:
    sidecar = SERVICES["sidecar"]

    assert sidecar["network_mode"] == "service:app"
    assert sidecar["depends_on"] == {"app": {"condition": "service_started", "restart": True}}
    assert "ports" not in sidecar, "a network that is another's publishes nothing of its own"


def test_whoever_needs_the_app_waits_for_its_sidecar_to_be_healthy() -> None:
    assert SERVICES["proxy"]["depends_on"] == {"sidecar": {"condition": "service_healthy"}}


def test_the_program_understands_what_it_is_told() -> None:
    first, *asked = SERVICES["sidecar"]["healthcheck"]["test"]

    assert (first, asked[0]) == ("CMD", "sidecar")
    assert understands(asked[1:])
    assert understands(SERVICES["prove"]["command"])


def test_a_start_that_the_configuration_allows_is_not_called_unhealthy(config: Config) -> None:
    assert seconds(SERVICES["sidecar"]["healthcheck"]["start_period"]) == config.sections.startup.deadline


def test_the_drain_ends_before_it_is_killed(config: Config) -> None:
    assert seconds(SERVICES["sidecar"]["stop_grace_period"]) >= needed_grace(config.sections.drain)


def test_every_file_is_where_the_configuration_looks_for_it() -> None:
    named = set(re.findall(r"/run/secrets/([\w-]+)", (FOLDER / "sidecar" / "config.yaml").read_text()))

    assert named == COMPOSE["secrets"].keys()
    assert [(SERVICES[name]["volumes"], SERVICES[name]["secrets"]) for name in OURS] == [
        (["./sidecar:/etc/sidecar:ro"], [*named]) for _ in OURS
    ]


def test_it_is_a_configuration_without_advice(config: Config) -> None:
    assert config.advice == ()
