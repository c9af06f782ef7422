"""The rows of the matrix that ask over the network: how each is configured, and what satisfies it.

What each makes of a fault stands in two tables: what most do, and who differs.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final

import pytest

from sidecar.core.check import Reason
from tests.checks.contract import Keys
from tests.faults.drill import UP, Expected, down
from tests.network import Address, Connection, silent, talking
from tests.network.fakes import first_of
from tests.network.tls import server_context
from tools.servers import RabbitServer, S3Server, Server, TlsFiles

BUCKET: Final = "faults"
USUAL: Final[Mapping[str, Expected]] = {
    "refused": down(Reason.REFUSED),
    "black hole": down(Reason.TIMEOUT),
    "accepted and silent": down(Reason.TIMEOUT),
    "reset in the handshake": down(Reason.UNAVAILABLE),
    "reset in mid-reply": down(Reason.UNAVAILABLE),
    "garbage": down(Reason.PROTOCOL),
    "one byte a second": down(Reason.TIMEOUT),
    "half-close": down(Reason.UNAVAILABLE),
    "endless reply": down(Reason.PROTOCOL),
    "oversized reply": down(Reason.PROTOCOL),
    "TLS expired": down(Reason.TLS),
    "TLS wrong name": down(Reason.TLS),
    "TLS unknown CA": down(Reason.TLS),
    "plain text on a TLS port": down(Reason.TLS),
    "DNS NXDOMAIN": down(Reason.DNS),
    "DNS silent": down(Reason.TIMEOUT),
    "DNS slow": UP,
    "killed": down(Reason.REFUSED),
    "SIGSTOP 1s": UP,
    "SIGSTOP 60s": down(Reason.TIMEOUT),
    "restarted in mid-run": UP,
    "wrong password": down(Reason.AUTH),
    "password rotated": down(Reason.AUTH),
    "permission removed": down(Reason.FORBIDDEN),
    "clock jumped by an hour": UP,
}
"""What most checks make of a fault."""
DIFFERENT: Final[Mapping[str, Mapping[str, Expected]]] = {
    "redis": {
        "plain text on a TLS port": down(Reason.TIMEOUT),  # it waits for a line's end that never comes
    },
    "rabbitmq (kept channel)": {"permission removed": UP},  # it uses none, once it may enter the virtual host
    "rabbitmq-delivery": {
        "permission removed": UP,  # what it may not see is a warning, unless the check is strict
    },
    "http": {"endless reply": UP, "oversized reply": UP},  # the status has come, and nothing else was asked
    "tcp": {  # whatever a server says, it has accepted
        column: UP
        for column, usual in USUAL.items()
        if usual.reason not in (Reason.REFUSED, Reason.TLS, Reason.DNS)
    }
    | dict.fromkeys(("black hole", "DNS silent", "plain text on a TLS port"), down(Reason.TIMEOUT)),
}
"""By row, what its check makes of a fault instead."""


class Kind(StrEnum):
    """A sort of real server."""

    REDIS = "redis"
    RABBIT = "rabbit"
    POSTGRES = "postgres"
    S3 = "s3"
    DNS = "dns"


class Servers:
    """Real servers, by the fixtures that have them: `pattern` names one for each kind."""

    def __init__(self, request: pytest.FixtureRequest, pattern: str) -> None:
        self._request = request
        self._pattern = pattern

    def get(self, kind: Kind) -> Server:
        """Return the server of a kind."""
        return self._request.getfixturevalue(self._pattern.format(kind))  # type: ignore[no-any-return]

    def start_postgres(self, tls: TlsFiles) -> Server:
        """Start one of the test's own."""
        return self._request.getfixturevalue("start_postgres")(tls=tls, password="secret")  # type: ignore[no-any-return]


class Subject(ABC):
    """A check type that meets faults."""

    row: ClassVar[str]
    kind: ClassVar[Kind]
    """What can satisfy it."""
    connects: ClassVar[bool] = True
    """Whether it asks by TCP, through a proxy."""

    @abstractmethod
    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        """Return the keys of a check of what is at an address; over TLS where an authority is given."""

    def address(self, server: Server) -> Address:
        """Return where it asks its server."""
        return Address(server.host, server.port)

    def furnish(self, server: Server) -> None:  # noqa: B027 - most look for nothing
        """Give a server that has just started what the check looks for."""

    @asynccontextmanager
    async def serve(self, servers: Servers) -> AsyncIterator[Address]:
        """Bring up what satisfies the check."""
        server = servers.get(self.kind)
        self.furnish(server)
        yield self.address(server)

    @asynccontextmanager
    async def serve_tls(self, servers: Servers, files: TlsFiles) -> AsyncIterator[Address]:
        """Bring up the same behind TLS."""
        async with self.serve(servers) as plain, unwrapping(plain, files) as address:
            yield address

    def expected(self, column: str) -> Expected:
        """Return what it makes of a fault."""
        return DIFFERENT.get(self.row, {}).get(column, USUAL[column])

    def __repr__(self) -> str:
        return self.row


class Redis(Subject):
    row = "redis"
    kind = Kind.REDIS

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        return {"type": "redis", "url": f"redis{secured(ca)}://{address}/0", "write": True, **trusting(ca)}


class Rabbit(Subject):
    row = "rabbitmq"
    kind = Kind.RABBIT

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        url = f"amqp{secured(ca)}://guest:guest@{address}/"
        return {"type": "rabbitmq", "url": url, "round_trip": True, **trusting(ca)}


class KeptChannel(Subject):
    """The check as it is by default, which sends nothing."""

    row = "rabbitmq (kept channel)"
    kind = Kind.RABBIT

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        url = f"amqp{secured(ca)}://guest:guest@{address}/"
        return {"type": "rabbitmq", "url": url, **trusting(ca)}


class Delivery(Subject):
    row = "rabbitmq-delivery"
    kind = Kind.RABBIT

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        return {
            "type": self.row,
            "url": "amqp://guest:guest@amqp.test/",
            "management_url": f"http{secured(ca)}://guest:guest@{address}",
            "exchanges": [{"name": "amq.topic"}],
            **trusting(ca),
        }

    def address(self, server: Server) -> Address:
        assert isinstance(server, RabbitServer)
        return Address(server.host, server.management_port)


class Inflight(Delivery):
    row = "rabbitmq-inflight"

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        keys = dict(super().keys(address, ca=ca))
        del keys["exchanges"]
        return {**keys, "gates": "none"}  # which is all that it may gate


class Postgres(Subject):
    row = "postgres"
    kind = Kind.POSTGRES

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        mode = "" if ca else "?sslmode=disable"
        url = f"postgres://postgres:secret@{address}/postgres{mode}"
        return {"type": "postgres", "url": url, "writable": True, **trusting(ca)}

    @asynccontextmanager
    async def serve_tls(self, servers: Servers, files: TlsFiles) -> AsyncIterator[Address]:
        yield self.address(servers.start_postgres(files))


class KeptSession(Postgres):
    row = "postgres (keep)"

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        return {**super().keys(address, ca=ca), "keep": True}


class S3(Subject):
    row = "s3"
    kind = Kind.S3

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        return {
            "type": "s3",
            "bucket": BUCKET,
            "region": "eu-west-1",
            "endpoint_url": f"http{secured(ca)}://{address}",
            "access_key_id": "AKIAGIVEN",
            "secret_access_key": "given-secret-key",
            **trusting(ca),
        }

    def furnish(self, server: Server) -> None:
        assert isinstance(server, S3Server)
        server.create_bucket(BUCKET)


class Http(Subject):
    row = "http"
    kind = Kind.S3

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        return {"type": "http", "url": f"http{secured(ca)}://{address}/", **trusting(ca)}

    @asynccontextmanager
    async def serve(self, servers: Servers) -> AsyncIterator[Address]:  # noqa: ARG002 - a few lines will do
        async with talking(answer_http) as address:
            yield address


class Tcp(Subject):
    row = "tcp"
    kind = Kind.REDIS

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:
        return {"type": "tcp", "host": address.host, "port": address.port, **trusting(ca)}

    @asynccontextmanager
    async def serve(self, servers: Servers) -> AsyncIterator[Address]:  # noqa: ARG002 - any listener will do
        async with silent() as address:
            yield address


class Dns(Subject):
    """Asks over UDP, so that what befalls connections does not befall it."""

    row = "dns"
    kind = Kind.DNS
    connects = False

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:  # noqa: ARG002 - it knows no TLS
        at = {"server": address.host, "port": address.port}
        return {"type": "dns", "hostname": "up.test", "record": "A", **at}


class Exec(Subject):
    """Asks nobody: any server will do."""

    row = "exec"
    kind = Kind.REDIS

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:  # noqa: ARG002 - nobody is there
        return {"type": "exec", "command": ["true"]}


class File(Subject):
    """Asks nobody either."""

    row = "file"
    kind = Kind.REDIS

    def keys(self, address: Address, *, ca: Path | None = None) -> Keys:  # noqa: ARG002 - nobody is there
        return {"type": "file", "path": __file__, "contains": "row"}


SUBJECTS: Final = (
    Redis(),
    Rabbit(),
    KeptChannel(),
    Delivery(),
    Inflight(),
    Postgres(),
    KeptSession(),
    S3(),
    Http(),
    Tcp(),
)
"""All that connect by TCP."""


async def answer_http(connection: Connection) -> None:
    """Answer every request with 200, and what is none with 400, as web servers do."""
    while said := await connection.read():
        status = "200 OK" if said.startswith(b"GET ") else "400 Bad Request"
        await connection.send(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok".encode())


@asynccontextmanager
async def unwrapping(target: Address, files: TlsFiles) -> AsyncIterator[Address]:
    """Speak TLS in front of a server that does not."""

    async def script(client: Connection) -> None:
        reader, writer = await asyncio.open_connection(target.host, target.port)

        async def answer() -> None:
            while data := await reader.read(65536):
                await client.send(data)

        async def ask() -> None:
            while data := await client.read():
                writer.write(data)

        try:
            await first_of(answer(), ask())
        finally:
            writer.transport.abort()

    async with talking(script, tls=server_context(files)) as address:
        yield address


def secured(ca: Path | None) -> str:
    """Return what makes a scheme one of TLS."""
    return "s" if ca else ""


def trusting(ca: Path | None) -> Keys:
    """Return the key with the authority, if there is one."""
    return {"tls": {"ca": str(ca)}} if ca else {}
