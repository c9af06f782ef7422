"""One connection to PostgreSQL: dialled by us, spoken by asyncpg, and overheard.

asyncpg's own dialling reads the environment and files of the home directory on the event loop, knows neither
`tls.server_name` nor an address family that hangs, and dials once more to cancel a question. So a question
that is no longer wanted ends with the connection.
"""

import asyncio
import ssl
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from sidecar.checks._connect import connection_failure, connection_failures, open_socket
from sidecar.checks._postgres_ear import Ear, mark_as_seen
from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.driver import Driver

if TYPE_CHECKING:
    from asyncpg import Connection, PostgresError, Record

asyncpg = Driver("asyncpg", extra="postgres")

HANG_UP_GRACE: Final = 0.04
"""Seconds in which a question ends whose connection is gone; it takes two turns of the loop."""

_REASONS: Final[Mapping[str, Reason]] = {
    "0A": Reason.PROTOCOL,
    "08": Reason.UNAVAILABLE,
    "08P01": Reason.PROTOCOL,
    "22": Reason.CONTRACT,
    "25P03": Reason.TIMEOUT,
    "25P04": Reason.TIMEOUT,
    "28": Reason.AUTH,
    "3D000": Reason.NOT_FOUND,
    "3F000": Reason.NOT_FOUND,
    "40": Reason.UNAVAILABLE,
    "42501": Reason.FORBIDDEN,
    "42602": Reason.NOT_FOUND,
    "42703": Reason.NOT_FOUND,
    "42P01": Reason.NOT_FOUND,
    "53": Reason.UNAVAILABLE,
    "55": Reason.UNAVAILABLE,
    "57": Reason.UNAVAILABLE,
    "57014": Reason.TIMEOUT,
    "58": Reason.UNAVAILABLE,
    "XX": Reason.UNAVAILABLE,
}
"""What an error means, by its SQLSTATE or its class (postgresql.org/docs/current/errcodes-appendix.html)."""

T = TypeVar("T")


class TlsMode(StrEnum):
    """How a connection comes to TLS, in libpq's words."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_FULL = "verify-full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who we are, and which database we want."""

    username: str
    password: Secret | None
    database: str


class Link:
    """One connection to a server. Whoever makes it closes it."""

    def __init__(self, url: Url, login: Login) -> None:
        self._url = url
        self._address = url.address
        self._login = login
        self._ear = Ear()
        self._connection: Connection[Record] | None = None

    async def dial(self, context: ssl.SSLContext | None, *, server_name: str, needs_tls: bool) -> None:
        """Connect; with a `context` ask for TLS, and without having got it go on only if that is not needed.

        Raises:
            CheckFailed: with reason dns, tls, refused, forbidden, timeout, unavailable or protocol.
        """
        loop = asyncio.get_running_loop()
        with connection_failures(self._address):
            if self._url.scheme == "unix":
                await loop.create_unix_connection(lambda: self._ear, self._address)
                return
            connected = await open_socket(self._url.host, self._url.port or 0)
            await loop.create_connection(lambda: self._ear, sock=connected)
            if context is not None and await self._is_offered_tls(needs_tls=needs_tls):
                await self._ear.encrypt(context, server_name)

    async def log_in(self) -> None:
        """Log in, as `sidecar`.

        Raises:
            CheckFailed: the server refuses us, or is none.
        """
        loop = asyncio.get_running_loop()
        welcome = loop.create_future()
        welcome.add_done_callback(mark_as_seen)
        parameters = self._parameters()
        protocol = asyncpg.protocol.Protocol(self._address, welcome, parameters, asyncpg.Record, loop)
        with self._failures(), _parsing():
            transport = self._ear.lend_to(protocol)
            await welcome
            # A connection that cannot be made of this would complain when it is collected.
            asyncpg.serverversion.split_server_version_string(protocol.get_settings().server_version)
            connection = asyncpg.Connection(protocol, transport, loop, self._address, _no_cache(), parameters)
            protocol.set_connection(connection)
        self._connection = connection

    @property
    def is_open(self) -> bool:
        """Whether the connection is there."""
        return not self._ear.lost.is_set()

    async def ended(self) -> None:
        """Return when the connection is gone."""
        await self._ear.lost.wait()

    async def attend(self, asking: Coroutine[Any, Any, T]) -> T:
        """Return what `asking` returns; if we are cancelled meanwhile, hang up before it is.

        Raises:
            CheckFailed: as `asking` does, or for what the driver raises.
        """
        self._ear.heard = 0
        task = asyncio.create_task(asking)
        task.add_done_callback(mark_as_seen)
        try:
            with self._failures():
                return await asyncio.shield(task)
        finally:
            if not task.done():
                self.hang_up()
                await asyncio.wait({task}, timeout=HANG_UP_GRACE)
                task.cancel()

    async def ask(self, question: str, *arguments: object, seconds: float) -> "list[Record]":
        """Return the rows that answer a question, asked in a transaction that the server ends by itself.

        Without these limits a backend that waits for a lock, or whose network is gone, would stay, with what
        it has locked. They end with the transaction: a pooler's next client does not get them.

        Raises:
            PostgresError: the server refuses it.
        """
        connection = cast("Connection[Record]", self._connection)  # who asks has logged in
        limit = max(1, round(seconds * 1000))
        with _parsing():
            await connection.execute(
                f"BEGIN; SET LOCAL statement_timeout = {limit};"
                f" SET LOCAL idle_in_transaction_session_timeout = {limit}"
            )
            try:
                rows: list[Record] = await connection.fetch(question, *arguments)
            finally:
                if self.is_open:
                    await connection.execute("ROLLBACK")
        return rows

    def hang_up(self) -> None:
        """Say goodbye and end the connection at once, without waiting for the server."""
        self._ear.hang_up()
        if self._connection is not None:
            self._connection.terminate()

    async def _is_offered_tls(self, *, needs_tls: bool) -> bool:
        """Whether the server says that it speaks TLS.

        Its error has not come through TLS: it may be anybody's, and is not shown (CVE-2024-10977).
        """
        match await self._ear.ask_for_tls():
            case b"S":
                return True
            case b"N" if not needs_tls:
                return False
            case b"N":
                raise CheckFailed(Reason.TLS, f"{self._address} does not speak TLS")
            case answer if answer.startswith(b"E"):
                raise CheckFailed(Reason.UNAVAILABLE, f"{self._address} refused to begin")
            case _:
                raise self._no_postgres()

    def _parameters(self) -> Any:
        """Return what asyncpg needs to know, so that it looks for nothing in environment or files."""
        return asyncpg.connect_utils._ConnectionParameters(  # noqa: SLF001 - its public way reads them
            user=self._login.username,
            password=self._login.password.reveal() if self._login.password else None,
            database=self._login.database,
            ssl=None,
            sslmode=asyncpg.connect_utils.SSLMode.disable,
            ssl_negotiation=asyncpg.connect_utils.SSLNegotiation.postgres,
            server_settings={"application_name": "sidecar"},
            target_session_attrs=asyncpg.connect_utils.SessionAttribute.any,
            krbsrvname=None,
            gsslib="gssapi",
        )

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what the driver raises into a `CheckFailed`."""
        kinds = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
        try:
            yield
        except (*kinds, OSError, EOFError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> CheckFailed:
        if self._ear.is_deaf:
            return self._no_postgres()
        for each in (error, error.__cause__):
            if isinstance(each, asyncpg.PostgresError) and each.message:
                return CheckFailed(reason_of(each), f"{self._address} answered {each.message}")
            if isinstance(each, OSError):
                return connection_failure(each, self._address)
        if not self.is_open:
            return CheckFailed(Reason.UNAVAILABLE, f"{self._address} closed the connection")
        if self._connection is None and "authentication" in str(error):
            return CheckFailed(
                Reason.AUTH, f"{self._address} wants another login than by password or certificate"
            )
        return self._no_postgres()

    def _no_postgres(self) -> CheckFailed:
        return CheckFailed(Reason.PROTOCOL, f"{self._address} does not speak PostgreSQL's protocol")


@contextmanager
def _parsing() -> Iterator[None]:
    """Turn the many things that the driver's parser raises for garbage into its own word for them."""
    odd = (AssertionError, AttributeError, BufferError, asyncpg.pgproto.pgproto.BufferError)
    try:
        yield
    except (*odd, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise asyncpg.InternalClientError("this is not PostgreSQL's protocol") from error


def reason_of(error: "PostgresError") -> Reason:
    """Return what an error of the server means."""
    state = str(error.sqlstate)
    return _REASONS.get(state) or _REASONS.get(state[:2], Reason.PROTOCOL)


def _no_cache() -> Any:
    """Return a configuration without prepared statements, which a pooler would mix up."""
    return asyncpg.connect_utils._ClientConfiguration(  # noqa: SLF001 - as above
        command_timeout=None,
        statement_cache_size=0,
        max_cached_statement_lifetime=0,
        max_cacheable_statement_size=0,
    )
