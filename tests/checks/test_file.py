"""The check type `file`."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sidecar.checks.file import FileCheck
from sidecar.config.problems import ConfigError
from sidecar.core.check import Reason
from sidecar.core.result import Outcome
from tests.checks.contract import (
    SECRET,
    SUCCESS,
    assert_held,
    assert_no_secret,
    checked,
    ending,
    held,
    load_one,
    mounted,
    run_once,
)

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "heartbeat"


async def look(path: Path, **keys: object) -> tuple[Outcome, Reason | None, str]:
    """Return how a run ends, with the path in its message cut out."""
    result = await run_once({"type": "file", "path": str(path), **keys})
    return result.outcome, result.reason, result.message.replace(str(path), "FILE")


def failed(reason: Reason, message: str) -> tuple[Outcome, Reason, str]:
    return Outcome.FAILURE, reason, message


def written(path: Path, content: bytes = b"", *, seconds_ago: float = 0) -> Path:
    path.write_bytes(content)
    os.utime(path, (time.time(), time.time() - seconds_ago))
    return path


async def test_a_file_that_exists(path: Path) -> None:
    assert await look(written(path)) == SUCCESS


async def test_a_folder_that_exists(tmp_path: Path) -> None:
    assert await look(tmp_path, max_age="1h") == SUCCESS


async def test_a_file_that_does_not_exist(path: Path) -> None:
    absent = failed(Reason.NOT_FOUND, "FILE: no such file or directory")

    assert await look(path) == absent
    path.symlink_to("nowhere")
    assert await look(path) == absent


async def test_a_path_below_a_file(path: Path) -> None:
    assert await look(written(path) / "x") == failed(Reason.NOT_FOUND, "FILE: not a directory")


async def test_a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)

    assert await look(path) == failed(Reason.UNAVAILABLE, "FILE: too many levels of symbolic links")


@pytest.mark.parametrize(
    ("seconds_ago", "outcome"),
    [
        (0, SUCCESS),
        (-3600, SUCCESS),
        (50, SUCCESS),
        (125, failed(Reason.CONTRACT, "FILE was last written 2m 5s ago, longer than 1m")),
    ],
)
async def test_age_is_the_time_since_the_last_writing(
    path: Path, seconds_ago: float, outcome: object
) -> None:
    assert await look(written(path, seconds_ago=seconds_ago), max_age="1m") == outcome


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (b"state: ready\n", SUCCESS),
        (b"\xff\xfe ready", SUCCESS),
        (b"state: starting\n", failed(Reason.CONTRACT, "FILE does not contain 'ready'")),
        (b"", failed(Reason.CONTRACT, "FILE does not contain 'ready'")),
        (b"x" * (64 * 1024 - 5) + b"ready", SUCCESS),
        (b"x" * (64 * 1024 - 4) + b"ready", failed(Reason.CONTRACT, "FILE does not contain 'ready'")),
    ],
)
async def test_a_text_stands_in_the_first_64_kib(path: Path, content: bytes, outcome: object) -> None:
    assert await look(written(path, content), contains="ready") == outcome


async def test_a_text_beyond_ascii(path: Path) -> None:
    assert await look(written(path, "grün".encode()), contains="grün") == SUCCESS


async def test_age_goes_before_content(path: Path) -> None:
    outcome = await look(written(path, seconds_ago=61), max_age="1m", contains="ready")

    assert outcome == failed(Reason.CONTRACT, "FILE was last written 1m 1s ago, longer than 1m")


async def test_a_pipe_or_a_device_is_never_opened(path: Path) -> None:
    os.mkfifo(path)
    other = failed(Reason.CONTRACT, "FILE is not a regular file")

    assert await look(path) == SUCCESS
    assert await look(path, contains="ready") == other
    assert await look(Path("/dev/zero"), contains="ready") == other
    assert await look(path.parent, contains="ready") == other


async def test_a_file_that_may_not_be_read(foreign: Path) -> None:
    written(foreign / "heartbeat", b"ready").chmod(0)
    with as_nobody():
        bare = await look(foreign / "heartbeat")
        reading = await look(foreign / "heartbeat", contains="ready")

    assert bare == SUCCESS
    assert reading == failed(Reason.FORBIDDEN, "FILE: permission denied")


async def test_a_folder_that_may_not_be_searched(foreign: Path) -> None:
    foreign.chmod(0)
    with as_nobody():
        assert await look(foreign / "x") == failed(Reason.FORBIDDEN, "FILE: permission denied")


async def test_a_hung_file_system_times_out_and_adds_no_thread(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, mounted_again = held(), threading.Event()
    monkeypatch.setattr(FileCheck, "_look", lambda _: mounted_again.wait())
    async with mounted({"type": "file", "path": str(path)}, deadline="50ms") as runner:
        hung = [ending(await runner.run()) for _ in range(5)]
        threads = held().threads - before.threads
        mounted_again.set()
        await asyncio.sleep(0)
        runner.timeout = 5
        after = ending(await runner.run())
    await assert_held(before)

    assert hung == [failed(Reason.TIMEOUT, f"{path}: gave no answer within 50ms")] * 5
    assert (threads <= 1, after) == (True, SUCCESS)


async def test_closes_at_any_time_and_twice(path: Path) -> None:
    before = held()
    async with checked({"type": "file", "path": str(path)}) as check:
        run = asyncio.create_task(check.run())
        await asyncio.sleep(0)
        await check.aclose()
        await check.aclose()
        run.cancel()
        await asyncio.wait({run})

    await assert_held(before)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"path": "tmp/x"}, "path: 'tmp/x' is not an absolute path; write one that begins with a slash"),
        ({"max_age": "0s"}, "max_age: '0s' is out of range; write a duration from 1s to 8760h"),
        ({"contains": ""}, "contains: is empty; write a text, or leave the key out"),
    ],
)
def test_what_cannot_be_meant_is_refused(keys: Mapping[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_one({"type": "file", "path": "/x", **keys})

    (only,) = raised.value.problems
    assert f"{only.path.removeprefix('checks.it.')}: {only.sentence}" == problem


def test_a_text_from_outside_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    config = load_one({"type": "file", "path": "/x", "contains": "${TOKEN}"})

    assert config.secrets == {SECRET}
    assert_no_secret(f"{config!r} {config.checks[0]!r} {config.checks[0].target}")


def test_a_heartbeat_causes_no_reload() -> None:
    assert load_one({"type": "file", "path": "/run/heartbeat"}).files == frozenset()


@pytest.fixture
def foreign() -> Iterator[Path]:
    """Yield a folder that nobody can reach: pytest's own are closed to all but their owner."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        Path(folder).chmod(0o755)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be nobody, where the tests are run by root, for whom nothing is forbidden."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
