"""One request to a running sidecar, over TCP or its admin socket. Standard library only."""

import argparse
import http.client
import socket
from typing import Final, NamedTuple

SIZE_LIMIT: Final = 16 * 1024**2
"""Bytes of an answer that are read: thousands of checks, each with a message."""


class NoAnswerError(Exception):
    """Nobody answers, or somebody who speaks no HTTP; the message says who was asked, and what happened."""


class Address(NamedTuple):
    """Where a sidecar listens: on a port or, if `socket` is a path, there."""

    host: str
    port: int
    socket: str = ""

    def __str__(self) -> str:
        """Return it as people write it."""
        return self.socket or f"{self.host}:{self.port}"


class Answer(NamedTuple):
    """What a sidecar said."""

    code: int
    body: str
    retry_after: float
    """Seconds; 0 if it said nothing of that."""


def ask(address: Address, path: str, *, method: str = "GET", timeout: float) -> Answer:
    """Return the answer to one request, each step of which may take `timeout` seconds.

    Raises:
        NoAnswerError: there was none.
    """
    connection = _connection(address, timeout)
    try:
        connection.request(method, path, headers={"X-Sidecar": "1"})
        response = connection.getresponse()
        body = response.read(SIZE_LIMIT).decode("utf-8", "replace")
        return Answer(response.status, body, float(response.getheader("Retry-After", "0")))
    except (OSError, http.client.HTTPException, ValueError) as error:
        what = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
        raise NoAnswerError(f"no answer from {address}: {what}") from error
    finally:
        connection.close()


def add_address(parser: argparse.ArgumentParser, *, port: int) -> None:
    """Add the options that say where a sidecar listens."""
    parser.add_argument("--host", default="127.0.0.1", help="where it listens (default: %(default)s)")
    parser.add_argument("--port", type=int, default=port, help="on which port (default: %(default)s)")
    parser.add_argument("--socket", default="", help="its admin_socket, in place of a host and a port")


def address_of(options: argparse.Namespace) -> Address:
    """Return what those options say."""
    return Address(options.host, options.port, options.socket)


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connection(address: Address, timeout: float) -> http.client.HTTPConnection:
    if address.socket:
        return _SocketConnection(address.socket, timeout)
    return http.client.HTTPConnection(address.host, address.port, timeout=timeout)
