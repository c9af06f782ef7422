"""The driver's connections to Redis, one at a time, and what its errors mean.

A connection of the driver, not a pool, which neither dials, retries nor times: who asks does.
"""

from asyncio import StreamReader
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from sidecar.checks._connect import connection_failure
from sidecar.checks._dial import Dialer
from sidecar.config.redis import RedisEndpoint
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.driver import Driver

if TYPE_CHECKING:
    from redis.asyncio import Connection

redis = Driver("redis.asyncio", extra="redis")

REPLY_LIMIT: Final = 256 * 1024
"""Bytes of one string in a reply: none that we ask for is nearly as long."""

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


def new_connection(endpoint: RedisEndpoint) -> "Connection":
    """Return a connection that is still to be made, to the endpoint's database and with its credentials.

    In RESP2 nothing comes unasked. `driver_info` would send CLIENT SETINFO, which needs a permission.
    """
    username, password = endpoint.credentials
    connection: Connection = redis.Connection(
        username=username,
        password=password.reveal() if password else None,
        db=endpoint.database,
        protocol=2,
        socket_timeout=None,
        driver_info=None,
        parser_class=redis.connection._AsyncRESP2Parser,  # noqa: SLF001 - hiredis would read past our bound
    )
    return connection


async def connect(connection: "Connection", dialer: Dialer) -> None:
    """Have the driver speak over a connection of ours; `on_connect` then introduces it to the server.

    The driver offers no other way to speak over a connection that it has not dialled.
    """
    reader, connection._writer = await dialer.dial()  # noqa: SLF001
    connection._reader = cast("StreamReader", _ShortReplies(reader))  # noqa: SLF001


class _ShortReplies:
    """The reader that the driver gets: the driver itself would gather whatever length a reply announces."""

    def __init__(self, reader: StreamReader) -> None:
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
