"""What the network's failures mean."""

import errno
import socket
import ssl

import pytest

from sidecar.checks._connect import client_tls, connection_failure, connection_failures, file_reason
from sidecar.config.check import TlsConfig
from sidecar.core.check import CheckFailed, Reason
from tests.descriptors import none_left

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


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EMFILE, Reason.UNAVAILABLE),
        (errno.ENFILE, Reason.UNAVAILABLE),
        (errno.ENOMEM, Reason.UNAVAILABLE),
        (errno.ENOENT, Reason.AUTH),
        (errno.EACCES, Reason.AUTH),
    ],
)
def test_a_file_is_not_to_blame_where_none_can_be_read(number: int, reason: Reason) -> None:
    assert file_reason(OSError(number, "x"), Reason.AUTH) is reason


async def test_authorities_that_cannot_be_read_for_want_of_a_descriptor() -> None:
    with none_left(), pytest.raises(CheckFailed) as failure:
        await client_tls(TlsConfig(insecure=True))

    assert (failure.value.reason, failure.value.message) == (
        Reason.UNAVAILABLE,
        "the TLS files of the system cannot be used: too many open files",
    )


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
