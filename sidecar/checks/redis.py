"""Sends ECHO with a fresh random text and then PING over one kept connection.

ECHO proves that the answer is Redis', and the answer to this very question. PING proves that Redis serves its
data: ECHO alone is answered while Redis loads its data, and by a replica that has lost its primary. With
`write: true` one key of our own, `sidecar:probe:` and a random text, is also set for 60 seconds, read back
and deleted: a primary that is out of memory or replicas, a disk that cannot be written, or a replica in a
primary's place fail only then. With `role` the server must be a primary or a replica.

Down means that Redis does not answer these, or not as it should. The reason is `auth` for a wrong or missing
password, `forbidden` for a missing permission, `not_found` for a database that does not exist, `contract`
for the wrong role, `protocol` for an answer that is none, and `unavailable` while Redis is loading, out of
memory, out of connections, read-only or a stale replica: the message has its own words.

The database's number is the URL's path, or `?db=` after a socket's path; what else a URL's query holds is
meant for drivers and not read. For a node of a Redis Cluster leave `write` out: most keys belong to others.

Permissions: a user like `user sidecar on >PASSWORD ~sidecar:probe:* -@all +echo +ping`, and for a database
other than 0 `+select`, with `write` `+set +get +del`, with `role` `+role`.
Reasons that waiting does not cure: auth, forbidden, not_found, tls.

```yaml
- name: sessions
  type: redis
  url: rediss://redis.example.com:6379/0
  username: sidecar
  password: ${REDIS_PASSWORD}
  write: true
  role: primary
  gates: startup
```
"""

import asyncio
import math
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, cast
from urllib.parse import parse_qs

from sidecar.checks._connect import connection_failure
from sidecar.checks._dial import TLS_SCHEMES, Dialer
from sidecar.config.check import CheckType, UrlCheckConfig, option
from sidecar.config.fields import Url, UrlKind
from sidecar.config.problems import Mistake
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.driver import Driver

if TYPE_CHECKING:
    from redis.asyncio import Connection

redis = Driver("redis.asyncio", extra="redis")

KEY_PREFIX: Final = "sidecar:probe:"
KEY_LIFETIME: Final = 60
"""Seconds after which a key goes that we could not delete."""

REPLY_LIMIT: Final = 64 * 1024
"""Bytes of one string in a reply: none that we ask for is nearly as long."""

_NUMBER: Final = re.compile(r"[0-9]{0,9}")
_REASONS: Final[Mapping[str, Reason]] = {
    "NOPERM": Reason.FORBIDDEN,
    "DENIED": Reason.FORBIDDEN,
    "LOADING": Reason.UNAVAILABLE,
    "MASTERDOWN": Reason.UNAVAILABLE,
    "CLUSTERDOWN": Reason.UNAVAILABLE,
    "READONLY": Reason.UNAVAILABLE,
    "OOM": Reason.UNAVAILABLE,
    "NOREPLICAS": Reason.UNAVAILABLE,
    "MISCONF": Reason.UNAVAILABLE,
    "BUSY": Reason.UNAVAILABLE,
    "ERR max number of clients reached": Reason.UNAVAILABLE,
    "ERR DB index is out of range": Reason.NOT_FOUND,
}
"""What an error reply means, by its first word or, where that is ERR, by all of it."""


class Role(StrEnum):
    """What a server is to its replication."""

    PRIMARY = "primary"
    REPLICA = "replica"
    ANY = "any"


_WORDS: Final = {Role.PRIMARY: b"master", Role.REPLICA: b"slave"}
"""Redis' own words for them (redis.io/docs/latest/commands/role)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RedisConfig(UrlCheckConfig):
    """Which Redis, and what it must be able to do."""

    url: Annotated[Url, UrlKind((("redis", 6379), ("rediss", 6379), ("unix", None)))] = option(
        "URL: redis://HOST:PORT/DATABASE, rediss:// for TLS, or unix:///PATH?db=DATABASE."
    )
    write: bool = option("Also set, read back and delete one key of our own.", default=False)
    role: Role = option("What the server must be: `primary`, `replica` or `any`.", default=Role.ANY)

    @property
    def database(self) -> int:
        """The database's number."""
        return int(self._database or 0)

    @property
    def _database(self) -> str:
        asked_for = parse_qs(self.url.query).get("db")
        if asked_for:
            return asked_for[0]
        return "" if self.url.scheme == "unix" else self.url.path[1:]

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        if not _NUMBER.fullmatch(self._database):
            yield Mistake("names no database; write its number, such as redis://redis:6379/0", key="url")
        if self.url.scheme == "unix" and (self.url.host or not self.url.path):
            yield Mistake("names no socket; write its whole path, such as unix:///run/redis.sock", key="url")
        if self.tls is not None and self.url.scheme not in TLS_SCHEMES:
            yield Mistake("has no use without TLS; write the URL with rediss://", key="tls")


class RedisCheck:
    """Keeps one connection of the driver, not a pool: runs never overlap. Drops it on any doubt."""

    def __init__(self, config: RedisConfig) -> None:
        self.connections_opened = 0
        self._config = config
        self._dialer = Dialer(config.url, config.tls)
        self._connection: Connection | None = None

    async def run(self) -> None:
        """Ask Redis to prove itself; keep the connection if it did.

        A reply that a cancelled run did not read would be the next run's answer: so hang up.
        """
        async with AsyncExitStack() as doubt:
            doubt.push_async_callback(self.aclose)
            with redis_failures(self._config.target):
                connection = await self._connected()
                await self._ask(_Conversation(connection, self._config.target))
            doubt.pop_all()

    async def lost(self) -> None:
        """Return when the connection is gone, or when Redis speaks unasked; wait while there is none."""
        if self._connection is None:
            await asyncio.Event().wait()
            return
        with suppress(redis.RedisError, ValueError):
            await self._connection.read_response(timeout=math.inf, disconnect_on_error=False)
        await self.aclose()

    async def aclose(self) -> None:
        """Hang up at once: a goodbye would wait for a peer that may hang."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _connected(self) -> "Connection":
        """Return the kept connection if nothing has come of it since, else a new one."""
        if self._connection is not None and await self._connection.can_read():
            await self.aclose()
        if self._connection is None:
            connection = self._new_connection()
            # The driver offers no other way to speak over a connection that it has not dialled.
            reader, connection._writer = await self._dialer.dial()  # noqa: SLF001
            connection._reader = cast("asyncio.StreamReader", _ShortReplies(reader))  # noqa: SLF001
            self.connections_opened += 1
            self._connection = connection
            await connection.on_connect()
        return self._connection

    def _new_connection(self) -> "Connection":
        """Return a connection of the driver that neither dials, retries nor times.

        In RESP2 nothing comes unasked. `driver_info` would send CLIENT SETINFO, which needs a permission.
        """
        username, password = self._config.credentials
        connection: Connection = redis.Connection(
            username=username,
            password=password.reveal() if password else None,
            db=self._config.database,
            protocol=2,
            socket_timeout=None,
            driver_info=None,
        )
        return connection

    async def _ask(self, talk: "_Conversation") -> None:
        nonce = secrets.token_hex(16)
        await talk.expect(nonce.encode(), "ECHO", nonce)
        await talk.expect(b"PONG", "PING")
        if self._config.role is not Role.ANY:
            await talk.expect_role(self._config.role)
        if self._config.write:
            await self._write(talk, nonce)

    async def _write(self, talk: "_Conversation", nonce: str) -> None:
        key = KEY_PREFIX + nonce
        await talk.expect(b"OK", "SET", key, nonce, "EX", str(KEY_LIFETIME))
        await talk.expect(nonce.encode(), "GET", key)
        await talk.expect(1, "DEL", key)


class _ShortReplies:
    """The reader that the driver gets: the driver itself would gather whatever length a reply announces."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._whole = reader

    def __getattr__(self, name: str) -> Any:
        """Return what the reader itself has."""
        return getattr(self._whole, name)

    async def readexactly(self, size: int) -> bytes:
        """Return the next bytes, as many.

        Raises:
            ValueError: they are more than any reply that we ask for.
        """
        if size > REPLY_LIMIT:
            raise ValueError(f"a reply of {size} bytes")
        return await self._whole.readexactly(size)


@dataclass(frozen=True, slots=True)
class _Conversation:
    """Questions with one right answer each."""

    connection: "Connection"
    target: str

    async def expect(self, answer: bytes | int, *question: str) -> None:
        """Ask.

        Raises:
            CheckFailed: the answer is another one.
            RedisError: it is an error.
        """
        if await self._ask(*question) != answer:
            raise CheckFailed(Reason.PROTOCOL, f"{self.target} gave a wrong answer to {question[0]}")

    async def expect_role(self, role: Role) -> None:
        """Ask for the role, and raise `CheckFailed` if it is another one."""
        answer = await self._ask("ROLE")
        if not isinstance(answer, list) or answer[:1] != [_WORDS[role]]:
            raise CheckFailed(Reason.CONTRACT, f"{self.target} is no {role}")

    async def _ask(self, *question: str) -> Any:
        await self.connection.send_command(*question)
        return await self.connection.read_response()


@contextmanager
def redis_failures(target: str) -> Iterator[None]:
    """Turn what the driver raises into a `CheckFailed` about `target`.

    Its parser raises ValueError for numbers that are none and for lines that do not end.
    """
    try:
        yield
    except (redis.RedisError, ValueError, RecursionError) as error:
        raise _failure(error, target) from error


def _failure(error: Exception, target: str) -> CheckFailed:
    """Return what an error of the driver means; the system's error it hides in the context."""
    if isinstance(error.__context__, OSError | EOFError):
        return connection_failure(error.__context__, target)
    if getattr(error, "status_code", None) or isinstance(error, redis.ResponseError):
        return _refusal(error, target)
    if "closed by server" in str(error):
        return CheckFailed(Reason.UNAVAILABLE, f"{target} closed the connection")
    return CheckFailed(Reason.PROTOCOL, f"{target} does not speak Redis' protocol")


def _refusal(error: Exception, target: str) -> CheckFailed:
    """Return what an error reply means. What repeats the question is cut off: AUTH's holds the password."""
    code = getattr(error, "status_code", None)
    text = f"{code} {error}" if code else str(error)
    text = text.partition(", with args beginning with")[0]
    if isinstance(error, redis.AuthenticationError):
        reason = Reason.AUTH
    else:
        reason = _REASONS.get(text) or _REASONS.get(text.partition(" ")[0], Reason.PROTOCOL)
    return CheckFailed(reason, f"{target} answered {text}")


check_type = CheckType(
    config=RedisConfig,
    build=RedisCheck,
    drivers=(redis,),
    holds_connection=True,
    permanent=frozenset({Reason.AUTH, Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.TLS}),
)
