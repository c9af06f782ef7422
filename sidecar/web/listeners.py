"""The sockets that we listen on, and the servers behind them."""

import errno
import os
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from sidecar.config.model import ServerConfig
from sidecar.support.net import show_address
from sidecar.web.connection import BoundedServer
from sidecar.web.reserve import Listener, keep_reserve
from sidecar.web.site import Handler

BACKLOG: Final = 4096
"""Connections that the kernel keeps until we accept them: one that it drops is tried again a second later."""
ACCEPTED_AT_ONCE: Final = 64
"""Connections that are accepted before those that we have are served again."""
KERNEL_BUFFER: Final = 64 * 1024
"""Bytes that the kernel keeps for a connection each way, doubled for its own needs: else up to 10 MiB."""
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
        ListenError: it cannot be bound there, or another process listens there.
    """
    if _is_listened_on(path):
        raise ListenError(f"cannot listen on {path}: the socket is another process's")
    bound = Listener(socket.AF_UNIX)
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
    handler: Handler, sockets: Sequence[socket.socket], *, bounds: ServerConfig, stop_within: float
) -> AsyncIterator[None]:
    """Answer requests on `sockets` inside the block; at its end close all within `stop_within` seconds.

    Clients are held to the timeouts and limits of `bounds`. Some descriptors are kept back for them.
    """
    keep_reserve()
    server = BoundedServer(handler, bounds)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=stop_within)
    await runner.setup()
    try:
        for each in sockets:
            await web.SockSite(runner, each, backlog=ACCEPTED_AT_ONCE).start()
            each.listen(BACKLOG)  # asyncio takes its backlog for both, and has just lowered the kernel's
        yield
    finally:
        await runner.cleanup()


def _bind_one(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = Listener(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            bound.setsockopt(socket.SOL_SOCKET, buffer, KERNEL_BUFFER)  # what is accepted inherits it
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def _is_listened_on(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(str(path))
        return True
    return False


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
        socket.EAI_NONAME: "the name does not exist",
        errno.EADDRINUSE: "the port is taken by another process",
        errno.EACCES: "the port is reserved for root; write one from 1024 on",
    }.get(error.errno or 0, os.strerror(error.errno or 0).lower())
    return f"cannot listen on {show_address(host, port)}: {what}"
