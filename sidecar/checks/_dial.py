"""Dials the connections that a driver then speaks over.

The drivers' own dialling knows neither `tls.server_name` nor an address family that hangs, builds a TLS
context on the event loop, and hands over nothing to hang up with.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from sidecar.checks._connect import Streams, client_tls, connection_failures, open_connection
from sidecar.config.check import TlsConfig
from sidecar.config.kinds.url import Url

if TYPE_CHECKING:
    import ssl

TLS_SCHEMES: Final = frozenset({"amqps", "rediss"})
TLS_GOODBYE: Final = 0.05
"""Seconds that a TLS connection being closed waits for its peer; asyncio's default of 30 outlives the run."""


class Dialer:
    """Dials one URL, with TLS where its scheme says so; makes the TLS context once."""

    def __init__(self, url: Url, tls: TlsConfig | None) -> None:
        self._url = url
        self._tls = tls
        self._context: ssl.SSLContext | None = None

    async def dial(self) -> Streams:
        """Return a new connection, any TLS handshake done. The caller closes it.

        Raises:
            CheckFailed: with reason dns, tls, refused, forbidden, timeout or unavailable.
        """
        tls = await self._tls_arguments() if self._url.scheme in TLS_SCHEMES else {}
        with connection_failures(self._url.address):
            if self._url.scheme == "unix":
                return await asyncio.open_unix_connection(self._url.address)
            return await open_connection(self._url.host, self._url.port or 0, **tls)

    async def _tls_arguments(self) -> dict[str, Any]:
        if self._context is None:
            self._context = await client_tls(self._tls)
        server_name = self._tls.server_name if self._tls else None
        return {
            "ssl": self._context,
            "server_hostname": server_name or self._url.host,
            "ssl_shutdown_timeout": TLS_GOODBYE,
        }
