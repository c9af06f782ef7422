"""`sidecar status`: the board of a running sidecar. Standard library and click only."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

import click

from sidecar.cli._address import Address, host_of, port_of, timeout_of
from sidecar.cli._asking import NoAnswerError, ask, visible
from sidecar.cli._table import as_table
from sidecar.support.text import show_age

LETTERS: Final = {"success": "+", "warning": "!", "failure": "-"}
"""Of the strip: as the lines of a probe begin."""
HEADINGS: Final = ("CHECK", "TYPE", "GATES", "STATUS", "SINCE", "STREAK", "LAST 20", "AGE", "NEXT", "MESSAGE")

T = TypeVar("T")


def _read_with(read: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str], T]:
    """Return what has an option read as those of `probe` are."""

    def callback(_context: click.Context, _parameter: click.Parameter, written: str) -> T:
        try:
            return read(written)
        except argparse.ArgumentTypeError as error:
            raise click.BadParameter(str(error)) from error

    return callback


@click.command("status")
@click.option(
    "--host",
    default="127.0.0.1",
    callback=_read_with(host_of),
    show_default=True,
    help="Where the admin listener is.",
)
@click.option(
    "--port",
    default="17809",
    callback=_read_with(port_of),
    metavar="INTEGER",
    show_default=True,
    help="Its port.",
)
@click.option("--socket", default="", help="Its admin_socket, in place of a host and a port.")
@click.option(
    "--timeout",
    default="2.0",
    callback=_read_with(timeout_of),
    metavar="FLOAT",
    show_default=True,
    help="Seconds to wait for the answer.",
)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", help="How to show it.")
def command(host: str, port: int, socket: str, timeout: float, output: str) -> None:
    """Show the checks of a running sidecar: status, last outcomes, message, age and next run.

    The strip has the newest outcome on the right: + success, ! warning, - failure. Exits with 0, 1 if no
    sidecar answers, or 2 on wrong usage.
    """
    address = Address(host, port, socket)
    try:
        body = _read_board(address, timeout)
        shown = _as_json(body) if output == "json" else _as_text(body)
    except NoAnswerError as error:
        _leave(str(error))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        _leave(f"{address} is no admin listener of a sidecar")
    click.echo(shown)


def _leave(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(1)


def _read_board(address: Address, timeout: float) -> Mapping[str, Any]:
    """Return the board that a running sidecar tells.

    Raises:
        NoAnswerError: no sidecar answers.
        ValueError, TypeError, RecursionError: something else answers.
    """
    answer = ask(address, "/status", timeout=timeout)
    if answer.code != 200:
        raise ValueError(f"answered {answer.code}")
    found = json.loads(answer.body)
    if not isinstance(found, dict):
        raise TypeError("answered with something else than an object")
    return found


def _as_json(body: Mapping[str, Any]) -> str:
    """Return it in ASCII: beyond it are characters that no terminal can print, or that it would obey."""
    return json.dumps(body, indent=2, allow_nan=False)


def _as_text(body: Mapping[str, Any]) -> str:
    start = "passed" if body["startup_passed"] else "not passed"
    head = f"{visible(body['phase'])} for {show_age(body['uptime_seconds'])}, startup {start}{_release(body)}"
    return f"{head}\n\n{as_table([HEADINGS, *map(_row, body['checks'])])}"


def _release(body: Mapping[str, Any]) -> str:
    """Return which revision it is and what has become of its deploy, as far as it is known."""
    revision, phase = body["revision"], body["deploy"]
    if revision is None:
        return ""
    return visible(f", revision {revision}" + (f" {phase.replace('_', ' ')}" if phase else ""))


def _row(check: Mapping[str, Any]) -> Sequence[str]:
    cells = (
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
    return tuple(map(visible, cells))


def _status(check: Mapping[str, Any]) -> str:
    notes = [note for note in ("stale", "new") if check[f"is_{note}"]]
    return ", ".join([check["status"], *notes])


def _next_run(seconds: float | None) -> str:
    return "" if seconds is None else show_age(seconds)
