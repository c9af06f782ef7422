"""The file between two steps of a pipeline: what it holds, who may read it, and what is no such file."""

import os
import stat
from pathlib import Path

import pytest

from sidecar.deploys._receipts import Receipts, ReceiptsError, read_receipts, write_receipts

RECEIPTS = Receipts(
    deploy="1c2d3e",
    started_at=1_800_000_000.25,
    has_failed=True,
    by_service={"slack": {"channel": "C1", "ts": "1.5"}, "rollbar": {"deploy_id": "7"}},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receipts.json"


def test_what_was_written_is_read(path: Path) -> None:
    write_receipts(path, RECEIPTS)

    assert read_receipts(path) == RECEIPTS


def test_only_its_owner_may_read_it_whatever_it_was_before(path: Path) -> None:
    path.touch(mode=0o644)

    write_receipts(path, RECEIPTS)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_replaced_in_one_step_and_leaves_nothing_beside_it(path: Path) -> None:
    write_receipts(path, RECEIPTS)
    before = path.stat().st_ino

    write_receipts(path, RECEIPTS)

    assert (path.stat().st_ino != before, list(path.parent.iterdir())) == (True, [path])


def test_a_file_that_is_not_there_or_empty_has_no_receipts(path: Path) -> None:
    missing = read_receipts(path)
    path.touch()

    assert (missing, read_receipts(path)) == (None, None)


@pytest.mark.parametrize(
    "content",
    [
        b"checks: []\n",
        b"[]",
        b"{}",
        b"17",
        b"\xff",
        b"[" * 100_000,
        b'{"format": 2, "deploy": "a", "started_at": 1, "has_failed": false, "receipts": {}}',
        b'{"format": 1, "deploy": "a", "started_at": "soon", "has_failed": false, "receipts": {}}',
        b'{"format": 1, "deploy": "a", "started_at": 1e999, "has_failed": false, "receipts": {}}',
        b'{"format": 1, "deploy": "a", "started_at": NaN, "has_failed": false, "receipts": {}}',
        b'{"format": 1, "deploy": "a", "started_at": -1, "has_failed": false, "receipts": {}}',
        b'{"format": 1, "deploy": "a", "started_at": 1e15, "has_failed": false, "receipts": {}}',
        b'{"format": 1, "deploy": "a", "started_at": 1'
        + b"0" * 400
        + b', "has_failed": false, "receipts": {}}',
        b'{"format": 1, "deploy": "a", "started_at": 1, "has_failed": false, "receipts": {"a": 1}}',
        b'{"format": 1, "deploy": "a", "started_at": 1, "has_failed": false, "receipts": []}',
    ],
)
def test_another_file_is_refused_and_stays_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(ReceiptsError) as raised:
        read_receipts(path)

    assert str(raised.value) == f"{path} is no file of receipts: give another name, or remove the file"
    assert path.read_bytes() == content


def test_what_is_no_file_is_refused(path: Path) -> None:
    os.mkfifo(path)

    with pytest.raises(ReceiptsError, match="is not a regular file; give the name of one"):
        read_receipts(path)
    with pytest.raises(ReceiptsError, match="is not a regular file"):
        read_receipts(path.parent)


def test_a_folder_that_is_not_there_cannot_be_written_to(tmp_path: Path) -> None:
    path = tmp_path / "no" / "receipts.json"

    with pytest.raises(ReceiptsError) as raised:
        write_receipts(path, RECEIPTS)

    assert (read_receipts(path), str(raised.value)) == (
        None,
        f"{path} cannot be written: no such file or directory",
    )


def test_what_cannot_take_the_place_of_the_old_one_is_removed(path: Path) -> None:
    path.mkdir()

    with pytest.raises(ReceiptsError, match="cannot be written: is a directory"):
        write_receipts(path, RECEIPTS)

    assert list(path.parent.iterdir()) == [path]
