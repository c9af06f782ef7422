"""Real servers that die, hang, and come back, at any moment of a run."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import pytest

from sidecar.core.check import Reason
from tests.faults.cells import cells
from tests.faults.drill import UP, Drill, drill
from tests.faults.strikes import aside, doing
from tests.faults.subjects import SUBJECTS, Dns, Servers, Subject, Tcp
from tests.network import Proxy
from tools.servers import Server

BRIEF: Final = 0.25
"""Seconds of a pause: less than a run may take, as one of a second is by default."""
PATIENCE: Final = "1s"
"""Deadline of a run that is to outlast it, on a machine that is busy."""
MET_HALF_WAY: Final = {Reason.TIMEOUT, Reason.UNAVAILABLE}
"""What becomes of a run whose server ends meanwhile."""
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
    async with drill(subject.keys(subject.address(server)), deadline=PATIENCE) as it:
        await it.survives(pausing(server), subject.expected(column))

        assert [each.message for each in it.results if not each.is_success] == []


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
    """Hold a run up half-way, restart its server meanwhile, and assert what becomes of the run."""
    already = len(it.results)
    while len(it.results) == already:  # noqa: ASYNC110 - a tenth of a second
        await asyncio.sleep(0.005)
    with proxy.fault("silent"):
        while not it.is_running:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.005)
        await aside(server.kill)
    await aside(server.start)
    await aside(lambda: subject.furnish(server))
    await it.until(UP)
    struck = it.results[already + 1]
    assert struck.reason in ({None} if isinstance(subject, Tcp) else MET_HALF_WAY), struck.message
    yield
