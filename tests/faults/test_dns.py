"""The check type `dns`, whose server misbehaves over UDP, or says that it knows no such name."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager

import pytest

from sidecar.core.check import Reason
from tests.faults.cells import cell
from tests.faults.drill import UP, Expected, down, drill
from tests.network import FakeDns
from tests.network.dns import Rcode

NAME = "app.test"
Trouble = Callable[[FakeDns], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        cell("dns", "refused", FakeDns.refuse, down(Reason.REFUSED)),
        cell("dns", "accepted and silent", lambda dns: dns.trouble(silent=[NAME]), down(Reason.TIMEOUT)),
        cell(
            "dns", "garbage", lambda dns: dns.trouble(garbled=[NAME]), down(Reason.PROTOCOL), is_sample=True
        ),
        cell(
            "dns",
            "permission removed",
            lambda dns: dns.trouble(failing={NAME: Rcode.REFUSED}),
            down(Reason.UNAVAILABLE),
        ),
        cell(
            "dns",
            "DNS NXDOMAIN",
            lambda dns: dns.trouble(failing={NAME: Rcode.NXDOMAIN}),
            down(Reason.NOT_FOUND),
        ),
        cell("dns", "DNS silent", lambda dns: dns.trouble(silent=[NAME]), down(Reason.TIMEOUT)),
        cell("dns", "DNS slow", lambda dns: dns.trouble(slow={NAME: 0.05}), UP),
    ],
)
async def test_a_name_server_in_trouble(trouble: Trouble, expected: Expected) -> None:
    async with FakeDns({NAME: ["192.0.2.1"]}) as dns:
        at = {"server": dns.address.host, "port": dns.address.port, "record": "A"}
        async with drill({"type": "dns", "hostname": NAME, **at}) as it:
            await it.survives(within(trouble(dns)), expected)


@asynccontextmanager
async def within(trouble: AbstractContextManager[None]) -> AsyncIterator[None]:
    """Be in trouble until the end of the block."""
    with trouble:
        yield
