"""The sockets that we listen on, and the servers behind them."""

import errno
import os
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from sidecar.support.net import show_address
from sidecar.web.site import Handler

BACKLOG: Final = 1024
KEEPALIVE: Final = 75.0
"""Seconds that an idle connection is kept."""
LINE_LIMIT: Final = 8190
"""Bytes of a request line, and of a header."""
LOOPBACK: Final = ("127.0.0.1", "::1")
EVERY_ADDRESS: Final = ("::", "0.0.0.0")  # noqa: S104 - the kubelet asks the pod's address

_NOT_HERE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})
"""What a pod without IPv6, or without IPv4, says."""


class ListenError(Exception):
    """A listener could not be opened; the message says which, and why."""


def bind(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Return bound sockets for all of `hosts` that this machine has, on one port; 0 takes a free one.

    Raises:
        ListenError: the port is taken or forbidden, or none of the hosts is an address of this machine.
    """
    sockets: list[socket.socket] = []
    with _closed_on_error(sockets):
        for host in hosts:
            try:
                sockets.append(_bind_one(host, sockets[0].getsockname()[1] if sockets else port))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise ListenError(_refusal(host, port, error)) from error
        if not sockets:
            raise ListenError(f"cannot listen on port {port}: this machine has none of {', '.join(hosts)}")
    return sockets


def bind_unix(path: Path) -> list[socket.socket]:
    """Return a unix socket bound to `path`, for our own user only; one that another life left is replaced.

    Raises:
        ListenError: it cannot be bound there.
    """
    bound = socket.socket(socket.AF_UNIX)
    try:
        if path.is_socket():
            path.unlink()
        bound.bind(str(path))
        path.chmod(0o600)
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise ListenError(f"cannot listen on {path}: {os.strerror(error.errno or 0).lower()}") from error
    return [bound]


@asynccontextmanager
async def serving(
    handler: Handler, sockets: Sequence[socket.socket], *, stop_within: float
) -> AsyncIterator[None]:
    """Answer requests on `sockets` inside the block; at its end close all within `stop_within` seconds."""
    server = web.Server(
        handler,
        access_log=None,
        handler_cancellation=True,  # who waits for a drain and hangs up makes room for another
        keepalive_timeout=KEEPALIVE,
        max_line_size=LINE_LIMIT,
        max_field_size=LINE_LIMIT,
    )
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=stop_within)
    await runner.setup()
    try:
        for each in sockets:
            await web.SockSite(runner, each, backlog=BACKLOG).start()
        yield
    finally:
        await runner.cleanup()


def _bind_one(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


@contextmanager
def _closed_on_error(sockets: list[socket.socket]) -> Iterator[None]:
    try:
        yield
    except ListenError:
        for each in sockets:
            each.close()
        raise


def _refusal(host: str, port: int, error: OSError) -> str:
    what = {
        errno.EADDRINUSE: "the port is taken by another process",
        errno.EACCES: "the port is reserved for root; write one from 1024 on",
    }.get(error.errno or 0, os.strerror(error.errno or 0).lower())
    return f"cannot listen on {show_address(host, port)}: {what}"
