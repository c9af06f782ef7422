"""Looks up a name, past every cache of ours, and compares the answer if one is expected.

Without a `record` it asks for addresses as an app does: in `/etc/hosts` first, then in the DNS, with the
search domains of `resolv.conf`. With a `record` (`A`, `AAAA`, `CNAME`, `MX`, `SRV`, `TXT`) it asks the DNS
alone, with the search domains. With a `server` it asks that one alone, for the name as it stands.

Down means that the name does not exist or has no such record (`not_found`), that no server answers
(`timeout`; `refused` where nothing listens), that the server itself fails (`unavailable`) or answers what is
no DNS (`protocol`), or that an answer is missing which `expect` lists (`contract`): every one that is listed
must be there, and others may be.
Answers are written as `2001:db8::1`, `www.example.com`, `10 mail.example.com` (MX), `0 5 5432 db.example.com`
(SRV: priority, weight, port, target), or as the text.

Permissions: none; a NetworkPolicy must allow port 53, UDP and TCP.
Reasons that waiting does not cure: none, for a headless Service has no addresses before its pods are ready.

```yaml
- name: database-name
  type: dns
  hostname: db.internal.example.com
  record: CNAME
  expect: [db-7.internal.example.com]
  gates: startup
```
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Any, Final

import pycares
from pycares import AresError, errno

from sidecar.checks._connect import connection_failures, strerror
from sidecar.config.check import CheckConfig, CheckType, option
from sidecar.config.fields import Host, Label, Port
from sidecar.config.problems import Mistake, quoted
from sidecar.config.shape import OneOrMany
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.loop import new_resolver
from sidecar.support.net import is_literal, show_address
from sidecar.support.resolver import ABSENT, UNANSWERED, Resolver


class Record(StrEnum):
    """A type of DNS record."""

    A = "A"
    AAAA = "AAAA"
    CNAME = "CNAME"
    MX = "MX"
    SRV = "SRV"
    TXT = "TXT"


ADDRESSES: Final = (Record.A, Record.AAAA)
_WRITTEN: Final[dict[Record, Callable[[Any], str]]] = {
    Record.A: lambda data: data.addr,
    Record.AAAA: lambda data: data.addr,
    Record.CNAME: lambda data: data.cname,
    Record.MX: lambda data: f"{data.priority} {data.exchange}",
    Record.SRV: lambda data: f"{data.priority} {data.weight} {data.port} {data.target}",
    Record.TXT: lambda data: data.data.decode(errors="replace"),
}


@dataclass(frozen=True, kw_only=True, repr=False)
class DnsConfig(CheckConfig):
    """Which name to look up, and where."""

    hostname: Host = option("Name to look up.")
    record: Record | None = option("Type of record; addresses, as an app asks, if left out.", default=None)
    server: Host | None = option("DNS server to ask instead of the system's.", default=None)
    port: Port | None = option("Port of `server`; 53 if left out.", default=None)
    expect: Annotated[tuple[Label, ...], OneOrMany()] | None = option(
        "Answers of which each must be there.", default=None
    )

    @property
    def target(self) -> str:
        """The name, and the server that is asked."""
        return f"{self.hostname} at {self.address}" if self.address else self.hostname

    @property
    def address(self) -> str | None:
        """Host and port of the server, if one is given."""
        return show_address(self.server, self.port or 53) if self.server else None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The server, or the name itself."""
        return (self.server or self.hostname,)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        if is_literal(self.hostname):
            yield Mistake("is an address, which nobody has to look up; write a name", key="hostname")
        if self.port is not None and self.server is None:
            yield Mistake("needs the key server beside it", key="port")
        if self.record in (None, *ADDRESSES):
            for answer in self.expect or ():
                if not is_literal(answer):
                    yield Mistake(f"{quoted(answer)} is not an IP address", key="expect")


class DnsCheck:
    """Asks through a resolver of its own each run: a cache would hide a dead server."""

    def __init__(self, config: DnsConfig) -> None:
        self._config = config

    async def run(self) -> None:
        """Look the name up, and compare the answer."""
        server = await self._server()
        with self._failures():
            resolver = new_resolver(timeout=self._config.timeout / 4, **server)
            try:
                answers = await self._answers(resolver)
            finally:
                resolver.close()
        self._judge(answers)

    async def aclose(self) -> None:
        """Hold nothing."""

    def _judge(self, answers: list[str]) -> None:
        found = {self._normal(answer) for answer in answers}
        missing = [answer for answer in self._config.expect or () if self._normal(answer) not in found]
        if missing:
            message = f"{self._config.target} is {', '.join(sorted(answers))}, not {', '.join(missing)}"
            raise CheckFailed(Reason.CONTRACT, message)

    def _normal(self, answer: str) -> str:
        """Return an answer so that equal ones are equal texts, however they are written."""
        if self._config.record is Record.TXT:
            return answer
        return str(ip_address(answer)) if is_literal(answer) else answer.rstrip(".").lower()

    async def _server(self) -> dict[str, Any]:
        """Return the options of a resolver that asks the given server, if one is given."""
        if self._config.server is None or self._config.address is None:
            return {}
        with connection_failures(self._config.address):
            found = await asyncio.get_running_loop().getaddrinfo(
                self._config.server, self._config.port or 53, type=socket.SOCK_DGRAM
            )
        servers = [show_address(str(host), int(port)) for *_, (host, port, *_) in found]
        return {"servers": servers, "flags": pycares.ARES_FLAG_NOSEARCH | pycares.ARES_FLAG_EDNS}

    async def _answers(self, resolver: Resolver) -> list[str]:
        """Return all answers, at least one.

        Raises:
            AresError: there is none.
        """
        name, record = self._config.hostname, self._config.record
        if record is None and self._config.server is None:
            return [node.addr[0].decode() for node in await resolver.addresses(name)]
        answers: list[str] = []
        absent = errno.ARES_ENODATA
        for each in (record,) if record else ADDRESSES:
            try:
                found = await resolver.records(name, getattr(pycares, f"QUERY_TYPE_{each}"))
            except AresError as error:
                if error.args[0] not in ABSENT:
                    raise
                absent = error.args[0]
            else:
                answers += (_WRITTEN[each](one.data) for one in found)
        if not answers:
            raise AresError(absent, errno.strerror(absent))
        return answers

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what a resolver raises into a `CheckFailed`."""
        try:
            yield
        except AresError as error:
            raise self._failure(error) from error
        except OSError as error:
            raise CheckFailed(Reason.UNAVAILABLE, f"{self._config.target}: {strerror(error)}") from error

    def _failure(self, error: AresError) -> CheckFailed:
        code, text = error.args
        target, record = self._config.target, self._config.record or "address"
        if code == errno.ARES_ENODATA:
            return CheckFailed(Reason.NOT_FOUND, f"{target} has no {record}")
        if code in ABSENT:
            return CheckFailed(Reason.NOT_FOUND, f"{target} does not exist")
        if code in UNANSWERED:
            return CheckFailed(Reason.TIMEOUT, f"{target}: no server answers")
        if code == errno.ARES_EBADRESP:
            return CheckFailed(Reason.PROTOCOL, f"{target} does not answer as a DNS server")
        if code == errno.ARES_ECONNREFUSED:
            return CheckFailed(Reason.REFUSED, f"{target}: no server listens")
        return CheckFailed(Reason.UNAVAILABLE, f"{target}: {text.lower()}")


check_type = CheckType(config=DnsConfig, build=DnsCheck, opens_connection=False)
