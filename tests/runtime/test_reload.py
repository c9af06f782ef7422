"""When the files of a configuration are read again, and what becomes of what they hold."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sidecar.config.model import Config
from sidecar.config.problems import ConfigError, Place, Problem
from sidecar.runtime.changes import Changes
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.reload import POLL, RETRY, SETTLE, SETTLE_LIMIT, Reloader, ReloadRecord
from tests.boards import check
from tests.runtime.fakes import EPOCH, loop_clock, now

pytestmark = pytest.mark.looptime

OPEN = Path("/proc/self/fd")


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have files read in the loop, whose time is compacted: it would run on past a thread."""

    async def at_once(call: Callable[[], object], **_name: str) -> object:
        return call()

    monkeypatch.setattr("sidecar.runtime.reload.in_thread", at_once)


@dataclass
class Stage:
    """A file that holds the names of checks, one a line, and a reloader that watches it.

    A line `secret` is no check: it names the second file for all of them.
    """

    path: Path
    secret: Path
    read: list[float] = field(default_factory=list)
    """When the configuration was read."""
    applied: list[tuple[float, Changes]] = field(default_factory=list)
    record: ReloadRecord = field(default_factory=lambda: ReloadRecord(last_success_time=0.0))
    now: Callable[[], float] = now
    while_reading: Callable[[], object] = lambda: None

    def write(self, *names: str) -> None:
        """Replace the file, as a writer does who swaps links."""
        fresh = self.path.with_name("fresh")
        fresh.write_text("\n".join(names))
        fresh.rename(self.path)

    def load(self) -> Config:
        names = self.path.read_text().split()
        self.while_reading()
        self.read.append(self.now())
        if "bad" in names:
            raise ConfigError([Problem(Place(str(self.path), 1, 1), "checks", f"{len(names)} are bad")])
        files = frozenset({self.secret} if "secret" in names else ())
        checks = tuple(check(name) for name in names if name != "secret")
        return Config(checks=checks, files=files, files_of={each.name: files for each in checks})

    def names_applied(self) -> list[tuple[float, list[str], list[str], list[str]]]:
        """Return when what was added, edited and removed."""
        return [
            (moment, sorted(each.added), sorted(each.edited), sorted(each.removed))
            for moment, each in self.applied
        ]


@asynccontextmanager
async def watched(folder: Path, *names: str) -> AsyncIterator[tuple[Stage, Reloader]]:
    """Watch a file with these lines until the end of the block."""
    clock = loop_clock()
    stage = Stage(folder / "config", folder / "secret", now=lambda: round(clock.monotonic(), 5))
    stage.secret.write_text("first")
    stage.write(*names)
    reloader = Reloader(
        stage.path,
        stage.load(),
        read=stage.load,
        apply=lambda _, changes: stage.applied.append((now(), changes)),
        record=stage.record,
        pulse=Pulse(clock),
        clock=clock,
    )
    stage.read.clear()
    watching = asyncio.create_task(reloader.watch_forever())
    await asyncio.sleep(POLL / 2)
    try:
        yield stage, reloader
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def test_what_does_not_change_is_not_read(tmp_path: Path) -> None:
    async with watched(tmp_path, "db") as (stage, _):
        await asyncio.sleep(60)

    assert (stage.read, stage.applied) == ([], [])


async def test_a_change_is_applied_once_it_has_settled(tmp_path: Path) -> None:
    async with watched(tmp_path, "db") as (stage, _):
        stage.write("db", "cache")
        await asyncio.sleep(60)

    assert stage.names_applied() == [(POLL + SETTLE, ["cache"], [], [])]
    assert (stage.record.was_successful, stage.record.last_success_time) == (True, EPOCH + POLL + SETTLE)


async def test_a_file_that_goes_on_changing_is_waited_for(tmp_path: Path) -> None:
    async with watched(tmp_path, "db") as (stage, _):
        await asyncio.sleep(POLL / 2 - SETTLE / 2)
        for count in range(4):
            stage.write(*(f"c{number}" for number in range(count + 1)))
            await asyncio.sleep(SETTLE)
        await asyncio.sleep(60)

    assert [(added, removed) for _, added, _, removed in stage.names_applied()] == [
        (["c0", "c1", "c2", "c3"], ["db"])
    ]


async def test_a_file_that_the_configuration_names_is_watched_too(tmp_path: Path) -> None:
    async with watched(tmp_path, "secret", "db") as (stage, _):
        stage.secret.write_text("second")
        await asyncio.sleep(60)

    assert stage.names_applied() == [(POLL + SETTLE, [], ["db"], [])]


async def test_a_file_that_is_named_since_a_reload_is_watched_from_then_on(tmp_path: Path) -> None:
    async with watched(tmp_path, "db") as (stage, _):
        stage.secret.write_text("not watched yet")
        await asyncio.sleep(10)
        before = list(stage.applied)
        stage.write("secret", "db")
        await asyncio.sleep(10)
        stage.secret.write_text("second")
        await asyncio.sleep(10)

    assert before == []
    assert [(added, edited) for _, added, edited, _ in stage.names_applied()] == [([], []), ([], ["db"])]


async def test_a_change_while_it_is_read_is_found_next_time(tmp_path: Path) -> None:
    async with watched(tmp_path, "db") as (stage, _):
        stage.while_reading = lambda: stage.write("db", "cache") if not stage.read else None
        stage.write("db", "queue")
        await asyncio.sleep(60)

    assert [(added, removed) for _, added, _, removed in stage.names_applied()] == [
        (["queue"], []),
        (["cache"], ["queue"]),
    ]


async def test_a_file_that_is_written_again_with_the_same_content_has_not_changed(tmp_path: Path) -> None:
    async with watched(tmp_path, "secret", "db") as (stage, _):
        for _ in range(3):
            stage.write("secret", "db")
            stage.secret.unlink()
            stage.secret.write_text("first")
            await asyncio.sleep(10)

    assert (stage.read, stage.applied) == ([], [])


async def test_a_file_that_never_stops_changing_holds_up_no_reload(tmp_path: Path) -> None:
    async with watched(tmp_path, "secret", "db") as (stage, _):
        for count in range(100):
            stage.secret.write_text(f"{count}")
            await asyncio.sleep(SETTLE / 2)

    assert stage.read[0] <= POLL + SETTLE * (SETTLE_LIMIT + 1)


async def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_looked_at_without_harm(tmp_path: Path) -> None:
    descriptors = len(list(OPEN.iterdir()))
    async with watched(tmp_path, "secret", "db") as (stage, _):
        stage.secret.unlink()
        stage.secret.mkdir()
        await asyncio.sleep(60)
        stage.secret.rmdir()
        os.mkfifo(stage.secret)
        await asyncio.sleep(60)

    assert (len(stage.applied) >= 1, len(list(OPEN.iterdir())) - descriptors) == (True, 0)


async def test_who_wakes_it_quietly_is_told_of_news_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with watched(tmp_path, "db") as (_, reloader):
        reloader.wake(quietly=True)
        await asyncio.sleep(0.1)
        quiet = len(caplog.records)
        reloader.wake()
        await asyncio.sleep(0.1)

    assert (quiet, [record.message for record in caplog.records]) == (0, ["configuration reloaded"])


async def test_who_wakes_it_has_it_read_at_once_though_nothing_looks_changed(tmp_path: Path) -> None:
    async with watched(tmp_path, "db") as (stage, reloader):
        reloader.wake()
        await asyncio.sleep(0.1)

    assert (stage.read, len(stage.applied)) == ([POLL / 2], 1)


async def test_who_ends_it_as_somebody_wakes_it_is_heard(tmp_path: Path) -> None:
    clock, path = loop_clock(), tmp_path / "config"
    path.write_text("db")
    reloader = Reloader(
        path,
        Config(checks=(check("db"),)),
        read=lambda: Config(checks=(check("db"),)),
        apply=lambda _config, _changes: None,
        record=ReloadRecord(),
        pulse=Pulse(clock),
        clock=clock,
    )
    watching = asyncio.create_task(reloader.watch_forever())
    await asyncio.sleep(POLL / 2)

    reloader.wake()
    await asyncio.sleep(0)
    watching.cancel()
    await asyncio.wait({watching}, timeout=60)

    ended = watching.done()
    watching.cancel()
    await asyncio.wait({watching})
    assert ended


async def test_a_refused_configuration_is_told_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with watched(tmp_path, "db") as (stage, _):
        stage.write("db", "bad")
        await asyncio.sleep(3 * RETRY)
        refused = (list(stage.applied), stage.record.was_successful)
        stage.write("db", "cache")
        await asyncio.sleep(RETRY)

    first = POLL + SETTLE
    assert refused == ([], False)
    assert [round(later - first, 1) for later in stage.read[:3]] == [0.0, RETRY, 2 * RETRY]
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "configuration refused"),
        ("INFO", "configuration reloaded"),
    ]
    assert (stage.record.was_successful, [added for _, added, _, _ in stage.names_applied()]) == (
        True,
        [["cache"]],
    )


async def test_other_problems_are_told_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with watched(tmp_path, "db") as (stage, _):
        stage.write("bad")
        await asyncio.sleep(5)
        stage.write("bad", "worse")
        await asyncio.sleep(5)

    assert [str(vars(record)["detail"])[-9:] for record in caplog.records] == [
        "1 are bad",
        "2 are bad",
    ]


async def test_a_file_that_is_gone_is_a_change(tmp_path: Path) -> None:
    async with watched(tmp_path, "secret", "db") as (stage, _):
        stage.secret.unlink()
        await asyncio.sleep(5)

    assert [edited for _, _, edited, _ in stage.names_applied()] == [["db"]]
