"""What every test stands on: real servers, a watch for what is left behind, and the sidecar's own loop."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from sidecar.support.loop import SidecarLoop

pytest_plugins: Final = ["tests.servers", "tests.leaks"]


def pytest_configure() -> None:
    """Have no implicit event loop: looptime asks for one before each test, and nobody would close it."""
    asyncio.set_event_loop(None)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], SidecarLoop]]:
    """Run every asynchronous test on the loop that runs the sidecar."""
    return {"sidecar": SidecarLoop}
