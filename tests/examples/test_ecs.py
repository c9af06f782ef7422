"""The example for ECS: a task definition that the API accepts, and that fits its configuration."""

import json
from typing import Any, Final

import botocore.session
import pytest
from botocore.validate import ParamValidator

from sidecar.checks import InstalledTypes
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.source import Source
from sidecar.core.verdict import Gate
from sidecar.lint.times import BEYOND_DEADLINE, needed_grace
from tests.k8s.commands import understands
from tests.k8s.manifests import ROOT

FOLDER: Final = ROOT / "examples" / "ecs"
TASK: Final[dict[str, Any]] = json.loads((FOLDER / "task-definition.json").read_text())
SIDECAR, APP = TASK["containerDefinitions"]
FARGATE_START_LIMIT: Final = 120
"""Seconds: the longest startTimeout on Fargate (ECS API, ContainerDefinition)."""


@pytest.fixture
def config() -> Config:
    """Return the configuration, its variables set as the task definition sets them."""
    variables = {secret["name"]: "s3cret" for secret in SIDECAR["secrets"]}
    return load(Source.from_file(FOLDER / "config.yaml"), InstalledTypes(), variables)


def faults(task: dict[str, Any]) -> str:
    """Return what the API's model says against a task definition: unknown, missing and mistyped fields."""
    model = botocore.session.get_session().get_service_model("ecs")
    shape = model.operation_model("RegisterTaskDefinition").input_shape
    return str(ParamValidator().validate(task, shape).generate_report())


def test_the_api_knows_every_field() -> None:
    assert faults(TASK) == ""


def test_the_api_would_refuse_another_field() -> None:
    assert "Unknown parameter" in faults({**TASK, "containerDefinitions": [{**APP, "preStop": {}}]})


def test_the_app_is_started_when_the_sidecar_is_healthy() -> None:
    assert APP["dependsOn"] == [{"containerName": SIDECAR["name"], "condition": "HEALTHY"}]


def test_the_program_understands_its_health_check() -> None:
    first, program, *words = SIDECAR["healthCheck"]["command"]

    assert (first, program) == ("CMD", "sidecar")
    assert understands(words)


def test_the_health_check_that_the_app_waits_for_waits_for_no_app(config: Config) -> None:
    """`readyz` would wait for the app's own check, and the app waits for the health check."""
    assert SIDECAR["healthCheck"]["command"][-1] == "startupz"
    assert [c.name for c in config.checks if Gate.STARTUP in c.gates and not c.is_remote] == []


def test_a_sick_sidecar_is_restarted_and_costs_no_task() -> None:
    assert (SIDECAR["essential"], SIDECAR["restartPolicy"]["enabled"], APP["essential"]) == (
        False,
        True,
        True,
    )


def test_a_start_that_the_configuration_allows_is_waited_for(config: Config) -> None:
    needed = config.sections.startup.deadline + BEYOND_DEADLINE

    assert (SIDECAR["startTimeout"], SIDECAR["healthCheck"]["startPeriod"]) == (needed, needed)
    assert needed <= FARGATE_START_LIMIT


def test_the_numbers_of_the_health_check_are_in_the_ranges_of_ecs() -> None:
    check = SIDECAR["healthCheck"]

    assert 5 <= check["interval"] <= 300
    assert 2 <= check["timeout"] <= 60
    assert 1 <= check["retries"] <= 10
    assert 0 <= check["startPeriod"] <= 300


def test_the_drain_ends_before_it_is_killed(config: Config) -> None:
    assert SIDECAR["stopTimeout"] >= needed_grace(config.sections.drain)


def test_the_main_listener_is_published_and_the_admin_listener_is_not(config: Config) -> None:
    assert [each["containerPort"] for each in SIDECAR["portMappings"]] == [config.sections.server.port]


def test_the_sidecar_has_the_apps_own_secrets() -> None:
    assert SIDECAR["secrets"] == APP["secrets"]


def test_it_is_a_configuration_without_advice(config: Config) -> None:
    assert config.advice == ()
