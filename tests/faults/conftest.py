"""Which cells run, and where their outcomes are written: `pytest tests/faults --record-cells FILE`."""

from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from tests.faults.recording import Recorder

HERE: Final = Path(__file__).parent
RECORDER: Final = pytest.StashKey[Recorder]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the file, which also asks for the cells that are marked `faults`."""
    parser.addoption(
        "--record-cells", type=Path, metavar="FILE", help="run every cell, and write its outcome"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin a record."""
    config.stash[RECORDER] = Recorder()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark all of them slow; leave out what only `make faults` runs, unless it is asked for."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.slow)
    if _is_whole(config):
        return
    left_out = [item for item in ours if item.get_closest_marker("faults")]
    items[:] = [item for item in items if item not in set(left_out)]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Take down how each phase of a cell's test ended."""
    report = yield
    cell = item.get_closest_marker("cell")
    if cell is not None:
        row, column = cell.args
        item.config.stash[RECORDER].note((row, column), passed=report.passed)
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """Write the record."""
    path: Path | None = config.getoption("record_cells", None)
    if path is not None:
        config.stash[RECORDER].record.write(path)


def _is_whole(config: pytest.Config) -> bool:
    markers: str = config.getoption("markexpr", "")
    return config.getoption("record_cells", None) is not None or "faults" in markers
