"""The variables of a job, as each provider documents them."""

from typing import Final

SHA: Final = "c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffe"

CIRCLECI: Final = {
    "CI": "true",
    "CIRCLECI": "true",
    "CIRCLE_BRANCH": "main",
    "CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/web/42",
    "CIRCLE_REPOSITORY_URL": "git@github.com:acme/web.git",
    "CIRCLE_SHA1": SHA,
    "CIRCLE_USERNAME": "ada",
    "CIRCLE_WORKFLOW_ID": "b5f3f1a2-0000-4000-8000-000000000001",
}
GITHUB: Final = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "ada",
    "GITHUB_HEAD_REF": "",
    "GITHUB_REF_NAME": "main",
    "GITHUB_REPOSITORY": "acme/web",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_RUN_ID": "1658821493",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_SHA": SHA,
    "GITHUB_TRIGGERING_ACTOR": "grace",
}
GITLAB: Final = {
    "CI": "true",
    "GITLAB_CI": "true",
    "CI_COMMIT_REF_NAME": "main",
    "CI_COMMIT_SHA": SHA,
    "CI_JOB_ID": "77",
    "CI_JOB_URL": "https://gitlab.com/acme/web/-/jobs/77",
    "CI_PIPELINE_ID": "9001",
    "CI_PIPELINE_URL": "https://gitlab.com/acme/web/-/pipelines/9001",
    "CI_PROJECT_URL": "https://gitlab.com/acme/web",
    "GITLAB_USER_LOGIN": "ada",
}
PROVIDERS: Final = {"CircleCI": CIRCLECI, "GitHub Actions": GITHUB, "GitLab CI": GITLAB}
