"""What hears a server before its driver does: whether it is PostgreSQL that speaks, and how much it says.

asyncpg's parser waits for ever for the end of garbage, and keeps what comes.
"""

import asyncio
import ssl
import struct
from typing import Any, Final, cast

from sidecar.checks._dial import TLS_GOODBYE

HEARING_LIMIT: Final = 1024 * 1024
"""Bytes that a server may say between two questions; no answer that concerns us has a tenth of them."""

_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
_HEADER: Final = struct.Struct("!Bi")
"""A letter, and the length of what follows, itself included."""
_LENGTH_OF_ITSELF: Final = 4
_TERMINATE: Final = b"X\x00\x00\x00\x04"
_MESSAGES: Final = frozenset(b"RKSZENA123CDITtnsGHWVvcd")
"""The first bytes of what a server says (postgresql.org/docs/current/protocol-message-formats.html)."""


class Ear(asyncio.Protocol):
    """Hears the server: for us at first, then for the driver, as long as it is PostgreSQL that speaks."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        """Set once the connection is gone."""
        self.is_deaf = False
        """Whether something else was heard."""
        self.heard = 0
        """Bytes since the last question."""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answer.add_done_callback(mark_as_seen)
        self._driver: asyncio.Protocol | None = None
        self._begun = b""
        """What has come of a message's header."""
        self._content_left = 0
        """Bytes that are still to come of a message's content."""

    async def ask_for_tls(self) -> bytes:
        """Return what the server says to that, which is a letter."""
        self._line.write(_SSL_REQUEST)
        answer = await self._answer
        self._answer = asyncio.get_running_loop().create_future()
        self._answer.add_done_callback(mark_as_seen)
        return answer

    async def encrypt(self, context: ssl.SSLContext, server_name: str) -> None:
        """Do the TLS handshake."""
        encrypted = await asyncio.get_running_loop().start_tls(
            self._line, self, context, server_hostname=server_name, ssl_shutdown_timeout=TLS_GOODBYE
        )
        if encrypted is None:
            raise EOFError
        self._transport = encrypted

    def lend_to(self, driver: asyncio.Protocol) -> asyncio.Transport:
        """Let the driver speak and hear from now on.

        Raises:
            OSError: the connection is gone already.
            EOFError: the same, or somebody spoke who was not asked.
        """
        if self._answer.done():
            self.is_deaf = bool(self._answer.result())
            raise EOFError
        self._driver = driver
        driver.connection_made(self._line)
        return self._line

    def hang_up(self) -> None:
        """Say goodbye, unless the server does not listen, and end the connection."""
        if self._transport is not None:
            if self._driver is not None and not self._transport.is_closing():
                self._transport.write(_TERMINATE)
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the server."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand over what the server says."""
        if self._driver is None and not self._answer.done():
            self._answer.set_result(data)
        elif self._driver is not None and self._is_postgres(data):
            self._driver.data_received(data)
        else:
            self.is_deaf = True
            self._line.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that the connection is gone."""
        self.lost.set()
        if not self._answer.done():
            self._answer.set_exception(exc or EOFError())
        if self._driver is not None:
            self._driver.connection_lost(exc)

    def pause_writing(self) -> None:
        """Let the driver wait: the server does not read."""
        if self._driver is not None:
            self._driver.pause_writing()

    def resume_writing(self) -> None:
        """Let the driver go on."""
        if self._driver is not None:
            self._driver.resume_writing()

    @property
    def _line(self) -> asyncio.Transport:
        return cast("asyncio.Transport", self._transport)  # made before anything is said or heard

    def _is_postgres(self, data: bytes) -> bool:
        """Whether this goes on as messages do: a letter, a length, and so much content."""
        self.heard += len(data)
        data = self._begun + data
        at = self._content_left
        while len(data) - at >= _HEADER.size:
            kind, length = _HEADER.unpack_from(data, at)
            if kind not in _MESSAGES or not _LENGTH_OF_ITSELF <= length <= HEARING_LIMIT:
                return False
            at += 1 + length
        self._content_left = max(0, at - len(data))
        self._begun = data[at:]
        return self.heard <= HEARING_LIMIT and _MESSAGES.issuperset(self._begun[:1])


def mark_as_seen(future: asyncio.Future[Any]) -> None:
    """Look at how a future ended: asyncio complains where nobody did, also of one that we gave up."""
    if not future.cancelled():
        future.exception()
