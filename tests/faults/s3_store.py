"""A store that judges requests as S3 does where moto does not: by region, clock, session token and load.

It keeps no object. What goes wrong is what a test sets.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.checks.s3_fakes import Request, http_date, read_request, s3_error, stored
from tests.network import Address, Connection, talking

MAX_SKEW: Final = timedelta(minutes=15)
"""How far clocks may differ (docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n" * 100


@dataclass
class Store:
    """One bucket in one region, for anybody who signs."""

    region: str = "eu-west-1"
    ahead: timedelta = timedelta()
    """By how much its clock differs from ours."""
    expired: set[str] = field(default_factory=set)
    """Session tokens that it takes no longer."""
    is_overloaded: bool = False
    is_undecided: bool = False
    """Whether it says to continue, and nothing else."""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Address]:
        """Yield where it listens."""
        async with talking(self._talk) as address:
            yield address

    async def _talk(self, connection: Connection) -> None:
        while True:
            request = await read_request(connection)
            while self.is_undecided:
                await connection.send(CONTINUE)
                await asyncio.sleep(0.001)
            date = http_date(ahead=self.ahead.total_seconds())
            refusal = next(self._refusals(request, date), None)
            await connection.send(refusal or stored(Date=date))

    def _refusals(self, request: Request, date: str) -> Iterator[bytes]:
        """Yield an error for each thing that is wrong with a request."""
        if self.is_overloaded:
            yield s3_error(503, "SlowDown", "Please reduce your request rate.", Date=date)
        if abs(_signed_at(request) - datetime.now(UTC) - self.ahead) > MAX_SKEW:
            yield s3_error(403, "RequestTimeTooSkewed", Date=date)
        if request.headers.get("x-amz-security-token") in self.expired:
            yield s3_error(400, "ExpiredToken", "The provided token has expired.", Date=date)
        if _signed_for(request) != self.region:
            details = f"<Region>{self.region}</Region>"
            yield s3_error(400, "AuthorizationHeaderMalformed", details=details, Date=date)


def _signed_at(request: Request) -> datetime:
    return datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _signed_for(request: Request) -> str:
    """Return the region of the signature's scope."""
    found = re.search(r"Credential=[^/]*/\d{8}/([^/]*)/s3/", request.headers["authorization"])
    assert found
    return found[1]
