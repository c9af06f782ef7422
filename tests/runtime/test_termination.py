"""The termination message: whole lines, what fails now, and nothing where there is no file."""

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.core.check import Reason
from sidecar.core.verdict import Gate
from sidecar.runtime.board import Board
from sidecar.runtime.news import SPACING
from sidecar.runtime.termination import SIZE_LIMIT, Termination, compose, write_message
from tests.boards import StoppedClock, board_of, check, failure, success

Write = Callable[[Path, bytes], None]


class Messages:
    """What was written, as it comes."""

    def __init__(self, error: OSError | None = None) -> None:
        self._arrived: asyncio.Queue[str] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self.error = error

    def write(self, _path: Path, message: bytes) -> None:
        error = self.error
        self._loop.call_soon_threadsafe(self._arrived.put_nowait, message.decode())
        if error:
            raise error

    async def next(self) -> str:
        async with asyncio.timeout(5):
            return await self._arrived.get()

    @property
    def is_empty(self) -> bool:
        return self._arrived.empty()


@asynccontextmanager
async def keeping(board: Board, clock: StoppedClock, write: Write) -> AsyncIterator[Termination]:
    """Keep the message of a board up to date until the end of the block."""
    termination = Termination(
        Path("/dev/termination-log"),
        board,
        redact=lambda text: text.replace("hunter2", "***"),
        clock=clock.clock,
        write=write,
    )
    task = asyncio.create_task(termination.keep_forever())
    try:
        yield termination
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_the_message_follows_the_set_of_failing_gating_checks() -> None:
    clock = StoppedClock()
    board = board_of(check("db", Gate.READINESS), check("builds", Gate.STARTUP), check("x"), clock=clock)
    messages = Messages()
    async with keeping(board, clock, messages.write):
        at_start = await messages.next()
        board.record("db", success(clock))
        board.record("x", failure(clock, Reason.AUTH))
        board.record("builds", failure(clock, Reason.AUTH, "amqp refused hunter2"))
        failing = await messages.next()
        board.record("builds", failure(clock, Reason.AUTH, "amqp refused hunter2 again"))
        board.record("builds", success(clock))
        healthy = await messages.next()

    assert [at_start, failing, healthy] == [
        "[-]db failed: no result yet\n[-]builds failed: no result yet\n",
        "[-]builds failed: auth: amqp refused ***\n",
        "",
    ]


async def test_another_message_for_the_same_reason_rewrites_nothing() -> None:
    clock = StoppedClock()
    board = board_of(check("db", Gate.READINESS), clock=clock)
    messages = Messages()
    async with keeping(board, clock, messages.write):
        await messages.next()
        board.record("db", failure(clock, Reason.AUTH, "first"))
        first = await messages.next()
        board.record("db", failure(clock, Reason.AUTH, "second"))
        await asyncio.sleep(0.3)  # nothing comes: there is no event to wait for
        is_quiet = messages.is_empty
        board.record("db", failure(clock, Reason.TIMEOUT, "third"))
        third = await messages.next()

    assert (first, is_quiet, third) == (
        "[-]db failed: auth: first\n",
        True,
        "[-]db failed: timeout: third\n",
    )


async def test_the_last_message_begins_with_what_we_have_to_say() -> None:
    clock = StoppedClock()
    board = board_of(check("db", Gate.STARTUP), clock=clock)
    messages = Messages()
    termination = Termination(Path("/x"), board, redact=str, clock=clock.clock, write=messages.write)

    await termination.end_with("gave up the start")

    assert await messages.next() == "gave up the start\n[-]db failed: no result yet\n"


async def test_no_file_is_no_word_and_a_full_disk_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    clock = StoppedClock()
    for number in (errno.ENOENT, errno.ENOSPC):
        board = board_of(check("db", Gate.READINESS), clock=clock)
        messages = Messages(OSError(number, os.strerror(number)))
        async with keeping(board, clock, messages.write):
            await messages.next()
            board.record("db", success(clock))
            await messages.next()
            board.record("db", failure(clock, Reason.AUTH))
            await messages.next()

    told = [
        (record.getMessage(), vars(record)["detail"])
        for record in caplog.records
        if record.name == "sidecar.termination"
    ]
    assert told == [("termination message cannot be written", "no space left on device")]


async def test_a_message_that_a_full_disk_did_not_take_is_written_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidecar.runtime.termination.SAME_SUBJECT_WITHIN", 0.2)
    clock = StoppedClock()
    board = board_of(check("db", Gate.READINESS), clock=clock)
    messages = Messages(OSError(errno.ENOSPC, "no space left"))
    async with keeping(board, clock, messages.write):
        refused = await messages.next()
        messages.error = None
        clock.pass_by(1.0)
        written = await messages.next()

    assert written == refused == "[-]db failed: no result yet\n"


def test_a_shorter_message_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    inode = path.stat().st_ino

    write_message(path, b"a long one\n")
    write_message(path, b"short\n")

    assert (path.read_bytes(), path.stat().st_ino) == (b"short\n", inode)


def test_a_file_that_is_absent_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_message(tmp_path / "log", b"x\n")

    assert list(tmp_path.iterdir()) == []


def test_a_pipe_that_nobody_reads_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")

    with pytest.raises(OSError, match="No such device"):
        write_message(tmp_path / "log", b"x\n")


@pytest.mark.parametrize("line", ["x" * 50, "ü" * 50, "x" * (SIZE_LIMIT + 1)])
def test_a_message_is_whole_lines_within_the_limit(line: str) -> None:
    message = compose([line] * 200)
    kept = message.decode().splitlines()

    assert len(message) <= SIZE_LIMIT
    assert kept == [line] * (len(kept) - 1) + [f"and {200 - (len(kept) - 1)} more"]
    assert len(message) > SIZE_LIMIT - len(f"{line}\n".encode()) - 20


def test_a_message_of_exactly_the_limit_is_kept_whole() -> None:
    lines = ["x" * 2047, "y" * 2047]

    assert (len(compose(lines)), compose(lines).decode().splitlines()) == (SIZE_LIMIT, lines)


async def test_the_same_failure_in_other_words_is_rewritten_but_not_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidecar.runtime.termination.SAME_SUBJECT_WITHIN", 10.0)
    clock = StoppedClock()
    board = board_of(check("db", Gate.READINESS), clock=clock)
    messages = Messages()
    async with keeping(board, clock, messages.write):
        await messages.next()
        board.record("db", failure(clock, Reason.UNAVAILABLE, "db answered 500"))
        first = await messages.next()
        clock.pass_by(3.0)
        board.record("db", failure(clock, Reason.UNAVAILABLE, "db answered 503"))
        await asyncio.sleep(3 * SPACING)
        soon = messages.is_empty
        clock.pass_by(8.0)
        board.record("db", failure(clock, Reason.UNAVAILABLE, "db answered 502"))
        later = await messages.next()

    assert (first, soon, later) == (
        "[-]db failed: unavailable: db answered 500\n",
        True,
        "[-]db failed: unavailable: db answered 502\n",
    )
