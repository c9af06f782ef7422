"""What the documents repeat of the code is what the code says."""

from pathlib import Path

import pytest

from sidecar.config.document import DEPTH_LIMIT, NODE_LIMIT, SIZE_LIMIT
from sidecar.config.interpolate import SECRET_FILE_LIMIT
from sidecar.config.reader import STEP_LIMIT
from sidecar.support.text import SHORTEST_SECRET
from tools import docs


def test_every_document_is_current() -> None:
    stale = [str(path.relative_to(docs.ROOT)) for path in docs.not_current()]

    assert stale == [], "run `make docs`"


def test_the_limits_are_as_documented() -> None:
    page = " ".join(docs.CONFIGURATION.read_text().split())

    assert (SIZE_LIMIT, NODE_LIMIT, STEP_LIMIT, DEPTH_LIMIT) == (1024**2, 100_000, 100_000, 30)
    assert "at most 1 MiB" in page
    assert "100,000 keys and values, written out or through aliases, and 30 levels" in page
    assert (SECRET_FILE_LIMIT, SHORTEST_SECRET) == (64 * 1024, 4)
    assert "UTF-8, at most 64 KiB" in page
    assert "A secret of fewer than four characters" in page


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the documents written into a folder, as they are now."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "configuration.md").write_text(docs.CONFIGURATION.read_text())
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "PAGES", tmp_path / "docs" / "checks")
    monkeypatch.setattr(docs, "ANNOUNCEMENT", tmp_path / "docs" / "announcement.schema.json")
    monkeypatch.setattr(docs, "CONFIGURATION", tmp_path / "docs" / "configuration.md")
    docs.write()
    return tmp_path / "docs"


def test_what_was_written_is_current(copy: Path) -> None:
    assert docs.not_current() == []
    assert {page.stem for page in (copy / "checks").iterdir()} == {"README", *docs.own_types()}


def test_a_page_that_was_edited_a_table_that_is_old_and_a_page_too_many_are_not_current(copy: Path) -> None:
    configuration, page, other = (
        copy / "configuration.md",
        copy / "checks" / "tcp.md",
        copy / "checks" / "x.md",
    )
    configuration.write_text(configuration.read_text().replace("| `interval` |", "| `intervall` |"))
    page.write_text("edited")
    other.write_text("of a type that is gone")

    assert docs.not_current() == [page, other, configuration]

    docs.write()

    assert docs.not_current() == []


def test_the_command_names_what_is_not_current(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> object:
        monkeypatch.setattr("sys.argv", ["docs", *arguments])
        with pytest.raises(SystemExit) as ended:
            docs.main()
        return ended.value.code

    assert run("--check") == 0
    (copy / "checks" / "tcp.md").unlink()
    assert run("--check") == 1
    assert capsys.readouterr().err == "docs/checks/tcp.md is not current: run `make docs`\n"


def test_the_command_writes_what_is_not_current(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "checks" / "tcp.md").unlink()
    monkeypatch.setattr("sys.argv", ["docs"])
    capsys.readouterr()

    docs.main()

    assert capsys.readouterr().out == "==> docs/checks/tcp.md\n"
    assert docs.not_current() == []
