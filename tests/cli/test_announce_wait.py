"""`sidecar announce wait`, the program itself, with a resolv.conf and pods of the tests' own."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from sidecar.cli.verbs import sidecar
from tests.deploys.announcing import NO_PIPELINE
from tests.deploys.pipelines import GITLAB, SHA
from tests.deploys.pods import OLD, Pod, serving
from tests.network import FakeDns, refused, silent
from tests.process.harness import running, seeing
from tests.process.program import Ended, run_sidecar

FIRST, SECOND = "127.0.0.2", "127.0.0.3"
SHORT = "web-pods"
SEARCHED = "web-pods.default.svc.test"


@asynccontextmanager
async def cluster(pods: Sequence[Pod], folder: Path) -> AsyncIterator[tuple[int, Path]]:
    """Serve pods behind one name; yield their port, and a resolv.conf that finds it by its first label."""
    addresses = [pod.address for pod in pods]
    async with serving(pods) as port, FakeDns({SEARCHED: addresses}) as dns:
        resolv_conf = folder / "resolv.conf"
        resolv_conf.write_text(
            f"nameserver {dns.address}\nsearch default.svc.test svc.test\noptions ndots:5 timeout:1\n"
        )
        yield port, resolv_conf


async def wait(port: int, resolv_conf: Path, *more: str, env: Mapping[str, str] | None = None) -> Ended:
    process = await asyncio.create_subprocess_exec(
        *seeing(resolv_conf),
        *(sys.executable, "-m", "sidecar", "announce", "wait"),
        *("--host", SHORT, "--port", str(port), "--interval", "50ms", *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def test_a_deploy_that_is_live_is_over_with_0(tmp_path: Path) -> None:
    pods = [Pod(FIRST, is_ready=True), Pod(SECOND)]

    async def get_ready(pod: Pod) -> None:
        while len(pod.asked) < 3:  # noqa: ASYNC110 - the pod tells nobody
            await asyncio.sleep(0.01)
        pod.is_ready = True

    async with cluster(pods, tmp_path) as (port, resolv_conf), asyncio.TaskGroup() as group:
        group.create_task(get_ready(pods[1]))
        told = await wait(port, resolv_conf, "--revision", "abc123", "--at-least", "2")

    assert told == Ended(
        0,
        "live: 2 of 2 ready with abc123\n",
        "1 of 2 ready with abc123: 127.0.0.3 is not ready\n2 of 2 ready with abc123\n",
    )


async def test_a_deploy_that_has_failed_is_over_with_1_and_says_why(tmp_path: Path) -> None:
    pods = [Pod(FIRST, OLD, is_ready=True), Pod(SECOND, phase="failed", failures={"db": "failed: auth"})]
    async with cluster(pods, tmp_path) as (port, resolv_conf):
        told = await wait(port, resolv_conf, "--revision", "abc123")

    assert (told.code, told.out) == (1, "abc123 has failed\n127.0.0.3 has failed: db failed: auth\n")


async def test_time_that_runs_out_is_124(tmp_path: Path) -> None:
    async with cluster([Pod(FIRST, OLD, is_ready=True)], tmp_path) as (port, resolv_conf):
        told = await wait(port, resolv_conf, "--revision", "abc123", "--timeout", "2s")

    progress = "0 of 1 ready with abc123: 127.0.0.2 still runs def456"
    assert told == Ended(124, f"not live after 2s: {progress}\n", f"{progress}\n")


async def test_the_revision_is_the_pipelines_if_none_is_given(tmp_path: Path) -> None:
    async with cluster([Pod(FIRST, SHA, is_ready=True)], tmp_path) as (port, resolv_conf):
        told = await wait(port, resolv_conf, env=GITLAB)

    assert (told.code, told.out) == (0, f"live: 1 of 1 ready with {SHA}\n")


def deploy(deadline: str) -> str:
    return (
        f"deploy: {{service: web, environment: test, revision: abc123, stable_for: 1s, deadline: {deadline}}}"
    )


async def test_a_real_sidecar_is_waited_for_until_it_is_ready(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, gating(db.port), sections=deploy("1m")) as sidecar:
        told = await run_sidecar(*WAIT, "--port", str(sidecar.port), "--timeout", "10s")

    assert (told.code, told.out) == (0, "live: 1 of 1 ready with abc123\n")


async def test_a_real_sidecar_that_has_timed_out_says_what_failed(tmp_path: Path) -> None:
    async with refused() as db, running(tmp_path, gating(db.port), sections=deploy("2s")) as sidecar:
        told = await run_sidecar(*WAIT, "--port", str(sidecar.port), "--timeout", "20s")

    assert (told.code, told.out) == (
        1,
        "abc123 has failed\n127.0.0.1 has timed out: db failed: refused\n",
    )


def gating(port: int) -> str:
    return f"  - {{name: db, type: tcp, host: 127.0.0.1, port: {port}, gates: startup}}\n"


WAIT = ("announce", "wait", "--host", "127.0.0.1", "--interval", "100ms", "--revision", "abc123")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--host", "web"],
            "no variable of a pipeline says which revision is deployed; give --revision",
        ),
        (["--revision", "a"], "Missing option '--host'."),
        (
            ["--host", "web", "--revision", ""],
            "Invalid value for '--revision': is empty; write a text, or leave the option out",
        ),
        (
            ["--host", "web", "--revision", "a\n"],
            (
                "Invalid value for '--revision': 'a\\n' is not a revision; write at most 200 letters, digits "
                "and signs, without blanks"
            ),
        ),
        (
            ["--host", "a b", "--revision", "a"],
            "Invalid value for '--host': 'a b' is no host; write a name or an address",
        ),
        (
            ["--host", "web", "--revision", "a", "--at-least", "0"],
            "Invalid value for '--at-least': 0 is not in the range x>=1.",
        ),
        (
            ["--host", "web", "--revision", "a", "--port", "0"],
            "Invalid value for '--port': 0 is not in the range 1<=x<=65535.",
        ),
        (
            ["--host", "web", "--revision", "a", "--interval", "0s"],
            "Invalid value for '--interval': is nothing; write a longer time",
        ),
        (
            ["--host", "web", "--revision", "a", "--timeout", "10"],
            (
                "Invalid value for '--timeout': '10' is not a duration; write a whole number and one unit, "
                "such as 500ms, 10s, 5m or 1h; did you mean '10s'?"
            ),
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_2(arguments: list[str], said: str) -> None:
    told = CliRunner().invoke(sidecar, ["announce", "wait", *arguments], env=NO_PIPELINE)

    assert (told.exit_code, told.stdout, told.stderr.splitlines()[-1]) == (2, "", f"Error: {said}")


def test_an_address_where_nobody_listens_is_asked_until_time_runs_out() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = str(held.getsockname()[1])
        arguments = ["--host", "127.0.0.1", "--port", port, "--revision", "a", "--timeout", "300ms"]
        told = CliRunner().invoke(sidecar, ["announce", "wait", *arguments, "--interval", "100ms"])

    progress = "0 of 1 ready with a: 127.0.0.1 is not answering"
    assert (told.exit_code, told.stdout, told.stderr) == (
        124,
        f"not live after 300ms: {progress}\n",
        f"{progress}\n",
    )
