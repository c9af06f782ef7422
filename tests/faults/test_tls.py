"""Certificates that nobody should trust, in the place of one that the check has trusted."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tests.faults.cells import cells
from tests.faults.drill import drill
from tests.faults.strikes import leading
from tests.faults.subjects import Servers, Subject
from tests.network import Address, Proxy
from tests.network.tls import Certificates

BAD: Final = {
    "TLS expired": "expired",
    "TLS wrong name": "wrong_name",
    "TLS unknown CA": "unknown_ca",
}
"""By column, the certificate; where there is none, the server does not speak TLS."""
SAMPLES: Final[Mapping[str, str]] = {
    "TLS expired": "redis",
    "TLS wrong name": "postgres",
    "TLS unknown CA": "tcp",
    "plain text on a TLS port": "http",
}


@pytest.mark.parametrize(("subject", "column"), cells(SAMPLES))
async def test_tls_that_is_not_to_be_trusted(
    subject: Subject, column: str, servers: Servers, certificates: Certificates
) -> None:
    async with (
        subject.serve_tls(servers, certificates.good) as good,
        in_its_place(subject, column, servers, certificates) as bad,
        Proxy(good) as proxy,
        drill(subject.keys(proxy.address, ca=certificates.ca), deadline="1s") as it,
    ):
        await it.survives(leading(proxy, bad, back_to=good), subject.expected(column))


@asynccontextmanager
async def in_its_place(
    subject: Subject, column: str, servers: Servers, certificates: Certificates
) -> AsyncIterator[Address]:
    """Yield where the same server shows another certificate, or none."""
    files = getattr(certificates, BAD[column]) if column in BAD else None
    async with subject.serve_tls(servers, files) if files else subject.serve(servers) as address:
        yield address
