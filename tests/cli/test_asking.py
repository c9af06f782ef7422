"""The verbs that ask a running sidecar, against strangers, the slow, and options that mean nothing."""

import argparse
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from sidecar.cli import drain, probe
from sidecar.cli._address import Address, host_of, port_of, timeout_of
from sidecar.cli.verbs import sidecar
from tests.network.fakes import dripping
from tests.process.program import Ended, run_sidecar


def reply(body: bytes = b"ok", *, code: str = "200 OK", server: str = "sidecar", more: str = "") -> bytes:
    head = f"HTTP/1.1 {code}\r\nServer: {server}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


DRAINING = reply(b"draining for at most 0s\n", code="202 Accepted", more="Retry-After: 0\r\n")


@contextmanager
def saying(*replies: bytes) -> Iterator[int]:
    """Give one connection after another its reply, on the port that is yielded."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for each in replies:
                accepted, _ = listener.accept()
                with accepted:
                    accepted.recv(65536)
                    accepted.sendall(each)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


def ask_readyz(port: int, capsys: pytest.CaptureFixture[str]) -> Ended:
    code = probe.main(["readyz", "--port", str(port)])
    return Ended(code, *capsys.readouterr())


@pytest.mark.parametrize("verb", [("probe", "readyz"), ("status",)])
async def test_the_timeout_is_that_of_the_whole_request(verb: tuple[str, ...]) -> None:
    async with dripping(reply(b"x" * 10_000), interval=0.05) as peer:
        told = await run_sidecar(*verb, "--port", str(peer.port), "--timeout", "0.3")

    assert told == Ended(1, "", f"no answer from 127.0.0.1:{peer.port}: none within 0.3s\n")


def test_a_look_up_that_hangs_ends_with_the_timeout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    may_return = threading.Event()

    def hang(*_: object) -> None:
        may_return.wait()
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        code = probe.main(["readyz", "--host", "hung.example", "--timeout", "0.1"])
    finally:
        may_return.set()

    assert (code, capsys.readouterr().err) == (1, "no answer from hung.example:17808: none within 0.1s\n")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (reply(b"welcome", server="nginx"), "is no sidecar: it answered 200 welcome"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "is no sidecar: it answered 200"),
        (
            reply(b"", code="302 Found", server="nginx", more="Location: https://elsewhere/\r\n"),
            "is no sidecar: it answered 302 to https://elsewhere/",
        ),
        (reply(b"\x1b[2Jgone\nx", server="nginx"), r"is no sidecar: it answered 200 \x1b[2Jgone\nx"),
        (reply(b"x" * 1000, server="nginx"), f"is no sidecar: it answered 200 {'x' * 200}…"),
        (reply(b"no such path\n", code="404 Not Found"), "answered 404: no such path"),
        (reply(code="204 No Content"), "answered 204: "),
        (reply(more="Retry-After: \x1b1\r\n"), r"is no sidecar: it says to retry after \x1b1"),
    ],
)
def test_only_what_a_sidecar_says_counts(said: bytes, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with saying(said) as port:
        ended = ask_readyz(port, capsys)

    assert ended == Ended(1, "", f"127.0.0.1:{port} {told}\n")


def test_who_speaks_no_http_is_quoted_without_what_a_terminal_obeys(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with saying(b"220 \x1b]0;mine\x07\r\n") as port:
        ended = ask_readyz(port, capsys)

    assert ended == Ended(1, "", f"no answer from 127.0.0.1:{port}: 220 \\x1b]0;mine\\x07\n")


def test_an_answer_is_printed_line_by_line_up_to_64_kib(capsys: pytest.CaptureFixture[str]) -> None:
    lines = b"[+]db ok\r\n[!]\x07\xc2\x85 warning\n"
    with saying(reply(lines), reply(b"x" * 100_000, code="503 Service Unavailable")) as port:
        short = ask_readyz(port, capsys)
        long = ask_readyz(port, capsys)

    assert short == Ended(0, "[+]db ok\\r\n[!]\\x07\\x85 warning\n", "")
    assert long == Ended(1, f"{'x' * 65_536}\n(cut after 64 KiB)\n", "")


@pytest.mark.parametrize(
    ("replies", "told"),
    [
        (
            [DRAINING, reply(b"the drain was cancelled\n", code="409 Conflict")],
            "409: the drain was cancelled",
        ),
        ([DRAINING, reply(b"no drain has begun\n")], "200: no drain has begun"),
        ([reply(b"ok")], "200: ok"),
    ],
)
def test_a_drain_that_is_not_over_is_none(
    replies: Sequence[bytes], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with saying(*replies) as port:
        code = drain.main(["--port", str(port)])

    assert Ended(code, *capsys.readouterr()) == Ended(1, "", f"127.0.0.1:{port} answered {told}\n")


@pytest.mark.parametrize("never", ["inf", "1e300", "-1", "nan", "9" * 20])
def test_a_drain_waits_for_no_time_that_is_none(never: str, capsys: pytest.CaptureFixture[str]) -> None:
    with saying(reply(code="202 Accepted", more=f"Retry-After: {never}\r\n")) as port:
        code = drain.main(["--port", str(port)])

    told = f"127.0.0.1:{port} is no sidecar: it says to retry after {never}\n"
    assert Ended(code, *capsys.readouterr()) == Ended(1, "", told)


REFUSED = [
    ("--port", "0"),
    ("--port", "-5"),
    ("--port", "99999"),
    ("--port", "²"),
    ("--host", "a b"),
    ("--host", ""),
    ("--host", "a\n"),
    ("--host", "http://a"),
    ("--host", "[]"),
]
NO_TIMES = [("--timeout", each) for each in ("0", "-1", "nan", "inf", "1e12", "1e400", "2m")]


@pytest.mark.parametrize(("option", "value"), REFUSED + NO_TIMES)
def test_what_an_option_cannot_mean_is_wrong_usage(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        probe.main(["readyz", f"{option}={value}"])
    asked = capsys.readouterr().err
    told = CliRunner().invoke(sidecar, ["status", f"{option}={value}"])

    sentence = f"{value!r} is no {option[2:]}; write "
    assert (ended.value.code, sentence in asked, told.exit_code, sentence in told.stderr) == (
        2,
        True,
        2,
        True,
    )


@pytest.mark.parametrize(("option", "value"), REFUSED)
def test_a_drain_reads_where_to_begin_as_a_probe_does(option: str, value: str) -> None:
    with pytest.raises(SystemExit) as ended:
        drain.main([f"{option}={value}"])

    assert ended.value.code == 2


def test_options_are_read_up_to_their_bounds() -> None:
    assert [port_of("1"), port_of("65535"), timeout_of("0.05"), timeout_of("3600s")] == [1, 65535, 0.05, 3600]
    with pytest.raises(argparse.ArgumentTypeError):
        timeout_of("3600.1")


@pytest.mark.parametrize("written", ["::1", "[::1]"])
def test_an_ipv6_address_may_have_brackets(written: str) -> None:
    host = host_of(written)

    assert (host, str(Address(host, 1))) == ("::1", "[::1]:1")


@pytest.mark.parametrize(("verb", "codes"), [("serve", "0123"), ("probe", "012"), ("drain", "012")])
async def test_help_says_what_the_exit_codes_mean(verb: str, codes: str) -> None:
    told = await run_sidecar(verb, "--help")

    about = " ".join(told.out.split()).partition("Exits with ")[2]
    assert [code for code in codes if f"{code} " not in about] == []
