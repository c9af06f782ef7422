"""How soon do we know?

Measured: the seconds from the death of a Redis to 503, and from its return to 200, for a kill, a SIGSTOP, and
a network that drops everything (in a namespace), at a failure threshold of 1 and the default of 3. Against: a
plain poller at the same interval, and HAProxy's checks. Each death is watched by many checks at once, whose
runs fall into different moments.
"""

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.client import free_port, until_open
from benchmarks.network import THERE, NoNamespaceError, namespace
from benchmarks.observers import (
    THRESHOLDS,
    Observer,
    Watched,
    watching_haproxy,
    watching_poller,
    watching_sidecar,
)
from benchmarks.rows import Effort, Findings, Row, Target
from tools.servers import RedisServer, ServerMissing, find_command

QUESTION: Final = "How soon do we know?"
TIMEOUT: Final = 1.0
LOOK: Final = 0.01
"""Seconds between two looks at an observer."""
PATIENCE: Final = 90.0
OBSERVERS: Final = {"sidecar": watching_sidecar, "poller": watching_poller, "HAProxy": watching_haproxy}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that begins and ends, at a server that is asked somewhere."""

    host: str
    port: int
    begin: Callable[[], object]
    end: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Trial:
    """A sort of death, how often it comes, and how many checks watch it."""

    name: str
    fault: "Callable[[Path], Iterator[Fault]]"
    is_silent: bool
    interval: float
    checks: int
    deaths: int

    def limit(self, threshold: int) -> float:
        """Return within how many seconds the sidecar shall know."""
        if self.is_silent:
            return 1.1 * self.interval + threshold * (TIMEOUT + 1.1)
        return 0.7 if threshold == 1 else 3.0


@dataclass(frozen=True, slots=True)
class Known:
    """Seconds until an observer knew of a death, and of a return, a value a check and death."""

    lost: Sequence[float]
    back: Sequence[float]


def _killed(folder: Path) -> Iterator[Fault]:
    with RedisServer(folder) as server:
        yield Fault("127.0.0.1", server.port, server.kill, server.start)


def _stopped(folder: Path) -> Iterator[Fault]:
    with RedisServer(folder) as server:
        yield Fault("127.0.0.1", server.port, server.pause, server.resume)


def _dropped(folder: Path) -> Iterator[Fault]:
    port = free_port()
    command = [find_command("redis-server"), "--port", str(port), "--bind", THERE, "--dir", str(folder)]
    with namespace() as network:
        process = subprocess.Popen(
            network.inside([*command, "--save", "", "--protected-mode", "no"]), stdout=subprocess.DEVNULL
        )
        try:
            until_open(port, host=THERE)
            yield Fault(THERE, port, network.drop, network.restore)
        finally:
            process.kill()
            process.wait()


TRIALS: Final = (
    Trial("killed", _killed, is_silent=False, interval=2.0, checks=10, deaths=5),
    Trial("killed, interval 10s", _killed, is_silent=False, interval=10.0, checks=25, deaths=2),
    Trial("SIGSTOP", _stopped, is_silent=True, interval=2.0, checks=10, deaths=5),
    Trial("network drop", _dropped, is_silent=True, interval=2.0, checks=10, deaths=5),
)


def measure(effort: Effort) -> Findings:
    """Let Redis servers die, all sorts of deaths side by side, for most of the time is waiting."""
    trials = (
        [replace(trial, interval=1.0, checks=2, deaths=1) for trial in TRIALS] if effort.is_quick else TRIALS
    )
    with ThreadPoolExecutor(len(trials)) as pool:
        rows = list(pool.map(lambda trial: _tried(effort, trial), trials))
    return Findings(
        [row for each in rows for row in each],
        [
            f"Timeout {TIMEOUT:.0f}s; "
            + ", ".join(
                f"{each.name}: interval {each.interval:g}s, {each.deaths} deaths of {each.checks} checks"
                for each in trials
            )
            + ".",
            f"Every observer is looked at each {LOOK * 1000:.0f} ms.",
            "A check is down by its line in the body of a 503, and by nothing else.",
        ],
    )


def _tried(effort: Effort, trial: Trial) -> list[Row]:
    folder = effort.folder / trial.name.replace(" ", "-").replace(",", "")
    folder.mkdir()
    with ExitStack() as stack:
        try:
            fault = stack.enter_context(contextmanager(trial.fault)(folder))
        except (NoNamespaceError, ServerMissing) as failure:
            return [Row(trial.name, None, note=f"skipped: {failure}")]
        watched = Watched(fault.host, fault.port, trial.interval, TIMEOUT, trial.checks)
        watchers: dict[str, Watcher] = {}
        skipped = []
        for name, watching in OBSERVERS.items():
            try:
                watchers[name] = Watcher(stack.enter_context(watching(folder, watched)))
                stack.callback(watchers[name].stop)
            except ServerMissing as failure:
                skipped.append(Row(f"{trial.name}: {name}", None, note=f"skipped: {failure}"))
        known = _die_and_return(trial, fault, watchers)
    return [*_rows(trial, known), *skipped]


def _die_and_return(
    trial: Trial, fault: Fault, watchers: "Mapping[str, Watcher]"
) -> dict[tuple[str, int], Known]:
    lost: dict[tuple[str, int], list[float]] = {}
    back: dict[tuple[str, int], list[float]] = {}
    for watcher in watchers.values():
        watcher.all_since(0.0, is_up=True)
    for _ in range(trial.deaths):
        time.sleep(trial.interval * random.uniform(1.0, 2.0))  # noqa: S311 - an arbitrary moment
        for act, is_up, found in ((fault.begin, False, lost), (fault.end, True, back)):
            began = time.monotonic()
            act()
            acted = began if not is_up else time.monotonic()
            for name, watcher in watchers.items():
                for key, at in watcher.all_since(acted, is_up=is_up).items():
                    found.setdefault((name, int(key[1 : key.index("-")])), []).append(max(at - acted, 0.0))
    return {key: Known(lost[key], back[key]) for key in lost}


def _rows(trial: Trial, known: Mapping[tuple[str, int], Known]) -> Iterator[Row]:
    for threshold in THRESHOLDS:
        what = f"{trial.name}, threshold {threshold}"
        ours = known["sidecar", threshold]
        yield Row(f"{what}: 503 after, median", median(ours.lost), "s")
        yield Row(
            f"{what}: 503 after, at most",
            max(ours.lost),
            "s",
            Target(at_most=round(trial.limit(threshold), 1)),
        )
        yield Row(f"{what}: 200 after the return, median", median(ours.back), "s")
        for name in ("poller", "HAProxy"):
            if (name, threshold) in known:
                theirs = known[name, threshold]
                sooner = median(ours.lost) / median(theirs.lost)
                yield Row(f"{what}: 503 after, median, against {name}", sooner)
                yield Row(f"{what}: {name} knows of the return after, median", median(theirs.back), "s")


class Watcher:
    """Looks at an observer all the time; knows since when each key is as it is."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._since: dict[str, tuple[bool, float]] = {}
        self._looked = threading.Condition()
        self._is_stopped = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._is_stopped = True
        self._thread.join()

    def all_since(self, moment: float, *, is_up: bool) -> dict[str, float]:
        """Wait until every key is up, or down; return the second of each, not before `moment`."""
        with self._looked:
            if not self._looked.wait_for(lambda: self._are_all(is_up=is_up), PATIENCE):
                raise TimeoutError(f"{type(self._observer).__name__} did not notice within {PATIENCE:.0f}s")
            return {key: max(since, moment) for key, (_, since) in self._since.items()}

    def _are_all(self, *, is_up: bool) -> bool:
        return bool(self._since) and all(status is is_up for status, _ in self._since.values())

    def _watch(self) -> None:
        while not self._is_stopped:
            statuses, now = self._observer.statuses(), time.monotonic()
            with self._looked:
                for key, status in statuses.items():
                    if key.startswith("t") and self._since.get(key, (None, 0.0))[0] is not status:
                        self._since[key] = (status, now)
                self._looked.notify_all()
            time.sleep(LOOK)
