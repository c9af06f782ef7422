"""What a pipeline knows of the deploy that it makes, from the variables that its provider sets.

Pure. The variables are those that the providers document:
https://circleci.com/docs/reference/variables/
https://docs.github.com/en/actions/reference/workflows-and-actions/variables
https://docs.gitlab.com/ci/variables/predefined_variables/
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What is known of a run of a pipeline; empty where nothing is."""

    revision: str = ""
    id: str = ""
    """Of the run: another one each time, also when it is run again."""
    user: str = ""
    branch: str = ""
    commit_url: str = ""
    build_url: str = ""

    def known(self) -> dict[str, str]:
        """Return what is not empty, by the key of the section `deploy` that says the same."""
        return {key: value for key, value in asdict(self).items() if value}


def pipeline_of(environ: Mapping[str, str]) -> Pipeline:
    """Return what the environment of a job says; nothing, if it is that of no provider we know."""
    for mark, read in _PROVIDERS.items():
        if environ.get(mark) == "true":
            return read(lambda name: environ.get(name, ""))
    return Pipeline()


Variable = Callable[[str], str]
"""Returns the value of a variable; empty if it is not set."""


def _circleci(variable: Variable) -> Pipeline:
    """Read the variables of CircleCI, where a workflow that is run again has another id."""
    revision = variable("CIRCLE_SHA1")
    return Pipeline(
        revision=revision,
        id=variable("CIRCLE_WORKFLOW_ID"),
        user=variable("CIRCLE_USERNAME"),
        branch=variable("CIRCLE_BRANCH") or variable("CIRCLE_TAG"),
        commit_url=_page_on_github(variable("CIRCLE_REPOSITORY_URL"), revision),
        build_url=variable("CIRCLE_BUILD_URL"),
    )


def _github(variable: Variable) -> Pipeline:
    """Read the variables of GitHub Actions, where a run that is repeated keeps its id and counts attempts.

    `GITHUB_ACTOR` remains who began the first attempt. In a run for a pull request `GITHUB_REF_NAME` is
    `12/merge`, and `GITHUB_HEAD_REF` its branch.
    """
    revision, run = variable("GITHUB_SHA"), variable("GITHUB_RUN_ID")
    repository = _under(variable("GITHUB_SERVER_URL"), variable("GITHUB_REPOSITORY"))
    attempt = variable("GITHUB_RUN_ATTEMPT")
    return Pipeline(
        revision=revision,
        id=f"{run}-{attempt}" if run and attempt else run,
        user=variable("GITHUB_TRIGGERING_ACTOR") or variable("GITHUB_ACTOR"),
        branch=variable("GITHUB_HEAD_REF") or variable("GITHUB_REF_NAME"),
        commit_url=_under(repository, "commit", revision),
        build_url=_under(repository, "actions", "runs", run),
    )


def _gitlab(variable: Variable) -> Pipeline:
    """Read the variables of GitLab CI, where a job that is run again belongs to the same pipeline."""
    revision = variable("CI_COMMIT_SHA")
    return Pipeline(
        revision=revision,
        id=variable("CI_PIPELINE_ID"),
        user=variable("GITLAB_USER_LOGIN"),
        branch=variable("CI_COMMIT_REF_NAME"),
        commit_url=_under(variable("CI_PROJECT_URL"), "-", "commit", revision),
        build_url=variable("CI_PIPELINE_URL") or variable("CI_JOB_URL"),
    )


def _under(url: str, *steps: str) -> str:
    """Return the page below `url`; empty where a step of the way is not known."""
    return "/".join((url, *steps)) if url and all(steps) else ""


def _page_on_github(repository: str, revision: str) -> str:
    """Return the page of a commit; empty for a repository elsewhere, whose pages may be anywhere."""
    found = _ON_GITHUB.fullmatch(repository)
    return _under(f"https://github.com/{found['name']}", "commit", revision) if found else ""


_ON_GITHUB: Final = re.compile(
    r"(?:git@github\.com:|https://github\.com/)(?P<name>[\w.-]+/[\w.-]+?)(?:\.git)?/?"
)
_PROVIDERS: Final[Mapping[str, Callable[[Variable], Pipeline]]] = {
    "CIRCLECI": _circleci,
    "GITHUB_ACTIONS": _github,
    "GITLAB_CI": _gitlab,
}
"""How to read the variables of a provider, by the one that it sets to `true`."""
