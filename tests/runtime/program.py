"""A sidecar whose one check misbehaves, in a process of its own: `python -m tests.runtime.program BEHAVIOUR`.

Prints `ready` once it misbehaves.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from sidecar.app.server import serve
from sidecar.config.check import CheckConfig, CheckType
from sidecar.config.model import Config, DrainConfig, Sections, ServerConfig
from sidecar.core.check import Check
from sidecar.support.text import Redactor
from tests.runtime.fakes import Act, FakeCheck, FakeDriver, Stubborn, for_ever


def ready() -> None:
    print("ready", flush=True)


def saying_so(act: Act) -> Act:
    async def say_and_act() -> None:
        ready()
        await act()

    return say_and_act


async def block() -> None:
    time.sleep(60)  # noqa: ASYNC251 - the very fault


def import_for_a_minute() -> None:
    ready()
    time.sleep(60)


def stop_while_starting(_config: CheckConfig) -> Check:
    ready()
    os.kill(os.getpid(), signal.SIGTERM)
    return FakeCheck(for_ever)


def check_type(
    build: Callable[[CheckConfig], Check], *drivers: FakeDriver
) -> Callable[[], CheckType[CheckConfig]]:
    return lambda: CheckType(config=CheckConfig, build=build, drivers=drivers)


BEHAVIOURS: Final[dict[str, Callable[[], CheckType[CheckConfig]]]] = {
    "waits": check_type(lambda _: FakeCheck(saying_so(for_ever))),
    "blocks the event loop": check_type(lambda _: FakeCheck(saying_so(block))),
    "ignores its cancellation": check_type(lambda _: FakeCheck(saying_so(Stubborn()), close=Stubborn())),
    "imports its driver": check_type(
        lambda _: FakeCheck(for_ever), FakeDriver("slow_driver", import_for_a_minute)
    ),
    "is told to stop while it starts": check_type(stop_while_starting),
}


class OneType:
    """Knows the type of the one check."""

    def __init__(self, only: CheckType[CheckConfig]) -> None:
        self._only = only

    def find(self, name: str) -> CheckType[Any] | None:
        del name
        return self._only

    def names(self) -> Sequence[str]:
        return ["fake"]


def main(behaviour: str) -> int:
    config = Config(
        checks=(CheckConfig(name="db", type="fake", timeout=0.2),),
        sections=Sections(
            server=ServerConfig(host="127.0.0.1", port=0, admin_port=0), drain=DrainConfig(delay=0.0)
        ),
    )
    return serve(config, OneType(BEHAVIOURS[behaviour]()), Redactor(()))


if __name__ == "__main__":
    asyncio.set_event_loop(None)
    sys.exit(main(sys.argv[1]))
