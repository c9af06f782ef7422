"""One AMQP connection: dialled by us, spoken by aiormq, and overheard.

aiormq is the driver beneath aio-pika, which itself keeps 4 KiB of every channel it ever opened for as long
as the connection lasts. What the broker says of a connection as a whole, why it closes it in the handshake
and that it blocks it, aiormq keeps to itself: so an ear listens in.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sidecar.checks._connect import Streams, close_now, connection_failure
from sidecar.config.kinds.secret import Secret
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.driver import Driver

if TYPE_CHECKING:
    from aiormq import Connection

Login = tuple[str | None, Secret | None]
"""User name and password, each if there is one."""

aiormq = Driver("aiormq", extra="rabbitmq")

GOODBYE: Final = 0.04
"""Seconds that a broker gets to answer our goodbye; a cancelled run has 0.1 for all of its cleaning."""
FRAME_LIMIT: Final = 1024 * 1024
"""Bytes; no frame that concerns us has a tenth of them, and garbage announces gigabytes."""

_CLOSE: Final = b"\x00\x0a\x00\x32"
_BLOCKED: Final = b"\x00\x0a\x00\x3c"
_UNBLOCKED: Final = b"\x00\x0a\x00\x3d"
"""Methods 50, 60, 61 of class 10, `connection` (rabbitmq.com: amqp-0-9-1-reference, connection-blocked)."""


HEARTBEAT: Final = 10
"""Seconds. A broker that has blocked a connection notices only by its heartbeats that we are gone."""

OUR_NAMES: Final = "sidecar/"
"""How the names begin under which the broker knows our connections; the check's follows."""


class Link:
    """One connection to a broker, for the check called `name`. Whoever makes it closes it.

    One that the broker has blocked ends when it is unblocked: what was published meanwhile arrives only then.
    """

    def __init__(self, streams: Streams, *, address: str, login: Login, vhost: str, name: str) -> None:
        reader, self._writer = streams
        self._ear = Ear(reader, self._writer, address)
        self._address = address
        self.connection: Connection = aiormq.Connection(
            _url_for(login),
            transport_factory=self,
            client_properties={"connection_name": f"{OUR_NAMES}{name}"},
        )
        self.connection.vhost = vhost

    async def create(self, *_: object, **__: object) -> "tuple[Ear, asyncio.StreamWriter]":
        """Return what aiormq reads from and writes to, as its transport factory."""
        return self._ear, self._writer

    async def open(self) -> None:
        """Do the handshake.

        Raises:
            CheckFailed: the broker refuses it.
        """
        async with self.attended():
            await self.connection.connect()

    @property
    def is_open(self) -> bool:
        """Whether the connection is there; aiormq's own `is_closed` lags behind."""
        return self.connection.is_opened

    async def ended(self) -> None:
        """Return when the connection has ended."""
        closing = self.connection.closing
        try:
            await asyncio.wait({closing})
        finally:
            closing.cancel()

    @asynccontextmanager
    async def attended(self) -> AsyncIterator[None]:
        """Do not begin the block, or break it off, where the broker has blocked us.

        Raises:
            CheckFailed: for what the driver raises inside, or because we are blocked.
        """
        self._expect_to_be_heard()
        try:
            async with asyncio.timeout(None) as self._ear.patience:
                yield
        except (Exception, asyncio.CancelledError) as error:
            if not _is_of_the_driver(error):
                raise
            self._expect_to_be_heard()
            raise self._failure(error) from error
        finally:
            self._ear.patience = None
            _heed_cancellation()
        self._expect_to_be_heard()

    @property
    def is_blocked(self) -> bool:
        """Whether the broker has stopped to listen to us."""
        return self._ear.blocked is not None

    async def close(self) -> None:
        """Say goodbye and hang up, within 0.08 seconds also where the broker hangs."""
        goodbye = asyncio.create_task(self.connection.close())
        try:
            await asyncio.wait({goodbye}, timeout=GOODBYE)
        finally:
            close_now(self._writer)
            await asyncio.wait({goodbye}, timeout=GOODBYE)

    def _expect_to_be_heard(self) -> None:
        """Raise `CheckFailed` where the broker has blocked us."""
        if self.is_blocked:
            why = self._ear.blocked
            raise CheckFailed(Reason.UNAVAILABLE, f"{self._address} blocks those who publish: {why}")

    def _failure(self, error: BaseException) -> CheckFailed:
        if self._ear.close is not None:
            code, text = self._ear.close
            return CheckFailed(_reason_of_close(code, text), f"{self._address} closed the connection: {text}")
        if isinstance(error, aiormq.ChannelClosed | aiormq.AuthenticationError):
            return CheckFailed(_reason_of_refusal(error), f"{self._address} answered {error.args[-1]}")
        for each in (error.__cause__, error):
            if isinstance(each, OSError | EOFError):
                return connection_failure(each, self._address)
        if isinstance(error, aiormq.AMQPError | LookupError | ValueError):
            return CheckFailed(Reason.PROTOCOL, f"{self._address} does not speak AMQP")
        return CheckFailed(Reason.UNAVAILABLE, f"{self._address} closed the connection")


def _url_for(login: Login) -> str:
    """Return the URL by which aiormq learns who we are; without credentials we are guest."""
    username, password = login
    user = quote(username or "guest", safe="")
    secret = quote(password.reveal() if password else "guest", safe="")
    return f"amqp://{user}:{secret}@broker/?heartbeat={HEARTBEAT}"


class Ear:
    """The reader that aiormq gets; notes what the broker says of the connection as a whole."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str) -> None:
        self.close: tuple[int, str] | None = None
        """The code and the text with which the broker closed the connection."""
        self.blocked: str | None = None
        """Why the broker has blocked the connection, once it has."""
        self.patience: asyncio.Timeout | None = None
        """What ends with the block, while anybody waits for an answer."""
        self._reader = reader
        self._writer = writer
        self._address = address

    def at_eof(self) -> bool:
        """Say no: aiormq is to find the end where it reads, as an error that says so."""
        return False

    async def readexactly(self, size: int) -> bytes:
        """Return the next bytes: aiormq reads a frame's first byte, the rest of its header, its content."""
        if size > FRAME_LIMIT:
            raise CheckFailed(Reason.PROTOCOL, f"{self._address} does not speak AMQP")
        data = await self._reader.readexactly(size)
        self._overhear(data[:4], data[4:])
        return data

    def _overhear(self, method: bytes, arguments: bytes) -> None:
        if method == _CLOSE:
            self.close = int.from_bytes(arguments[:2], "big"), _short_text(arguments[2:])
        elif method == _BLOCKED and self.blocked is None:
            self.blocked = _short_text(arguments)
            if self.patience is not None:
                self.patience.reschedule(0)  # a time that has passed
        elif method == _UNBLOCKED:
            close_now(self._writer)


def _heed_cancellation() -> None:
    """End as cancelled where we are, whatever the driver has made of it: what it was at is half done."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _is_of_the_driver(error: BaseException) -> bool:
    """Whether aiormq raises this, rather than a bug of ours.

    For what is closed already it raises RuntimeError, CancelledError or a bare Exception, and LookupError or
    ValueError for what it cannot parse.
    """
    kinds = (aiormq.AMQPError, OSError, RuntimeError, asyncio.CancelledError, LookupError, ValueError)
    return isinstance(error, kinds) or type(error) is Exception


def _short_text(data: bytes) -> str:
    """Return a short string of AMQP: a byte with its length goes before it."""
    return data[1 : 1 + data[0]].decode(errors="replace") if data else ""


def _reason_of_close(code: int, text: str) -> Reason:
    """Return what a close of the connection means (rabbitmq.com/amqp-0-9-1-reference, constants)."""
    match code:
        case 403:
            return Reason.AUTH
        case 530 if text.endswith("not found"):
            return Reason.NOT_FOUND
        case 530 if not text.endswith(("is reached", "is down")):
            return Reason.FORBIDDEN
        case 320 | 506 | 530 | 541:
            return Reason.UNAVAILABLE
        case _:
            return Reason.PROTOCOL


def _reason_of_refusal(error: BaseException) -> Reason:
    """Return what a close of a channel, or a login that cannot be tried, means."""
    if isinstance(error, aiormq.AuthenticationError):
        return Reason.AUTH
    if isinstance(error, aiormq.ChannelNotFoundEntity):
        return Reason.NOT_FOUND
    is_denied = isinstance(error, aiormq.ChannelAccessRefused | aiormq.ChannelLockedResource)
    return Reason.FORBIDDEN if is_denied else Reason.PROTOCOL
