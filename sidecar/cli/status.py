"""`sidecar status`: the board of a running sidecar. Standard library and click only."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import click

from sidecar.cli._asking import Address, NoAnswerError, ask
from sidecar.cli._table import as_table
from sidecar.support.text import show_age

LETTERS: Final = {"success": "+", "warning": "!", "failure": "-"}
"""Of the strip: as the lines of a probe begin."""
HEADINGS: Final = ("CHECK", "TYPE", "GATES", "STATUS", "SINCE", "STREAK", "LAST 20", "AGE", "NEXT", "MESSAGE")


@click.command("status")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the admin listener is.")
@click.option("--port", type=click.IntRange(1, 65535), default=17809, show_default=True, help="Its port.")
@click.option("--socket", default="", help="Its admin_socket, in place of a host and a port.")
@click.option(
    "--timeout", type=click.FloatRange(0.05), default=2.0, show_default=True, help="Seconds to wait."
)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", help="How to show it.")
def command(host: str, port: int, socket: str, timeout: float, output: str) -> None:
    """Show the checks of a running sidecar: status, last outcomes, message, age and next run.

    The strip has the newest outcome on the right: + success, ! warning, - failure. Exits with 0, or 1 if
    nothing answers.
    """
    address = Address(host, port, socket)
    try:
        body = _read_board(address, timeout)
        shown = json.dumps(body, indent=2, ensure_ascii=False) if output == "json" else _as_text(body)
    except NoAnswerError as error:
        _leave(str(error))
    except (ValueError, KeyError, TypeError, AttributeError):
        _leave(f"{address} is no admin listener of a sidecar")
    click.echo(shown)


def _leave(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(1)


def _read_board(address: Address, timeout: float) -> Mapping[str, Any]:
    """Return the board that a running sidecar tells.

    Raises:
        NoAnswerError: nothing answers, or something that speaks no HTTP.
        ValueError, TypeError: something else answers.
    """
    answer = ask(address, "/status", timeout=timeout)
    if answer.code != 200:
        raise ValueError(f"answered {answer.code}")
    found = json.loads(answer.body)
    if not isinstance(found, dict):
        raise TypeError("answered with something else than an object")
    return found


def _as_text(body: Mapping[str, Any]) -> str:
    start = "passed" if body["startup_passed"] else "not passed"
    head = f"{body['phase']} for {show_age(body['uptime_seconds'])}, startup {start}"
    return f"{head}\n\n{as_table([HEADINGS, *map(_row, body['checks'])])}"


def _row(check: Mapping[str, Any]) -> Sequence[str]:
    return (
        check["name"],
        check["type"],
        ",".join(check["gates"]) or "none",
        _status(check),
        show_age(check["since_seconds"]),
        str(check["streak"]),
        "".join(LETTERS[outcome] for outcome in check["outcomes"]),
        "" if check["age_seconds"] is None else show_age(check["age_seconds"]),
        _next_run(check["next_run_seconds"]),
        ": ".join(part for part in (check["reason"], check["message"]) if part),
    )


def _status(check: Mapping[str, Any]) -> str:
    notes = [note for note in ("stale", "new") if check[f"is_{note}"]]
    return ", ".join([check["status"], *notes])


def _next_run(seconds: float | None) -> str:
    return "" if seconds is None else show_age(seconds)
