"""The event loop, whose name look-ups hang nobody.

asyncio resolves names in a small thread pool that hung look-ups fill: then good names time out behind bad
ones, and the exit waits for all of them. Here c-ares resolves, for every driver that asks the loop.
"""

import asyncio
import socket
from typing import Any, Final

import aiodns

from sidecar.support.net import is_literal

AddressInfo = tuple[int, int, int, str, Any]

_ABSENT: Final = frozenset(
    {
        aiodns.error.ARES_ENOTFOUND,
        aiodns.error.ARES_ENODATA,
        aiodns.error.ARES_ENONAME,
        aiodns.error.ARES_EBADNAME,
    }
)


class SidecarLoop(asyncio.SelectorEventLoop):
    """A selector event loop that resolves names through c-ares: `/etc/hosts`, search domains, ndots.

    `resolver_options` go to `aiodns.DNSResolver`, for instance `resolvconf_path` or `nameservers`.
    """

    def __init__(self, **resolver_options: Any) -> None:
        super().__init__()
        self._resolver_options = resolver_options
        self._resolver: aiodns.DNSResolver | None = None

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

        Raises:
            socket.gaierror: `EAI_NONAME` where the name does not exist, `EAI_AGAIN` where no answer came.
        """
        if not host or is_literal(host):
            numeric = flags | (socket.AI_NUMERICHOST if host else 0)
            return list(socket.getaddrinfo(host, port, family, type, proto, numeric))
        try:
            found = await self.resolver.getaddrinfo(
                host, socket.AddressFamily(family), None if port is None else int(port), proto, type, flags
            )
        except aiodns.error.DNSError as error:
            raise _as_gaierror(error) from error
        except UnicodeError as error:
            raise socket.gaierror(socket.EAI_NONAME, f"not a host name: {error}") from error
        return [
            (node.family, type or node.socktype, proto or node.protocol, "", _address(node))
            for node in found.nodes
        ]

    @property
    def resolver(self) -> aiodns.DNSResolver:
        """The resolver, made when first needed."""
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(loop=self, **self._resolver_options)
        return self._resolver

    def close(self) -> None:
        """Close the loop; look-ups still under way are given up."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None and not self.is_closed():
            resolver.cancel()
        super().close()


def _as_gaierror(error: aiodns.error.DNSError) -> socket.gaierror:
    code, text = error.args[0], error.args[1] if len(error.args) > 1 else "no answer"
    return socket.gaierror(socket.EAI_NONAME if code in _ABSENT else socket.EAI_AGAIN, text)


def _address(node: Any) -> tuple[str | int, ...]:
    host, *rest = node.addr
    return (host.decode() if isinstance(host, bytes) else host, *rest)
