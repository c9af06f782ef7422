"""Who watches a Redis besides the sidecar, and how each is asked what it knows: all at the same interval."""

import csv
import http.client
import io
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Final, Protocol

from benchmarks.servers import sidecar
from tools.servers import find_command

THRESHOLDS: Final = (1, 3)
"""Failures in a row: at once, and the default of the sidecar, HAProxy and the kubelet."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched, and how: so many times at once, that a death is so many trials."""

    host: str
    port: int
    interval: float
    timeout: float
    checks: int

    def watches(self) -> list[str]:
        """Return a name for each watch at each threshold, which it begins with."""
        return [f"t{threshold}-{number}" for threshold in THRESHOLDS for number in range(self.checks)]


class Observer(Protocol):
    """Knows of each key whether the subject is up."""

    def statuses(self) -> Mapping[str, bool]:
        """Return what is known now."""
        ...


class Kubelet:
    """Asks the sidecar for all checks at once, over a kept connection, and believes the status code alone."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def statuses(self) -> Mapping[str, bool]:
        """Return which checks hold back no probe: all of them where the code is 200, else those marked so."""
        self._connection.request("GET", "/readyz?verbose")
        response = self._connection.getresponse()
        lines = response.read().decode().splitlines()
        is_ready = response.status == HTTPStatus.OK
        return {line[3:].split()[0]: is_ready or line[1] == "+" for line in lines if line.startswith("[")}


class Poller:
    """A loop a watch: connect, PING, wait for the rest of the interval."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._streaks = dict.fromkeys(range(watched.checks), 0)
        self._stopped = threading.Event()
        for number in range(watched.checks):
            threading.Thread(target=self._poll, args=(number,), daemon=True).start()

    def stop(self) -> None:
        """Poll no more."""
        self._stopped.set()

    def statuses(self) -> Mapping[str, bool]:
        """Return which watches have fewer failures in a row than their threshold."""
        streaks = dict(self._streaks)
        return {
            f"t{limit}-{number}": streak < limit for limit in THRESHOLDS for number, streak in streaks.items()
        }

    def _poll(self, number: int) -> None:
        interval = self._watched.interval
        self._stopped.wait(Random().uniform(0, interval))  # noqa: S311 - spreads load
        while not self._stopped.is_set():
            began = time.monotonic()
            self._streaks[number] = 0 if self._is_up() else self._streaks[number] + 1
            self._stopped.wait(max(began + interval - time.monotonic(), 0))

    def _is_up(self) -> bool:
        address, timeout = (self._watched.host, self._watched.port), self._watched.timeout
        with suppress(OSError), socket.create_connection(address, timeout=timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        return False


class Haproxy:
    """HAProxy's own checks of a Redis, asked over its socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def statuses(self) -> Mapping[str, bool]:
        """Return which servers are up."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._path))
            connection.sendall(b"show stat\n")
            told = connection.makefile().read().lstrip("# ")
        return {row["svname"]: row["status"].startswith("UP") for row in csv.DictReader(io.StringIO(told))}


@contextmanager
def watching_sidecar(folder: Path, watched: Watched) -> Iterator[Observer]:
    """Have a sidecar watch inside the block."""
    checks = [
        {
            "name": key,
            "type": "redis",
            "url": f"redis://{watched.host}:{watched.port}/0",
            "gates": "readiness",
            "interval": f"{watched.interval * 1000:.0f}ms",
            "timeout": f"{watched.timeout * 1000:.0f}ms",
            "failure_threshold": int(key[1 : key.index("-")]),
        }
        for key in watched.watches()
    ]
    with sidecar(folder, checks) as server:
        yield Kubelet(server.port)


@contextmanager
def watching_poller(_folder: Path, watched: Watched) -> Iterator[Observer]:
    """Have a plain poller watch inside the block."""
    poller = Poller(watched)
    try:
        yield poller
    finally:
        poller.stop()


@contextmanager
def watching_haproxy(folder: Path, watched: Watched) -> Iterator[Observer]:
    """Have HAProxy watch inside the block.

    Raises:
        ServerMissing: it is not on this machine.
    """
    command, path = find_command("haproxy"), folder / f"haproxy-{watched.port}.sock"
    servers = [
        f"  server {key} {watched.host}:{watched.port} check inter {watched.interval * 1000:.0f} "
        f"fall {key[1 : key.index('-')]} rise 1"
        for key in watched.watches()
    ]
    config = folder / f"haproxy-{watched.port}.cfg"
    config.write_text(
        "\n".join(
            [
                f"global\n  stats socket {path}",
                "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s",
                f"backend watched\n  option redis-check\n  timeout check {watched.timeout * 1000:.0f}",
                *servers,
                "",
            ]
        )
    )
    process = subprocess.Popen([command, "-db", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        while not path.exists() and process.poll() is None:
            time.sleep(0.01)
        yield Haproxy(path)
    finally:
        process.kill()
        process.wait()
