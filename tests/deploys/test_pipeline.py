"""What a pipeline's variables say, as the providers document them."""

import pytest

from sidecar.deploys._pipeline import Pipeline, pipeline_of
from tests.deploys.pipelines import CIRCLECI, GITHUB, GITLAB, SHA


@pytest.mark.parametrize(
    ("environ", "pipeline"),
    [
        (
            CIRCLECI,
            Pipeline(
                revision=SHA,
                id="b5f3f1a2-0000-4000-8000-000000000001",
                user="ada",
                branch="main",
                commit_url=f"https://github.com/acme/web/commit/{SHA}",
                build_url="https://circleci.com/gh/acme/web/42",
            ),
        ),
        (
            GITHUB,
            Pipeline(
                revision=SHA,
                id="1658821493-2",
                user="grace",
                branch="main",
                commit_url=f"https://github.com/acme/web/commit/{SHA}",
                build_url="https://github.com/acme/web/actions/runs/1658821493",
            ),
        ),
        (
            GITLAB,
            Pipeline(
                revision=SHA,
                id="9001",
                user="ada",
                branch="main",
                commit_url=f"https://gitlab.com/acme/web/-/commit/{SHA}",
                build_url="https://gitlab.com/acme/web/-/pipelines/9001",
            ),
        ),
        ({}, Pipeline()),
        ({"CI": "true", "CIRCLE_SHA1": SHA}, Pipeline()),
        ({"CIRCLECI": "true"}, Pipeline()),
        ({"GITHUB_ACTIONS": "true"}, Pipeline()),
        ({"GITLAB_CI": "true"}, Pipeline()),
    ],
)
def test_a_pipeline_knows_what_its_provider_says(environ: dict[str, str], pipeline: Pipeline) -> None:
    assert pipeline_of(environ) == pipeline


@pytest.mark.parametrize(
    ("environ", "key", "value"),
    [
        ({**CIRCLECI, "CIRCLE_BRANCH": "", "CIRCLE_TAG": "v1.2"}, "branch", "v1.2"),
        (
            {**CIRCLECI, "CIRCLE_REPOSITORY_URL": "https://github.com/acme/web"},
            "commit_url",
            f"https://github.com/acme/web/commit/{SHA}",
        ),
        ({**CIRCLECI, "CIRCLE_REPOSITORY_URL": "git@bitbucket.org:acme/web.git"}, "commit_url", ""),
        ({**CIRCLECI, "CIRCLE_REPOSITORY_URL": "git@github.com.evil.test:acme/web.git"}, "commit_url", ""),
        ({**GITHUB, "GITHUB_HEAD_REF": "fix", "GITHUB_REF_NAME": "12/merge"}, "branch", "fix"),
        ({**GITHUB, "GITHUB_TRIGGERING_ACTOR": ""}, "user", "ada"),
        ({**GITHUB, "GITHUB_RUN_ATTEMPT": ""}, "id", "1658821493"),
        ({**GITHUB, "GITHUB_REPOSITORY": ""}, "build_url", ""),
        ({**GITLAB, "CI_PIPELINE_URL": ""}, "build_url", "https://gitlab.com/acme/web/-/jobs/77"),
    ],
)
def test_a_variable_stands_in_for_another(environ: dict[str, str], key: str, value: str) -> None:
    assert getattr(pipeline_of(environ), key) == value


def test_what_is_known_has_the_names_of_the_sections_keys() -> None:
    assert pipeline_of({"GITLAB_CI": "true", "CI_COMMIT_SHA": SHA, "GITLAB_USER_LOGIN": "ada"}).known() == {
        "revision": SHA,
        "user": "ada",
    }
