"""Real servers that die, hang, and come back, at any moment of a run."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tests.faults.cells import cells
from tests.faults.drill import UP, Drill, drill
from tests.faults.strikes import aside, doing
from tests.faults.subjects import SUBJECTS, Dns, Servers, Subject
from tests.network import Proxy
from tools.servers import Server

BRIEF: Final = 0.25
"""Seconds of a pause: half the deadline of a run, as one of a second is by default."""
STRUCK: Final[Mapping[str, str]] = {"killed": "redis", "SIGSTOP 60s": "postgres"}
PAUSED: Final[Mapping[str, str]] = {"SIGSTOP 1s": "redis"}
RESTARTED: Final[Mapping[str, str]] = {"restarted in mid-run": "postgres"}


@pytest.mark.parametrize(("subject", "column"), cells(STRUCK, subjects=(*SUBJECTS, Dns())))
async def test_a_server_that_is_gone_or_hangs(subject: Subject, column: str, breakable: Servers) -> None:
    server = breakable.get(subject.kind)
    subject.furnish(server)

    def revive() -> None:
        server.start()
        subject.furnish(server)

    is_killed = column == "killed"
    fault = doing(server.kill, revive) if is_killed else doing(server.pause, server.resume)
    async with drill(subject.keys(subject.address(server))) as it:
        await it.survives(fault, subject.expected(column))


@pytest.mark.parametrize(("subject", "column"), cells(PAUSED, subjects=(*SUBJECTS, Dns())))
async def test_a_server_that_hangs_for_less_than_a_deadline(
    subject: Subject, column: str, breakable: Servers
) -> None:
    server = breakable.get(subject.kind)
    subject.furnish(server)
    async with drill(subject.keys(subject.address(server))) as it:
        await it.survives(pausing(server), subject.expected(column))

        assert it.changes == 1


@pytest.mark.parametrize(("subject", "column"), cells(RESTARTED))
async def test_a_server_that_is_restarted_in_mid_run(
    subject: Subject, column: str, breakable: Servers
) -> None:
    server = breakable.get(subject.kind)
    subject.furnish(server)
    async with (
        Proxy(subject.address(server)) as proxy,
        drill(subject.keys(proxy.address)) as it,
    ):
        await it.survives(restarting(subject, server, proxy, it), subject.expected(column))


@asynccontextmanager
async def pausing(server: Server) -> AsyncIterator[None]:
    """Pause a server, and have it go on."""
    async with doing(server.pause, server.resume):
        await asyncio.sleep(BRIEF)
    yield


@asynccontextmanager
async def restarting(subject: Subject, server: Server, proxy: Proxy, it: Drill) -> AsyncIterator[None]:
    """Hold a run up half-way, and restart its server meanwhile."""
    with proxy.fault("silent"):
        while not it.is_running:  # noqa: ASYNC110 - a tenth of a second
            await asyncio.sleep(0.005)
        await aside(server.kill)
    await aside(server.start)
    await aside(lambda: subject.furnish(server))
    await it.until(UP)
    yield
