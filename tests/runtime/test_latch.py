"""The latch file: the same question is latched, another is not, and a disk at fault is one line."""

import asyncio
import errno
import json
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.check import CheckConfig, TlsConfig
from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url
from sidecar.core.check import Reason
from sidecar.core.verdict import Gate
from sidecar.runtime.board import Board
from sidecar.runtime.latch import LatchKeeper, LatchRecord, digest, read_latch, write_latch
from sidecar.runtime.news import SPACING
from tests.boards import StoppedClock, board_of, check, failure, success

KEY = bytes(range(32))


@dataclass(frozen=True, kw_only=True, repr=False)
class RichConfig(CheckConfig):
    """A value of every kind."""

    url: Url
    password: Secret
    expects: re.Pattern[str]
    headers: dict[str, Secret]
    command: tuple[str, ...]
    words: frozenset[Gate]
    tls: TlsConfig | None


RICH = RichConfig(
    name="db",
    type="rich",
    url=Url(scheme="redis", host="db", port=6379, username="app", password=Secret("hunter2-url")),
    password=Secret("hunter2"),
    expects=re.compile("ok"),
    headers={"b": Secret("hunter2-b"), "a": Secret("hunter2-a")},
    command=("true", "--now"),
    words=frozenset({Gate.STARTUP, Gate.READINESS}),
    tls=TlsConfig(ca="/ca.pem"),
)


@pytest.mark.parametrize(
    "edit",
    [
        {"password": Secret("hunter3")},
        {"url": replace(RICH.url, password=Secret("other"))},
        {"url": replace(RICH.url, host="db2")},
        {"expects": re.compile("ok", re.IGNORECASE)},
        {"headers": {"a": Secret("hunter2-b"), "b": Secret("hunter2-a")}},
        {"command": ("true --now",)},
        {"words": frozenset({Gate.STARTUP})},
        {"tls": None},
        {"tls": TlsConfig(cert="/ca.pem")},
        {"timeout": 3.0},
        {"type": "other"},
    ],
    ids="-".join,
)
def test_another_question_has_another_digest(edit: dict[str, Any]) -> None:
    assert digest(replace(RICH, **edit), KEY) != digest(RICH, KEY)


@pytest.mark.parametrize(
    "edit",
    [
        {"interval": 77.0},
        {"gates": frozenset({Gate.LIVENESS})},
        {"failure_threshold": 9},
        {"success_threshold": 9},
        {"description": "other"},
        {"headers": {"a": Secret("hunter2-a"), "b": Secret("hunter2-b")}},
    ],
    ids="-".join,
)
def test_the_same_question_has_the_same_digest_however_its_answer_is_used(edit: dict[str, Any]) -> None:
    assert digest(replace(RICH, **edit), KEY) == digest(RICH, KEY)


def test_a_digest_is_the_same_in_every_process_and_another_with_another_key() -> None:
    plain = check("db", Gate.STARTUP)

    assert digest(plain, KEY) == digest(check("db"), KEY) != digest(plain, KEY[::-1])
    assert len(digest(plain, KEY)) == 128


def test_what_was_written_is_read_and_proves_what_has_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "latch"
    same, changed, new = check("same"), check("changed"), check("new")
    write_latch(path, LatchRecord().with_proved([same, changed]))

    proved = read_latch(path).proved([same, replace(changed, timeout=9.0), new])

    assert proved == {"same"}
    assert ([each.name for each in tmp_path.iterdir()], path.stat().st_mode & 0o777) == (["latch"], 0o600)


def test_no_secret_is_in_the_file(tmp_path: Path) -> None:
    write_latch(tmp_path / "latch", LatchRecord().with_proved([RICH]))

    assert "hunter" not in (tmp_path / "latch").read_text()


GOOD = json.dumps({"format": 1, "key": KEY.hex(), "checks": {"db": digest(check("db"), KEY)}})


def test_the_corpus_of_bad_files_begins_with_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "latch").write_text(GOOD)

    assert read_latch(tmp_path / "latch").proved([check("db")]) == {"db"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        GOOD[:-1].encode(),
        b"\xff\xfe",
        b"[]",
        b"7",
        b"[" * 100_000,
        GOOD.replace('"format": 1', '"format": 2').encode(),
        GOOD.replace(KEY.hex(), "00").encode(),
        GOOD.replace(KEY.hex(), "xyz").encode(),
        GOOD.replace('"checks": {', '"other": {').encode(),
        json.dumps({"format": 1, "key": KEY.hex(), "checks": ["db"]}).encode(),
        json.dumps({"format": 1, "key": 5, "checks": {}}).encode(),
    ],
)
def test_a_file_that_is_no_latch_latches_nothing_and_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "latch"
    path.write_bytes(content)

    record = read_latch(path)

    assert (record.digests, len(record.key), record.key == KEY) == ({}, 32, False)
    assert [each.getMessage() for each in caplog.records] == ["latch cannot be read"]


def test_no_file_is_no_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert (read_latch(tmp_path / "none").digests, caplog.records) == ({}, [])


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_latches_nothing_and_holds_nobody_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Any
) -> None:
    make(tmp_path / "latch")

    assert read_latch(tmp_path / "latch").digests == {}
    assert [each.getMessage() for each in caplog.records] == ["latch cannot be read"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "latch"
    path.write_text(GOOD)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_latch(path, LatchRecord())

    assert (path.read_text(), [each.name for each in tmp_path.iterdir()]) == (GOOD, ["latch"])


class Writes:
    """The names of the checks in each record that was written, as it comes."""

    def __init__(self, *errors: OSError) -> None:
        self.records: list[LatchRecord] = []
        self._errors = list(errors)
        self._arrived: asyncio.Queue[list[str]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def write(self, _path: Path, record: LatchRecord) -> None:
        self.records.append(record)
        self._loop.call_soon_threadsafe(self._arrived.put_nowait, sorted(record.digests))
        if self._errors:
            raise self._errors.pop(0)

    async def next(self) -> list[str]:
        async with asyncio.timeout(5):
            return await self._arrived.get()


@asynccontextmanager
async def keeping(board: Board, writes: Writes, record: LatchRecord) -> AsyncIterator[None]:
    keeper = LatchKeeper(Path("/latch"), record, board, write=writes.write)
    task = asyncio.create_task(keeper.keep_forever())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_the_file_is_written_when_a_check_has_been_up_for_the_first_time_and_only_then() -> None:
    clock = StoppedClock()
    names = ("restored", "b", "c")
    board = Board(
        [check(name, Gate.STARTUP) for name in names],
        started_at=clock.now,
        startup_deadline=300.0,
        proved={"restored"},
    )
    writes = Writes()
    async with keeping(board, writes, LatchRecord(KEY)):
        board.record("restored", success(clock))
        board.record("b", success(clock))
        first = await writes.next()
        board.record("b", failure(clock, Reason.REFUSED))
        board.record("b", success(clock))
        board.record("c", success(clock))
        second = await writes.next()

    assert (first, second, len(writes.records)) == (["b", "restored"], ["b", "c", "restored"], 2)
    assert {record.key for record in writes.records} == {KEY}


async def test_a_change_that_proves_nothing_new_writes_nothing() -> None:
    clock = StoppedClock()
    board = board_of(check("db"), check("cache"), clock=clock)
    writes = Writes()
    async with keeping(board, writes, LatchRecord(KEY)):
        board.record("db", failure(clock, Reason.REFUSED))
        await asyncio.sleep(2 * SPACING)
        written = len(writes.records)
        board.record("cache", success(clock))
        proved = await writes.next()

    assert (written, proved) == (0, ["cache"])


async def test_a_check_that_was_edited_is_written_when_it_has_been_up_anew() -> None:
    clock = StoppedClock()
    old, new = check("db"), replace(check("db"), timeout=9.0)
    board = board_of(old, clock=clock)
    writes = Writes()
    async with keeping(board, writes, LatchRecord(KEY)):
        board.record("db", success(clock))
        await writes.next()
        board.apply([new], edited={"db"}, now=clock.now)
        board.record("db", success(clock))
        await writes.next()

    assert [record.digests["db"] for record in writes.records] == [digest(each, KEY) for each in (old, new)]


async def test_a_file_that_could_not_be_written_is_tried_again_though_nothing_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidecar.runtime.latch.RETRY", 2 * SPACING)
    clock = StoppedClock()
    board = board_of(check("db"), clock=clock)
    writes = Writes(OSError(errno.ENOENT, "No such file or directory"))
    async with keeping(board, writes, LatchRecord(KEY)):
        board.record("db", success(clock))
        tries = [await writes.next(), await writes.next()]
        await asyncio.sleep(4 * SPACING)

    assert (tries, len(writes.records)) == ([["db"], ["db"]], 2)


async def test_a_full_disk_is_one_line_until_it_was_written_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = StoppedClock()
    names = ("a", "b", "c")
    board = board_of(*map(check, names), clock=clock)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    writes = Writes(full, full)
    async with keeping(board, writes, LatchRecord(KEY)):
        written = []
        for name in names:
            board.record(name, success(clock))
            written.append(await writes.next())

    assert written == [["a"], ["a", "b"], ["a", "b", "c"]]
    lines = [
        (each.getMessage(), vars(each)["detail"]) for each in caplog.records if each.name == "sidecar.latch"
    ]
    assert lines == [("latch cannot be written", "no space left on device")]
