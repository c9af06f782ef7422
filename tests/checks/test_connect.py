"""What the network's failures mean."""

import errno
import socket
import ssl

import pytest

from sidecar.checks._connect import connection_failure, connection_failures
from sidecar.core.check import CheckFailed, Reason

MIXED = "Multiple exceptions: [Errno 113] Connect call failed ('::1', 1), [Errno 111] Connect call failed"


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "text")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Reason.REFUSED, "a:1 refused the connection"),
        (FileNotFoundError(errno.ENOENT, "x"), Reason.REFUSED, "a:1 refused the connection"),
        (OSError(MIXED), Reason.REFUSED, "a:1 refused the connection"),
        (OSError(errno.EHOSTUNREACH, "x"), Reason.UNAVAILABLE, "a:1: no route to host"),
        (
            OSError("Multiple exceptions: [Errno 113] a, [Errno 101] b"),
            Reason.UNAVAILABLE,
            "a:1: no route to host",
        ),
        (ConnectionResetError(errno.ECONNRESET, "x"), Reason.UNAVAILABLE, "a:1 closed the connection"),
        (BrokenPipeError(errno.EPIPE, "x"), Reason.UNAVAILABLE, "a:1 closed the connection"),
        (ConnectionAbortedError(errno.ECONNABORTED, "x"), Reason.UNAVAILABLE, "a:1 closed the connection"),
        (ConnectionResetError(), Reason.UNAVAILABLE, "a:1 closed the connection"),
        (EOFError(), Reason.UNAVAILABLE, "a:1 closed the connection"),
        (TimeoutError(errno.ETIMEDOUT, "x"), Reason.TIMEOUT, "a:1 gave no answer"),
        (PermissionError(errno.EACCES, "x"), Reason.FORBIDDEN, "a:1: permission denied"),
        (PermissionError(errno.EPERM, "x"), Reason.FORBIDDEN, "a:1: operation not permitted"),
        (socket.gaierror(socket.EAI_NONAME, "x"), Reason.DNS, "a:1: the name does not exist"),
        (
            socket.gaierror(socket.EAI_AGAIN, "x"),
            Reason.DNS,
            "a:1: the name could not be looked up: no answer",
        ),
        (
            ssl_error("WRONG_VERSION_NUMBER"),
            Reason.TLS,
            "a:1 does not complete the TLS handshake: wrong version number",
        ),
        (ssl.SSLError(), Reason.TLS, "a:1 does not complete the TLS handshake: handshake failed"),
    ],
)
def test_an_error_has_a_reason_and_a_sentence(
    error: OSError | EOFError, reason: Reason, message: str
) -> None:
    failure = connection_failure(error, "a:1")

    assert (failure.reason, failure.message) == (reason, message)


def test_a_deadline_is_left_to_the_runner() -> None:
    with pytest.raises(TimeoutError), connection_failures("a:1"):
        raise TimeoutError


def test_the_cause_is_kept() -> None:
    cause = ConnectionRefusedError(errno.ECONNREFUSED, "x")
    with pytest.raises(CheckFailed) as raised, connection_failures("a:1"):
        raise cause

    assert raised.value.__cause__ is cause


def test_a_bug_is_left_alone() -> None:
    with pytest.raises(KeyError), connection_failures("a:1"):
        raise KeyError
