"""A key of Redis: set where there is none, replaced where it still holds what was read, renewed by everybody.

A connection is made for each question: there are a handful in the life of a pod. Permissions: a user like
`user sidecar on >PASSWORD ~sidecar:deploy:* -@all +get +set +eval +expire`, and `+select` for a database
other than 0.
"""

from typing import Any, Final

from sidecar.checks._dial import Dialer
from sidecar.checks._redis import connect, new_connection, redis, redis_failures
from sidecar.config.redis import RedisEndpoint
from sidecar.core.check import CheckFailed, Reason
from sidecar.core.deploy import Deploy, Record
from sidecar.deploys.claims.claim import ClaimError, Held
from sidecar.deploys.claims.written import read_record, write_record
from sidecar.support.thread import in_thread

KEY_PREFIX: Final = "sidecar:deploy:"
KEPT_FOR: Final = 7 * 24 * 3600
"""Seconds for which a key outlives the last process of its deploy: one that is scaled to nothing for longer
and comes back is announced again."""
RIGHTS: Final = "give the user ~sidecar:deploy:* +get +set +eval +expire, and +select for its database"
REPLACE: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then "
    "redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) return 1 end return 0"
)


class RedisClaim:
    """Keeps the record of `deploy` in a key of its own."""

    def __init__(self, deploy: Deploy, endpoint: RedisEndpoint) -> None:
        self._deploy = deploy
        self._endpoint = endpoint
        self._dialer = Dialer(endpoint.url, endpoint.tls)
        self._key = f"{KEY_PREFIX}{deploy.key}"

    async def identify(self) -> Deploy:
        """Return the deploy as it is configured, once the driver is imported: off the event loop."""
        await in_thread(redis.load, name="import:redis")
        return self._deploy

    async def read(self) -> Held | None:
        """Return what the key holds."""
        found = await self._ask("GET", self._key)
        if found is None:
            return None
        text = found.decode(errors="replace") if isinstance(found, bytes) else ""
        return Held(read_record(text), text)

    async def create(self, record: Record) -> bool:
        """Set the key if there is none."""
        told = await self._ask("SET", self._key, write_record(record), "NX", "EX", str(KEPT_FOR))
        return bool(told == b"OK")

    async def replace(self, record: Record, held: Held) -> bool:
        """Set the key if it still holds what was read."""
        told = await self._ask(
            "EVAL", REPLACE, "1", self._key, held.version, write_record(record), str(KEPT_FOR)
        )
        return bool(told == 1)

    async def renew(self) -> None:
        """Have the key expire later."""
        await self._ask("EXPIRE", self._key, str(KEPT_FOR))

    async def _ask(self, *question: str) -> Any:
        try:
            with redis_failures(self._endpoint.url.address):
                return await self._answer(question)
        except CheckFailed as error:
            remedy = f"; {RIGHTS}" if error.reason is Reason.FORBIDDEN else ""
            raise ClaimError(f"{error.message}{remedy}") from error

    async def _answer(self, question: tuple[str, ...]) -> Any:
        connection = new_connection(self._endpoint)
        try:
            await connect(connection, self._dialer)
            await connection.on_connect()
            await connection.send_command(*question)
            return await connection.read_response()
        finally:
            await connection.disconnect(nowait=True)
