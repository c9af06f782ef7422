"""The event loop, whose look-ups and farewells hang nobody, for every driver that asks the loop.

asyncio resolves names in a small thread pool that hung look-ups fill: then good names time out behind bad
ones, and the exit waits for all of them. Here c-ares resolves. And a TLS connection that is closed waits 30s
in asyncio for its peer's farewell, which outlives the run that opened it.
"""

import asyncio
import socket
from typing import Any, Final

from pycares import AresError

from sidecar.support.net import is_literal
from sidecar.support.resolver import ABSENT, Resolver

TLS_FAREWELL: Final = 0.05
"""Seconds that a TLS connection which we close waits for its peer's part."""

AddressInfo = tuple[int, int, int, str, Any]


class SidecarLoop(asyncio.SelectorEventLoop):
    """A selector event loop that resolves names through c-ares: `/etc/hosts`, search domains, ndots.

    `resolver_options` are those of a `Resolver`; they may change until the first name is looked up.
    """

    def __init__(self, **resolver_options: Any) -> None:
        super().__init__()
        self.resolver_options = resolver_options
        self._resolver: Resolver | None = None

    async def getaddrinfo(  # type: ignore[override]  # the signature that drivers use; bytes never come
        self,
        host: str | None,
        port: str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """Resolve as `socket.getaddrinfo` does, without ever blocking the loop or a shared thread.

        Of the flags only those count that concern no look-up; without a `type` it is that of TCP.

        Raises:
            socket.gaierror: `EAI_NONAME` where the name does not exist, `EAI_AGAIN` where no answer came.
            OSError: no descriptor is left to ask with.
        """
        if not host or is_literal(host) or flags & socket.AI_NUMERICHOST:
            numeric = flags | (socket.AI_NUMERICHOST if host else 0)
            return list(socket.getaddrinfo(host or None, port, family, type, proto, numeric))
        kind = type or socket.SOCK_STREAM
        try:
            found = await self.resolver.addresses(
                host, _port_number(port), family=family, type=kind, proto=proto
            )
        except AresError as error:
            raise _as_gaierror(error) from error
        except UnicodeError as error:
            raise socket.gaierror(socket.EAI_NONAME, f"not a host name: {error}") from error
        return [(node.family, kind, proto or node.protocol, "", _address(node.addr)) for node in found]

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        """Connect as asyncio does."""
        if options.get("ssl"):
            options.setdefault("ssl_shutdown_timeout", TLS_FAREWELL)
        return await super().create_connection(*args, **options)

    async def start_tls(self, *args: Any, **options: Any) -> Any:
        """Upgrade a connection as asyncio does."""
        options.setdefault("ssl_shutdown_timeout", TLS_FAREWELL)
        return await super().start_tls(*args, **options)

    @property
    def resolver(self) -> Resolver:
        """The resolver of every look-up through the loop, made when first needed."""
        if self._resolver is None:
            self._resolver = Resolver(self, **self.resolver_options)
        return self._resolver

    def close(self) -> None:
        """Close the loop; look-ups still under way are given up."""
        if self._resolver is not None:
            self._resolver.close()
        super().close()


def new_resolver(**options: Any) -> Resolver:
    """Return a resolver for the running loop, with nothing in its cache; the caller closes it.

    `options` go before the loop's own.
    """
    loop = asyncio.get_running_loop()
    common = loop.resolver_options if isinstance(loop, SidecarLoop) else {}
    return Resolver(loop, **{**common, **options})


def _port_number(port: str | int | None) -> int | None:
    """Return a port, also where it is a service's name."""
    if port is None or isinstance(port, int):
        return port
    return int(port) if port.isdecimal() else socket.getservbyname(port)


def _as_gaierror(error: AresError) -> socket.gaierror:
    code, text = error.args
    return socket.gaierror(socket.EAI_NONAME if code in ABSENT else socket.EAI_AGAIN, text)


def _address(found: tuple[bytes | str | int, ...]) -> tuple[str | int, ...]:
    """Return a socket's address, whose host pycares leaves as bytes."""
    host, *rest = found
    return (host.decode() if isinstance(host, bytes) else host, *(int(each) for each in rest))
