"""`sidecar status` against whatever may answer: boards in every state, and strangers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sidecar.cli.verbs import sidecar

CHECK: dict[str, Any] = {
    "name": "db",
    "type": "tcp",
    "target": "db:5432",
    "gates": ["readiness"],
    "status": "up",
    "is_stale": False,
    "is_new": False,
    "has_been_up": True,
    "since_seconds": 125.4,
    "streak": 17,
    "outcomes": ["failure", "warning", "success"],
    "reason": None,
    "message": "",
    "age_seconds": 3.2,
    "next_run_seconds": 6.8,
}
RUNNING = {
    **CHECK,
    "name": "builds",
    "gates": [],
    "status": "unknown",
    "is_stale": True,
    "is_new": True,
    "outcomes": [],
    "reason": "auth",
    "message": "refused the password",
    "age_seconds": None,
    "next_run_seconds": None,
}


def board(*checks: dict[str, Any]) -> dict[str, Any]:
    return {
        "phase": "serving",
        "revision": None,
        "deploy": None,
        "uptime_seconds": 3700.0,
        "startup_passed": True,
        "checks": list(checks),
    }


@contextmanager
def answering(code: int, body: bytes, *, server_name: str = "sidecar") -> Iterator[int]:
    """Answer every request so, on the port that is yielded."""

    class Handler(BaseHTTPRequestHandler):
        def version_string(self) -> str:
            return server_name

        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def status(port: int, *more: str) -> Result:
    return CliRunner().invoke(sidecar, ["status", "--port", str(port), *more])


def test_the_table_has_a_row_a_check_with_its_strip() -> None:
    with answering(200, json.dumps(board(CHECK, RUNNING)).encode()) as port:
        told = status(port)

    assert (told.exit_code, told.stdout.splitlines()) == (
        0,
        [
            "serving for 1h 1m, startup passed",
            "",
            "CHECK   TYPE  GATES      STATUS               SINCE  STREAK  LAST 20  AGE  NEXT  MESSAGE",
            "db      tcp   readiness  up                   2m 5s  17      -!+      3s   6s",
            f"builds  tcp   none       unknown, stale, new  2m 5s  17{'':26}auth: refused the password",
        ],
    )


@pytest.mark.parametrize(
    ("phase", "told"), [(None, "revision abc123"), ("timed_out", "revision abc123 timed out")]
)
def test_the_revision_is_told_where_it_is_known(phase: str | None, told: str) -> None:
    body = {**board(CHECK), "revision": "abc123", "deploy": phase}
    with answering(200, json.dumps(body).encode()) as port:
        head = status(port).stdout.splitlines()[0]

    assert head == f"serving for 1h 1m, startup passed, {told}"


def test_json_is_the_page_itself() -> None:
    with answering(200, json.dumps(board(CHECK)).encode()) as port:
        told = status(port, "--output", "json")

    assert (told.exit_code, json.loads(told.stdout)) == (0, board(CHECK))


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (404, b"{}"),
        (200, b"ok"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"phase": 1}'),
        (200, b"\xff"),
        (200, b"[" * 200_000),
        (200, b'{"phase": "serving", "startup_passed": true, "uptime_seconds": 1e999, "checks": []}'),
    ],
)
def test_a_stranger_is_named_as_one(code: int, body: bytes) -> None:
    with answering(code, body) as port:
        told = status(port)

    assert (told.exit_code, told.stdout, told.stderr) == (
        1,
        "",
        f"127.0.0.1:{port} is no admin listener of a sidecar\n",
    )


def test_a_board_of_somebody_else_is_none() -> None:
    with answering(200, b"{}", server_name="nginx") as port:
        told = status(port)

    assert (told.exit_code, told.stderr) == (1, f"127.0.0.1:{port} is no sidecar: it answered 200 {{}}\n")


def test_infinity_is_no_json() -> None:
    with answering(200, b'{"uptime_seconds": 1e999}') as port:
        told = status(port, "--output", "json")

    assert (told.exit_code, told.stdout) == (1, "")


@pytest.mark.parametrize("message", ["a\x9b2Jb", "a\u202eb", "\ud800"])
def test_json_is_printed_whatever_a_message_holds_and_steers_no_terminal(message: str) -> None:
    with answering(200, json.dumps(board({**CHECK, "message": message})).encode()) as port:
        told = status(port, "--output", "json")

    assert (told.exit_code, told.stdout.isascii()) == (0, True)


def test_a_message_cannot_steer_the_terminal() -> None:
    with answering(200, json.dumps(board({**CHECK, "message": "a\x1b[2J\nb"})).encode()) as port:
        told = status(port)

    assert told.stdout.splitlines()[-1].endswith(r"a\x1b[2J\nb")
