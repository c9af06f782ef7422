"""One request to a running sidecar, over TCP or its admin socket. Standard library only.

Who answers may be anybody: only an answer with our `Server` header counts, no request outlasts its deadline,
and `show` is how to print what came.
"""

import http.client
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

from sidecar.cli._address import Address

SIZE_LIMIT: Final = 16 * 1024**2
"""Bytes of an answer that are read: thousands of checks, each with a message."""
SHOWN_LIMIT: Final = 64 * 1024
"""Bytes of an answer that are printed."""
EXCERPT_LIMIT: Final = 200
"""Characters of what a stranger says that are printed."""
SOCKET_TIMEOUT_LIMIT: Final = 2_000_000.0
"""Seconds; the kernel counts milliseconds in 31 bits."""


class NoAnswerError(Exception):
    """No sidecar answers: nobody, or a stranger; the message says who was asked, and what happened."""


class Answer(NamedTuple):
    """What a sidecar said."""

    code: int
    body: str
    retry_after: int
    """Seconds; 0 if it said nothing of that."""


def ask(address: Address, path: str, *, method: str = "GET", timeout: float) -> Answer:
    """Return the answer to one request; look-up, connection and answer may together take `timeout` seconds.

    Raises:
        NoAnswerError: there was none from a sidecar.
    """
    connection = _connection(address, timeout)
    try:
        return _within(timeout, lambda: _converse(connection, address, method, path))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswerError(f"no answer from {address}: {_told(error, timeout)}") from error
    finally:
        _hang_up(connection)


def show(body: str) -> str:
    """Return the beginning of an answer, for a terminal: control characters are written as Python does."""
    lines = body.encode()[:SHOWN_LIMIT].decode(errors="ignore").rstrip("\n").split("\n")
    cut = [f"(cut after {SHOWN_LIMIT // 1024} KiB)"] if len(body.encode()) > SHOWN_LIMIT else []
    return "\n".join([*map(visible, lines), *cut])


def visible(text: str) -> str:
    """Return `text` with all that a terminal would not print, or would obey, written as an escape."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """Return what `work` returns, or raise what it raises.

    It is done in a thread that is left behind at the deadline, because nothing ends a look-up of a name: a
    signal's handler waits for it to return.

    Raises:
        TimeoutError: the deadline has passed.
    """
    ended: SimpleQueue[Answer | Exception] = SimpleQueue()

    def run() -> None:
        try:
            ended.put(work())
        except Exception as error:  # noqa: BLE001 - raised again by who waits
            ended.put(error)

    threading.Thread(target=run, name="ask", daemon=True).start()
    try:
        end = ended.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if isinstance(end, Exception):
        raise end
    return end


def _converse(connection: http.client.HTTPConnection, address: Address, method: str, path: str) -> Answer:
    connection.request(method, path, headers={"X-Sidecar": "1"})
    response = connection.getresponse()
    body = response.read(SIZE_LIMIT).decode("utf-8", "replace")
    if response.getheader("Server") != "sidecar":
        raise NoAnswerError(f"{address} is no sidecar: it answered {_summary(response, body)}")
    seconds = response.getheader("Retry-After", "0")
    if not (seconds.isascii() and seconds.isdecimal() and len(seconds) < 10):
        raise NoAnswerError(f"{address} is no sidecar: it says to retry after {_excerpt(seconds)}")
    return Answer(response.status, body, int(seconds))


def _summary(response: http.client.HTTPResponse, body: str) -> str:
    """Return the code of an answer, and where it leads or what it says."""
    location = response.getheader("Location")
    return f"{response.status} {_excerpt(f'to {location}' if location else body)}".rstrip()


def _told(error: Exception, timeout: float) -> str:
    """Return what went wrong; the system's words if it has some."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return f"none within {timeout:g}s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return _excerpt(str(error) or type(error).__name__).lower()


def _excerpt(text: str) -> str:
    line = text.strip()
    return visible(line if len(line) <= EXCERPT_LIMIT else f"{line[:EXCERPT_LIMIT]}…")


def _hang_up(connection: http.client.HTTPConnection) -> None:
    """Close the connection; a thread that still reads from it ends."""
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()


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
    """Return a connection that is still to be made; each of its steps ends after `timeout` seconds too."""
    each_step = min(timeout, SOCKET_TIMEOUT_LIMIT)
    if address.socket:
        return _SocketConnection(address.socket, each_step)
    return http.client.HTTPConnection(address.host, address.port, timeout=each_step)
