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

The database's number is the URL's path, or what `?db=` says, which counts first, as it does for redis-py;
what else a URL's query holds is meant for drivers and not read. For a node of a Redis Cluster leave `write`
out: most keys belong to others.

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
import secrets
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sidecar.checks._dial import Dialer
from sidecar.checks._redis import connect, new_connection, redis, redis_failures
from sidecar.config.check import CheckType, UrlCheckConfig, option
from sidecar.config.redis import RedisEndpoint
from sidecar.core.check import CheckFailed, Reason

if TYPE_CHECKING:
    from redis.asyncio import Connection

KEY_PREFIX: Final = "sidecar:probe:"
KEY_LIFETIME: Final = 60
"""Seconds after which a key goes that we could not delete."""


class Role(StrEnum):
    """What a server is to its replication."""

    PRIMARY = "primary"
    REPLICA = "replica"
    ANY = "any"


_WORDS: Final = {Role.PRIMARY: b"master", Role.REPLICA: b"slave"}
"""Redis' own words for them (redis.io/docs/latest/commands/role)."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RedisConfig(RedisEndpoint, UrlCheckConfig):
    """Which Redis, and what it must be able to do."""

    write: bool = option("Also set, read back and delete one key of our own.", default=False)
    role: Role = option("What the server must be: `primary`, `replica` or `any`.", default=Role.ANY)


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
            connection = new_connection(self._config)
            await connect(connection, self._dialer)
            self.connections_opened += 1
            self._connection = connection
            await connection.on_connect()
        return self._connection

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


check_type = CheckType(
    config=RedisConfig,
    build=RedisCheck,
    drivers=(redis,),
    holds_connection=True,
    permanent=frozenset({Reason.AUTH, Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.TLS}),
)
