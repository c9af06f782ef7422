"""What every test stands on: real servers, a watch for what is left behind, and the sidecar's own loop."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from sidecar.support.loop import SidecarLoop

pytest_plugins: Final = ["tests.servers", "tests.leaks"]


SLOW: Final = (
    "process",
    "tools",
    "checks",
    "cli/test_announce_wait.py",
    "cli/test_check.py",
    "docs/test_pipelines.py",
    "runtime/test_stopping.py",
)
"""Where tests start processes of ours, or wait for deadlines of the real network."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark what `make test-fast` leaves out."""
    slow = [Path(__file__).parent / each for each in SLOW]
    for item in items:
        if any(item.path.is_relative_to(each) for each in slow):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Undo what a verb has set up that was run inside the test: others look at the log too."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for handler in [each for each in root.handlers if type(each) is logging.StreamHandler]:
        root.removeHandler(handler)


def pytest_configure() -> None:
    """Have no implicit event loop: looptime asks for one before each test, and nobody would close it."""
    asyncio.set_event_loop(None)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], SidecarLoop]]:
    """Run every asynchronous test on the loop that runs the sidecar."""
    return {"sidecar": SidecarLoop}
