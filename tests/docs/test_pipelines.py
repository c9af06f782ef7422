"""The jobs of docs/pipelines.md, run as their providers run them, with services and pods of tests' own."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from sidecar.cli.verbs import sidecar
from sidecar.core.deploy import DeployEvent
from sidecar.deploys._once import ATTEMPTS, SECONDS, Ending
from sidecar.deploys._pipeline import pipeline_of
from tests.deploys.announcing import SECRETS
from tests.deploys.pipelines import PROVIDERS, SHA
from tests.deploys.pods import Pod, serving
from tests.deploys.stand_ins import RollbarStandIn, SlackStandIn
from tests.docs.examples import ROOT
from tests.network import FakeDns
from tests.process.harness import seeing

PAGE: Final = (ROOT / "docs" / "pipelines.md").read_text()
SERVICE: Final = "web-pods.production.svc.test"
ADDRESS: Final = "127.0.0.2"

_FENCE: Final = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """A command of a job; one that `may_fail` stops nothing, one `on_failure` is run after that alone."""

    command: str
    may_fail: bool = False
    on_failure: bool = False


def section(heading: str) -> Any:
    """Return the first YAML below a heading."""
    found = _FENCE.search(PAGE, PAGE.index(f"# {heading}\n"))
    assert found is not None
    return yaml.safe_load(found[1])


def circleci() -> list[Step]:
    runs = [each["run"] for each in section("CircleCI")["jobs"]["deploy"]["steps"] if "run" in each]
    return [Step(each["command"], on_failure=each.get("when") == "on_fail") for each in runs]


def github() -> list[Step]:
    runs = [each for each in section("GitHub Actions")["jobs"]["deploy"]["steps"] if "run" in each]
    return [
        Step(each["run"], each.get("continue-on-error", False), on_failure=each.get("if") == "failure()")
        for each in runs
    ]


def gitlab() -> list[Step]:
    job = section("GitLab CI")["deploy"]
    after = [Step(f"export CI_JOB_STATUS=failed\n{each}", on_failure=True) for each in job["after_script"]]
    return [*map(Step, job["script"]), *after]


JOBS: Final[Mapping[str, Callable[[], list[Step]]]] = {
    "CircleCI": circleci,
    "GitHub Actions": github,
    "GitLab CI": gitlab,
}


@dataclass
class Job:
    """Where a job runs: a folder with the file of the page, and the programs and services that it calls."""

    slack: SlackStandIn
    rollbar: RollbarStandIn
    folder: Path
    resolv_conf: Path
    port: int
    env: Mapping[str, str]

    async def run(self, steps: Sequence[Step]) -> list[int]:
        """Run the steps as a provider does; return the code of each that was run."""
        codes: list[int] = []
        has_failed = False
        for step in steps:
            if step.on_failure == has_failed:
                codes.append(await self._run(step.command))
                has_failed = has_failed or (codes[-1] != 0 and not step.may_fail)
        return codes

    async def _run(self, command: str) -> int:
        local = command.replace("/tmp/", f"{self.folder}/").replace(  # noqa: S108 - a job has it for itself
            "announce wait ", f"announce wait --port {self.port} --interval 50ms "
        )
        process = await asyncio.create_subprocess_exec(
            *(*seeing(self.resolv_conf), "bash", "-e", "-c", local), cwd=self.folder, env=self.env
        )
        return await asyncio.wait_for(process.wait(), 30)


@asynccontextmanager
async def job(provider: str, folder: Path, pod: Pod) -> AsyncIterator[Job]:
    """Have a place in which a provider's job runs, beside one pod, with services that are stand-ins."""
    async with (
        SlackStandIn() as slack,
        RollbarStandIn() as rollbar,
        FakeDns({SERVICE: [pod.address]}) as dns,
        serving([pod]) as port,
    ):
        write_folder(folder, slack.url, rollbar.url)
        resolv_conf = folder / "resolv.conf"
        resolv_conf.write_text(f"nameserver {dns.address}\nsearch ci.svc.test svc.test\noptions ndots:5\n")
        path = f"{folder / 'programs'}:{os.environ['PATH']}"
        env = {"PATH": path, "RUNNER_TEMP": str(folder), **PROVIDERS[provider], **SECRETS}
        yield Job(slack, rollbar, folder, resolv_conf, port, env)


def write_folder(folder: Path, *services: str) -> None:
    """Write the file of the page, with the URL of each service, a manifest, and the programs."""
    config = section("The jobs")
    for each, url in zip(config["deploy"]["announce"], services, strict=True):
        each["base_url"] = url
    (folder / "sidecar.yaml").write_text(yaml.safe_dump(config))
    (folder / "deployment.yaml").write_text("image: web:@GIT_SHA@\n")
    (folder / "programs").mkdir()
    write_program(folder / "programs" / "sidecar", f'PYTHONPATH={ROOT} exec {sys.executable} -m sidecar "$@"')
    write_program(folder / "programs" / "kubectl", f'(echo "$@"; cat) > {folder}/applied')


def write_program(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("provider", JOBS)
async def test_a_job_whose_deploy_goes_live_says_so(provider: str, tmp_path: Path) -> None:
    pod = Pod(ADDRESS, SHA, is_ready=True)
    async with job(provider, tmp_path, pod) as place:
        codes = await place.run(JOBS[provider]())

    assert codes == [0, 0, 0, 0]
    assert (tmp_path / "applied").read_text() == f"apply -f -\nimage: web:{SHA}\n"
    (message,) = place.slack.accepted
    assert message["text"].startswith(f"web {SHA[:12]} is live in production after ")
    assert [(each["status"], each["revision"]) for each in place.rollbar.accepted] == [("succeeded", SHA)]
    assert (place.slack.refusals, place.rollbar.refusals) == ([], [])


@pytest.mark.parametrize("provider", JOBS)
async def test_a_job_whose_deploy_fails_says_so_under_the_message_of_its_start(
    provider: str, tmp_path: Path
) -> None:
    pod = Pod(ADDRESS, SHA, phase="failed", failures={"db": "failed: auth"})
    async with job(provider, tmp_path, pod) as place:
        codes = await place.run(JOBS[provider]())

    assert codes == [0, 0, 1, 0]
    started, failed = place.slack.accepted
    assert started["text"] == f"web {SHA[:12]} is being deployed to production"
    assert failed["text"].startswith(f"web {SHA[:12]} has failed in production after ")
    assert failed["thread_ts"] == started["ts"]
    assert [each["status"] for each in place.rollbar.accepted] == ["failed"]


@pytest.mark.parametrize("provider", JOBS)
async def test_a_service_that_refuses_stops_no_deploy(provider: str, tmp_path: Path) -> None:
    pod = Pod(ADDRESS, SHA, is_ready=True)
    async with job(provider, tmp_path, pod) as place:
        place.env = {**place.env, "ROLLBAR_TOKEN": "revoked-token"}
        await place.run(JOBS[provider]())

    assert place.rollbar.accepted == []
    assert [each["text"].split(" in ")[0] for each in place.slack.accepted] == [f"web {SHA[:12]} is live"]


def test_the_page_names_every_variable_that_is_read() -> None:
    class Variables(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            read.add(name)
            return super().get(name, default)

    read: set[str] = set()
    for mark in ("CIRCLECI", "GITHUB_ACTIONS", "GITLAB_CI"):
        pipeline_of(Variables({mark: "true"}))

    marks = {"CIRCLECI", "GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_SERVER_URL"}
    assert [name for name in sorted(read - marks) if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("verb", ["wait", *(event.value for event in DeployEvent if event != "timed_out")])
def test_the_page_names_every_option(verb: str) -> None:
    group: Any = sidecar.get_command(None, "announce")  # type: ignore[arg-type]
    options = [option for each in group.commands[verb].params for option in each.opts]

    assert [option for option in options if f"`{option}" not in PAGE] == []


def test_the_page_has_the_figures_of_the_code() -> None:
    assert (ATTEMPTS, SECONDS) == (5, 30.0)
    assert "up to five times, and given up after 30s" in " ".join(PAGE.split())
    assert [ending for ending in Ending if f"`{ending}`" not in PAGE] == []


def test_the_service_of_the_page_lists_pods_that_are_not_ready() -> None:
    service = section("Wait until it is live")

    assert (service["kind"], service["spec"]["clusterIP"], service["spec"]["publishNotReadyAddresses"]) == (
        "Service",
        "None",
        True,
    )
    assert [port["port"] for port in service["spec"]["ports"]] == [17808]
