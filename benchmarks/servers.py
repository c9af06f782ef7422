"""The processes that are compared: a bare handler, the sidecar with given checks, and what it asks."""

import compileall
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.client import ask, free_port, until_answered
from benchmarks.process import Memory, cpu_seconds, memory
from benchmarks.rows import Effort
from tools.image import allocator
from tools.servers.server import ask_http

CheckDocument = Mapping[str, Any]
ROOT: Final = Path(__file__).parents[1]
SETTLED_AFTER: Final = 11.0
"""Seconds after which what a start does is done, the last collection of garbage included."""
PYTHON: Final = (sys.executable, "-X", "frozen_modules=on")


@dataclass(frozen=True)
class Started:
    """A running process that answers on a port."""

    process: "subprocess.Popen[bytes]"
    port: int

    def memory(self) -> Memory:
        """Return its memory now."""
        return memory(self.process.pid)

    def cpu_seconds(self) -> float:
        """Return the processor seconds that it has used."""
        return cpu_seconds(self.process.pid)


@contextmanager
def started(command: Sequence[str], port: int, *, env: Mapping[str, str] | None = None) -> Iterator[Started]:
    """Run a program until the end of the block; it allocates memory as one in the image does."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**allocator(), **(os.environ if env is None else env)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Started(process, port)
    finally:
        process.kill()
        process.wait()


@contextmanager
def bare() -> Iterator[Started]:
    """Run a bare aiohttp handler that returns the bytes that a passing probe does."""
    with program("bare") as server:
        until_answered(server.port)
        yield server


def mirror(limit: Started, server: Started) -> None:
    """Have a bare handler return what `/readyz` of a server returns now."""
    head, _, body = ask(server.port).partition(b"\r\n\r\n")
    ask_http("127.0.0.1", limit.port, "PUT", f"/readyz?code={head[9:12].decode()}", body=body)


@contextmanager
def program(name: str, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Started]:
    """Run one of our `programs`; its port is the first argument."""
    port = free_port()
    with started(
        [*PYTHON, "-m", f"benchmarks.programs.{name}", str(port), *arguments], port, env=env
    ) as each:
        yield each


@contextmanager
def sidecar(
    folder: Path,
    checks: Iterable[CheckDocument],
    *,
    env: Mapping[str, str] | None = None,
    launcher: Sequence[str] = (),
) -> Iterator[Started]:
    """Run the sidecar with these checks, by a launcher that becomes it; the block begins when it listens."""
    port = free_port()
    config = write_config(folder, port, checks)
    with started([*launcher, *serve_command(config)], port, env=env) as server:
        until_answered(port, "/healthz")
        yield server


def settle(effort: Effort) -> None:
    """Wait until what starts do is done; hardly, for a smoke test."""
    time.sleep(0.2 if effort.is_quick else SETTLED_AFTER)


def compile_modules() -> None:
    """Compile our modules, as the image has them: where Python may write nothing a start would do it."""
    for package in ("sidecar", "benchmarks"):
        compileall.compile_dir(ROOT / package, quiet=1)


def serve_command(config: Path) -> list[str]:
    """Return the command that serves a configuration."""
    return [*PYTHON, "-m", "sidecar", "serve", "--config", str(config)]


def write_config(folder: Path, port: int, checks: Iterable[CheckDocument]) -> Path:
    """Write a configuration of these checks, and return where it is; JSON is YAML."""
    config = folder / f"{port}.yaml"
    server = {"port": port, "admin_port": free_port()}
    config.write_text(json.dumps({"ungated": True, "server": server, "checks": list(checks)}))
    return config
