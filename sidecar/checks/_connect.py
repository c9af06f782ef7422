"""What askers share: connections, TLS from the `tls:` block, the network's failures in a result's words."""

import asyncio
import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from aiohappyeyeballs import start_connection

from sidecar.config.check import TlsConfig
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.thread import in_thread
from sidecar.support.tls import tls_context

SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors that tell of this process or its node, and nothing of the file that was to be read."""
HEAD_START: Final = 0.25
"""Seconds that one address of a host gets before the next is tried beside it (RFC 8305)."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_connection(host: str, port: int, **tls: Any) -> Streams:
    """Return a new connection to the first address of `host` that answers, the TLS handshake done.

    `tls` goes to `asyncio.open_connection`.

    Raises:
        OSError: `socket.gaierror` and `ssl.SSLError` are ones too.
    """
    return await asyncio.open_connection(sock=await open_socket(host, port), **tls)


async def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the first address of `host` that answers.

    asyncio's own race between addresses loses the winner's socket when it is cancelled at the wrong turn of
    the loop; this one closes every socket that it does not return.

    Raises:
        OSError: `socket.gaierror` is one too.
    """
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await start_connection(addresses, happy_eyeballs_delay=HEAD_START)


async def client_tls(tls: TlsConfig | None) -> ssl.SSLContext:
    """Return the TLS context of a `tls:` block, or the system's default one: keep it, it costs 1 MiB.

    Raises:
        CheckFailed: with reason tls where a file of the block cannot be read or is no certificate;
            unavailable where we can open none.
    """
    block = tls or TlsConfig()
    try:
        return await in_thread(
            lambda: tls_context(ca=block.ca, cert=block.cert, key=block.key, insecure=block.insecure),
            name="tls-files",
        )
    except ssl.SSLError as error:
        raise CheckFailed(Reason.TLS, _unusable(block, "not a certificate and its key")) from error
    except OSError as error:
        raise CheckFailed(file_reason(error, Reason.TLS), _unusable(block, strerror(error))) from error


def _unusable(block: TlsConfig, why: str) -> str:
    named = ", ".join(path for path in (block.ca, block.cert, block.key) if path)
    return f"the TLS files {named or 'of the system'} cannot be used: {why}"


def file_reason(error: OSError, otherwise: Reason) -> Reason:
    """Return the reason for a file that cannot be read: `otherwise`, unless we can read none at all."""
    return Reason.UNAVAILABLE if error.errno in SHORTAGES else otherwise


@contextmanager
def connection_failures(address: str) -> Iterator[None]:
    """Turn what the network raises into a `CheckFailed` about `address`; a `TimeoutError` is the runner's.

    Raises:
        CheckFailed: with reason dns, tls, refused or unavailable.
    """
    try:
        yield
    except TimeoutError:
        raise
    except (OSError, EOFError, ssl.CertificateError) as error:
        raise connection_failure(error, address) from error


def connection_failure(error: OSError | EOFError | ssl.CertificateError, address: str) -> CheckFailed:
    """Return what a network error means for a check of `address`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CheckFailed(
            Reason.TLS, f"{address} has a certificate that is not trusted: {error.verify_message.lower()}"
        )
    if isinstance(error, ssl.SSLError):
        what = (getattr(error, "reason", None) or "handshake failed").replace("_", " ").lower()
        return CheckFailed(Reason.TLS, f"{address} does not complete the TLS handshake: {what}")
    if isinstance(error, socket.gaierror):
        what = "does not exist" if error.errno == socket.EAI_NONAME else "could not be looked up: no answer"
        return CheckFailed(Reason.DNS, f"{address}: the name {what}")
    if isinstance(error, EOFError):
        return CheckFailed(Reason.UNAVAILABLE, f"{address} closed the connection")
    return _from_errno(error_number(error), address)


def error_number(error: OSError) -> int | None:
    """Return the errno of a failed connection, also where asyncio has joined those of several addresses."""
    if error.errno is not None:
        return error.errno
    joined = [int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))]
    return next((number for number in joined if number == errno.ECONNREFUSED), joined[0] if joined else None)


def _from_errno(number: int | None, address: str) -> CheckFailed:
    match number:
        case errno.ECONNREFUSED | errno.ENOENT:
            return CheckFailed(Reason.REFUSED, f"{address} refused the connection")
        case errno.ECONNRESET | errno.EPIPE | errno.ECONNABORTED | None:
            return CheckFailed(Reason.UNAVAILABLE, f"{address} closed the connection")
        case errno.ETIMEDOUT:
            return CheckFailed(Reason.TIMEOUT, f"{address} gave no answer")
        case errno.EACCES | errno.EPERM:
            return CheckFailed(Reason.FORBIDDEN, f"{address}: {os.strerror(number).lower()}")
        case _:
            return CheckFailed(Reason.UNAVAILABLE, f"{address}: {os.strerror(number).lower()}")


def strerror(error: OSError) -> str:
    """Return what the system says of an error, in lower case, without what Python adds: paths, addresses."""
    return os.strerror(error.errno).lower() if error.errno else "unknown error"


def close_now(writer: asyncio.StreamWriter) -> None:
    """Drop a connection without waiting for its peer."""
    writer.transport.abort()
