"""What every test stands on: real servers, a watch for what is left behind, and the sidecar's own loop."""

from collections.abc import Callable, Mapping
from typing import Final

from sidecar.support.loop import SidecarLoop

pytest_plugins: Final = ["tests.servers", "tests.leaks"]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], SidecarLoop]]:
    """Run every asynchronous test on the loop that runs the sidecar."""
    return {"sidecar": SidecarLoop}
