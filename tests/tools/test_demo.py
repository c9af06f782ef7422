"""The main job, as a person runs it: three real dependencies, an app, and the sidecar between them."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tools import demo
from tools.servers import S3Server
from tools.servers.server import ask_http

PATIENCE = 30.0
"""Seconds for what the demo makes no promise about."""
PROMISE = 5.0
"""Seconds from the death, or the return, of Redis to the answer of `/readyz`."""


@dataclass(frozen=True)
class Demo:
    """A demo that runs, with what it printed."""

    process: subprocess.Popen[str]
    folder: Path
    port: int
    pids: dict[str, int]

    def get(self, path: str) -> tuple[int, str]:
        """Ask the sidecar; 0 where it does not answer."""
        try:
            status, body = ask_http("127.0.0.1", self.port, "GET", path)
        except OSError:
            return 0, ""
        return status, body.decode()

    def seconds_until(self, path: str, status: int) -> float:
        """Return how long it took until the sidecar answered so."""
        started = time.monotonic()
        while (answer := self.get(path))[0] != status:
            assert time.monotonic() < started + PATIENCE, answer
            time.sleep(0.05)
        return time.monotonic() - started

    def tell(self, verb: str, name: str) -> str:
        """Do what a person does in another terminal."""
        command = [sys.executable, "-m", "tools.demo", verb, name]
        return subprocess.run(
            command, env=_environ(self.folder), capture_output=True, text=True, check=True
        ).stdout

    def children(self) -> set[int]:
        """Return every process that the demo started and that lives."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return {int(pid) for task in tasks for pid in task.read_text().split()}


@contextmanager
def running(folder: Path) -> Iterator[Demo]:
    """Yield a demo whose sidecar was just started."""
    command = [sys.executable, "-m", "tools.demo"]
    with subprocess.Popen(
        command, env=_environ(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = ""
            for line in process.stdout:
                told += line
                if line.startswith("logs of the servers"):
                    break
            port = re.search(r"http://127\.0\.0\.1:(\d+)/readyz", told)
            assert port is not None, told
            pids = {name: int(pid) for name, pid in re.findall(r"^  (\w+) +pid (\d+)", told, re.MULTILINE)}
            yield Demo(process, folder, int(port[1]), pids)
        finally:
            process.terminate()


def _environ(folder: Path) -> dict[str, str]:
    return os.environ | {"DEMO_FOLDER": str(folder)}


def watching(pids: set[int]) -> Callable[[], set[int]]:
    """Return a function that waits for all of these processes to end, and returns those that did not."""
    descriptors = {os.pidfd_open(pid): pid for pid in pids}

    def survivors() -> set[int]:
        left = dict(descriptors)
        deadline = time.monotonic() + PATIENCE
        while left and (ended := select.select(list(left), [], [], max(0, deadline - time.monotonic()))[0]):
            for descriptor in ended:
                del left[descriptor]
        for descriptor in descriptors:
            os.close(descriptor)
        return set(left.values())

    return survivors


@pytest.mark.servers
@pytest.mark.timeout(180)
def test_demo_shows_the_death_and_return_of_redis_s3_and_the_app(tmp_path: Path) -> None:
    with running(tmp_path) as running_demo:
        running_demo.seconds_until("/readyz", 200)
        all_up = running_demo.get("/readyz?verbose")[1]
        os.kill(running_demo.pids["redis"], signal.SIGTERM)
        seconds_down = running_demo.seconds_until("/readyz", 503)
        without_redis = running_demo.get("/readyz")[1]
        others = [running_demo.get(path)[0] for path in ("/livez", "/healthz", "/startupz")]
        told = running_demo.tell("start", "redis")
        seconds_up = running_demo.seconds_until("/readyz", 200)
        running_demo.tell("stop", "s3")
        running_demo.seconds_until("/readyz/artifacts", 503)
        running_demo.tell("start", "s3")
        running_demo.seconds_until("/readyz/artifacts", 200)
        running_demo.tell("stop", "app")
        running_demo.seconds_until("/livez", 503)
        without_app = running_demo.get("/livez")[1]
        survivors = watching(running_demo.children())
        running_demo.process.terminate()
        code = running_demo.process.wait(PATIENCE)

    assert all_up == "[+]sessions ok\n[+]builds ok\n[+]artifacts ok\n[+]app ok\nreadyz check passed\n"
    assert "[-]sessions failed: refused\n" in without_redis
    assert "[-]app failed: refused\n" in without_app
    assert (seconds_down < PROMISE, seconds_up < PROMISE, others) == (True, True, [200, 200, 200])
    assert re.fullmatch(r"==> redis runs as process \d+\n+", told)
    assert (code, survivors()) == (0, set())


@pytest.mark.servers
@pytest.mark.timeout(120)
def test_killed_demo_leaves_nothing_running(tmp_path: Path) -> None:
    with running(tmp_path) as running_demo:
        running_demo.seconds_until("/readyz", 200)
        children = running_demo.children()
        survivors = watching(children)
        running_demo.process.kill()

    assert len(children) == 6  # redis, epmd and broker, moto, app, sidecar
    assert survivors() == set()


def test_asking_where_no_demo_runs_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.demo", "stop", "redis"]
    asked = subprocess.run(command, env=_environ(tmp_path), capture_output=True, text=True, check=False)

    assert (asked.returncode, asked.stdout) == (
        1,
        "==> no demo of this checkout is running: start it with `make run`\n",
    )


def test_unknown_part_is_answered_with_the_usage() -> None:
    command = [sys.executable, "-m", "tools.demo", "stop", "postgres"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (asked.returncode, asked.stdout) == (
        2,
        "==> usage: python -m tools.demo [start|stop redis|rabbitmq|s3|app]\n",
    )


def test_checks_of_what_is_missing_are_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "FOLDER", tmp_path)
    here = {"s3": S3Server(tmp_path), "app": demo.AppServer(tmp_path)}

    served = yaml.safe_load(demo.served_config(here).read_bytes())

    assert [check["name"] for check in served["checks"]] == ["artifacts", "app"]
    assert demo.served_config(dict.fromkeys(["redis", "rabbitmq", "s3", "app"], here["s3"])) == demo.CONFIG


def test_taken_port_is_replaced_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("", 0)) as taken:
        wanted = taken.getsockname()[1]
        chosen = demo.free_port("SIDECAR_PORT", wanted)

    assert chosen != wanted
    assert capsys.readouterr().out == f"==> port {wanted} is taken: SIDECAR_PORT is {chosen} instead\n"
