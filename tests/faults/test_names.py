"""Names that stop to resolve. A held connection does not notice: it is cut, as it would be one day."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Final

import pytest

from tests.checks.contract import names_from
from tests.faults.cells import cells
from tests.faults.drill import drill
from tests.faults.subjects import Servers, Subject
from tests.network import Address, FakeDns, Proxy
from tests.network.dns import Rcode

NAME: Final = "server.ci.svc.cluster.local"
SLOW: Final = 0.1
"""Seconds that a slow answer takes, of the half that a run has."""
SAMPLES: Final[Mapping[str, str]] = {"DNS NXDOMAIN": "http", "DNS silent": "redis", "DNS slow": "postgres"}


@pytest.mark.parametrize(("subject", "column"), cells(SAMPLES))
async def test_a_name_that_resolved_before(subject: Subject, column: str, servers: Servers) -> None:
    async with (
        subject.serve(servers) as up,
        Proxy(up) as proxy,
        FakeDns({NAME: ["127.0.0.1"]}, ttl=0) as dns,
    ):
        names_from(dns)
        async with drill(subject.keys(Address(NAME, proxy.address.port))) as it:
            await it.survives(cutting(proxy, trouble(dns, column)), subject.expected(column))


def trouble(dns: FakeDns, column: str) -> AbstractContextManager[None]:
    """Return the trouble of a column."""
    match column:
        case "DNS NXDOMAIN":
            return dns.trouble(failing={NAME: Rcode.NXDOMAIN})
        case "DNS silent":
            return dns.trouble(silent=[NAME])
        case _:
            return dns.trouble(slow={NAME: SLOW})


@asynccontextmanager
async def cutting(proxy: Proxy, trouble: AbstractContextManager[None]) -> AsyncIterator[None]:
    """Begin the trouble, and cut what is held."""
    with trouble:
        proxy.cut()
        yield
