"""Requests through aiohttp's client that leave nothing behind, and their failures in a result's words."""

import asyncio
import codecs
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakValueDictionary

from sidecar.checks._answer import reason_of
from sidecar.checks._connect import connection_failure
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.driver import Driver
from sidecar.support.net import show_address

# The server has it anyway; `validate` and `types` do without.
aiohttp = Driver("aiohttp", extra="all")
resolver = Driver("aiohttp.resolver", extra="all")

BODY_LIMIT: Final = 64 * 1024
"""Bytes of a body that are read at most."""
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "undefined"})
"""Encodings of names, which Python knows too: one takes a second for a body, and two forgive no mistake."""

_Send = Callable[[Any], Awaitable[Any]]

_connectors: Final[WeakValueDictionary[asyncio.AbstractEventLoop, Any]] = WeakValueDictionary()


def new_session(target: str, *, sockets: Callable[[Any], socket.socket] | None = None) -> Any:
    """Return a client session for one request: it keeps and decompresses nothing.

    Given what makes its `sockets`, it is for requests one behind the other over one connection, which is
    kept until the session ends.
    """
    return aiohttp.ClientSession(
        connector=shared_connector() if sockets is None else _new_connector(socket_factory=sockets),
        connector_owner=sockets is not None,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,
        middlewares=(_asking_once(target),),
    )


def shared_connector() -> Any:
    """Return what opens a connection for each request, one for all sessions of this event loop.

    It keeps no connection, so that nobody has to close it. To make one costs a twentieth of a run: keep it,
    since else it goes with the last session.
    """
    loop = asyncio.get_running_loop()
    connector = _connectors.get(loop)
    if connector is None:
        connector = _connectors[loop] = _new_connector(force_close=True, limit=0)
    return connector


def _new_connector(**options: Any) -> Any:
    """Return a connector without a cache of names; despite its name the resolver asks the event loop."""
    return aiohttp.TCPConnector(resolver=resolver.ThreadedResolver(), use_dns_cache=False, **options)


def _asking_once(target: str) -> Callable[[Any, _Send], Awaitable[Any]]:
    """Return a middleman who makes a lost connection a failure: aiohttp itself would ask a second time."""

    async def ask(request: Any, send: _Send) -> Any:
        with request_failures(target):
            return await send(request)

    return ask


async def beginning_of(response: Any) -> str:
    """Return at most the first 64 KiB of a body, as text."""
    body = await _first_bytes(response, BODY_LIMIT)
    return _decoded(body, response.charset or "utf-8")


async def body_within(response: Any, limit: int) -> bytes | None:
    """Return a whole body; None if it is longer than so many bytes."""
    body = await _first_bytes(response, limit + 1)
    return body if len(body) <= limit else None


async def _first_bytes(response: Any, limit: int) -> bytes:
    body = bytearray()
    while len(body) < limit and (chunk := await response.content.read(limit - len(body))):
        body += chunk
    return bytes(body)


def _decoded(body: bytes, charset: str) -> str:
    """Return a body as text, whatever charset a server names."""
    try:
        codec = codecs.lookup(charset).name
        return body.decode("utf-8" if codec in _NO_CHARSETS else codec, errors="replace")
    except (LookupError, ValueError):
        return body.decode(errors="replace")


@contextmanager
def request_failures(target: str) -> Iterator[None]:
    """Turn what aiohttp raises into a `CheckFailed`.

    Raises:
        CheckFailed: with any reason but contract and not_found, or of a proxy's status.
    """
    try:
        yield
    except aiohttp.ClientError as error:
        raise _failure(error, target) from error


def _failure(error: Any, target: str) -> CheckFailed:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return connection_failure(error.certificate_error, show_address(error.host, error.port))
        case aiohttp.ClientConnectorError():  # about a proxy too, which it names
            return connection_failure(error.os_error, show_address(error.host, error.port))
        case aiohttp.ClientOSError():
            cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
            return connection_failure(cause, target)
        case aiohttp.ClientHttpProxyError():
            reason, what = reason_of(error.status), f"is behind a proxy, which answered {error.status}"
        case aiohttp.ServerDisconnectedError():
            reason, what = Reason.UNAVAILABLE, "closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            reason, what = Reason.PROTOCOL, "broke off its answer"
        case _:
            reason, what = Reason.PROTOCOL, "did not answer in HTTP"
    return CheckFailed(reason, f"{target} {what}")
