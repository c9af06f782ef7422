"""A check, and a server that answers it whatever it is told to: real bytes on a real socket."""

import asyncio
import json
import os
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sidecar.checks import InstalledTypes
from sidecar.config.load import load
from sidecar.config.source import Source
from sidecar.core.check import Reason
from sidecar.core.result import Result
from sidecar.runtime.runner import CANCEL_GRACE, Runner
from sidecar.support.loop import SidecarLoop
from sidecar.support.text import Redactor
from tests.checks.contract import SECRET, build
from tests.network import Address, Connection, talking

TIMEOUT: Final = 0.2
"""Seconds that a run has: what waits for more than is ever said waits for so long."""
SLACK: Final = 2.0
"""Seconds that a busy machine may add."""
ECHO: Final = b"<ECHO>"
"""What a server replaces with all that it was told last: secrets among it."""
PIECE: Final = 8
"""Characters of a secret that tell too much of it."""
SOON: Final = 2.0
"""Seconds of the processor that any parser may take, on a machine that is busy."""

Talk = Callable[[Connection], Coroutine[Any, Any, None]]
T = TypeVar("T")


class Bench:
    """One event loop for many examples."""

    def __init__(self) -> None:
        self._loop = SidecarLoop()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns, once nothing of it is left."""
        return self._loop.run_until_complete(_to_the_end(work))

    def close(self) -> None:
        """Close the loop."""
        self._loop.close()


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    result = await work
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, left = await asyncio.wait(others, timeout=SLACK)
        assert not left, left
    return result


@contextmanager
def bench() -> Iterator[Bench]:
    """Yield a bench until the end of the block."""
    made = Bench()
    try:
        yield made
    finally:
        made.close()


async def ask(keys: Callable[[Address], Mapping[str, Any]], talk: Talk) -> Result:
    """Return how a run of a check ends against a server that talks so."""
    async with talking(talk) as address, mounted(keys(address)) as runner:
        return await runner.run()


@asynccontextmanager
async def mounted(keys: Mapping[str, Any]) -> AsyncIterator[Runner]:
    document = {"ungated": True, "checks": [{"name": "it", "gates": "none", **keys}]}
    config = load(Source("test.yaml", json.dumps(document).encode()), InstalledTypes(), os.environ)
    (check,) = config.checks
    runner = Runner(
        build(check), name="it", target=check.target, timeout=TIMEOUT, redact=Redactor(config.secrets)
    )
    try:
        yield runner
    finally:
        await runner.aclose()


def sound(result: Result) -> None:
    """Assert that a run ended as runs may: by no crash, in time, and telling no secret."""
    assert result.reason is not Reason.UNEXPECTED, result.message
    assert result.duration < TIMEOUT + CANCEL_GRACE + SLACK
    assert not told_of(SECRET, result.message), result.message


def told_of(secret: str, text: str) -> bool:
    """Whether a text tells of a secret: as it stands, in a URL, in the header of a login, or a part of it."""
    logins = (b64encode(f"{user}:{secret}".encode()).decode() for user in ("user", secret))
    forms = (secret, quote(secret, safe=""), *logins)
    return any(form[at : at + PIECE] in text for form in forms for at in range(len(form) - PIECE + 1))


async def answer_with(connection: Connection, reply: bytes, heard: bytes) -> None:
    """Send a reply, in which what was heard may be repeated."""
    await connection.send(reply.replace(ECHO, heard.replace(b"\r\n", b" ")))


@contextmanager
def within(seconds: float = SOON) -> Iterator[None]:
    """Assert that what is done takes no longer than so many seconds of the processor."""
    began = time.process_time()
    yield
    assert time.process_time() - began < seconds
