"""The section `deploy` as a pipeline reads it: alone, and with what the pipeline knows."""

from collections.abc import Mapping
from textwrap import dedent
from typing import Any

import pytest

from sidecar.config.deploy import DeployConfig
from sidecar.config.load_deploy import LoadedDeploy, load_deploy
from sidecar.config.problems import ConfigError
from sidecar.config.source import Source
from sidecar.core.announcement import Origin
from sidecar.core.deploy import DeployEvent
from tests.deploys.services import TYPES, ListenerConfig

WHOLE = """
deploy:
  service: web
  environment: production
  revision: ${GIT_SHA}
"""


def read(
    text: str,
    *,
    given: Mapping[str, str] | None = None,
    otherwise: Mapping[str, str] | None = None,
    **environ: str,
) -> LoadedDeploy:
    source = Source("c.yaml", dedent(text).encode())
    return load_deploy(source, environ, services=TYPES, given=given or {}, otherwise=otherwise or {})


def problems(text: str, *, otherwise: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text, otherwise=otherwise)
    return [str(each) for each in raised.value.problems]


def config(revision: str, **more: Any) -> DeployConfig:
    return DeployConfig(service="web", environment="production", revision=revision, **more)


@pytest.mark.parametrize(
    ("given", "otherwise", "environ", "revision"),
    [
        ({}, {}, {"GIT_SHA": "file"}, "file"),
        ({}, {"revision": "pipeline"}, {"GIT_SHA": "file"}, "file"),
        ({}, {"revision": "pipeline"}, {}, "pipeline"),
        ({}, {"revision": "pipeline"}, {"GIT_SHA": ""}, "pipeline"),
        ({"revision": "option"}, {"revision": "pipeline"}, {"GIT_SHA": "file"}, "option"),
        ({"revision": "option"}, {}, {}, "option"),
    ],
)
def test_an_option_goes_before_the_file_and_the_file_before_the_pipeline(
    given: dict[str, str], otherwise: dict[str, str], environ: dict[str, str], revision: str
) -> None:
    assert read(WHOLE, given=given, otherwise=otherwise, **environ).deploy == config(revision)


def test_what_the_file_leaves_out_is_taken_from_outside() -> None:
    loaded = read(
        "deploy: {service: web}",
        given={"environment": "production", "id": "7"},
        otherwise={"revision": "abc", "id": "8", "user": "ada"},
    )

    assert loaded.deploy == config("abc", id="7", user="ada")


def test_nothing_else_of_the_file_is_read() -> None:
    loaded = read(
        """
        deploy:
          service: web
          environment: production
          revision: abc
          deadline: 5m
          claim: redis
          redis: {url: "${REDIS_URL}"}
          announce: [{type: listener, token: "${TOKEN}", events: [started, failed]}]
        checks: {this: is, not: read}
        server: 17
        """,
        TOKEN="hidden-token",
    )

    assert loaded.secrets == {"hidden-token"}
    assert loaded.deploy.deadline == 300.0
    (listener,) = loaded.deploy.announce
    assert isinstance(listener, ListenerConfig)
    assert listener.events == {DeployEvent.STARTED, DeployEvent.FAILED}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["c.yaml: is empty; write a mapping with the key deploy"]),
        (
            "checks: []",
            ["c.yaml:1:1: the key deploy is missing: Which revision we are, and who hears of it."],
        ),
        ("deploy: [a]", ["c.yaml:1:9: deploy: is a list; write a mapping of keys and values"]),
        (
            "deploy: {environment: x, revision: '${A}', id: '${B:-}', user: '${C'}",
            [
                "c.yaml:1:9: deploy: the key service is missing: Name of what is deployed.",
                "c.yaml:1:36: deploy.revision: the variable A is not set; set it, or write ${A:-default}",
                "c.yaml:1:48: deploy.id: is empty; write a text, or leave the key out",
                (
                    "c.yaml:1:64: deploy.user: has a '${' without its '}'; write ${NAME}, ${NAME:-default} "
                    "or ${file:/path}, and $${ for a literal ${"
                ),
            ],
        ),
        (
            "deploy: {x: 1, service: a, environment: b, revision: c, announce: [{type: x, token: '${'}]}",
            [
                "c.yaml:1:10: deploy: unknown key 'x'; choose from announce, branch",
                "c.yaml:1:75: deploy.announce[0].type: unknown service 'x'; choose from cluster, finder",
            ],
        ),
    ],
)
def test_every_problem_of_the_section_is_told_at_once(text: str, said: list[str]) -> None:
    told = problems(text)

    assert [each[: len(expected)] for each, expected in zip(told, said, strict=True)] == said


def test_a_pipelines_word_does_not_hide_what_is_wrong_with_the_files() -> None:
    assert problems("deploy: {service: a, environment: b, revision: ~}", otherwise={"revision": "x"}) == [
        (
            "c.yaml:1:48: deploy.revision: has no value; write one, or leave the key out; "
            "put ~ in quotes if the word is meant"
        )
    ]


def test_the_page_of_a_commit_is_made_of_its_revision() -> None:
    deploy = config("feature/a b", commit_url="https://git.test/{revision}", user="ada", comment="why")

    assert deploy.origin == Origin(user="ada", comment="why", commit_url="https://git.test/feature/a%20b")


def test_a_key_that_is_malformed_is_told_though_a_pipeline_knows_it() -> None:
    text = "deploy: {service: builds, environment: production, revision: '${'}\n"

    assert any("has a '${' without its '}'" in each for each in problems(text, otherwise={"revision": "abc"}))
