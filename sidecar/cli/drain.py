"""`sidecar drain`: begins a drain and waits for its end; the sidecar's preStop. Standard library only."""

import argparse
import http.client
import sys
from collections.abc import Sequence
from typing import Final

ANSWER_WITHIN: Final = 5.0
"""Seconds that an answer may take, beside what it waits for."""


class RefusedError(Exception):
    """The sidecar answered, and not as hoped; the message says what."""


def main(arguments: Sequence[str]) -> int:
    """Begin a drain, wait for it; return 0 when it is over, else 1. Wrong usage exits with 2."""
    options = _parser().parse_args(arguments)
    try:
        told = _wait(options, _begin(options))
    except (OSError, http.client.HTTPException) as error:
        what = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
        print(f"no answer from {options.host}:{options.port}: {what}", file=sys.stderr)
        return 1
    except RefusedError as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print(told, end="")
    return 0


def _begin(options: argparse.Namespace) -> float:
    """Begin a drain unless one is under way; return the seconds that it takes at most."""
    response, _ = _ask(options, "POST", "/drain", expected=202)
    return float(response.getheader("Retry-After", "0"))


def _wait(options: argparse.Namespace, longest: float) -> str:
    _, body = _ask(options, "GET", "/drained", expected=200, longest=longest)
    return body


def _ask(
    options: argparse.Namespace, method: str, path: str, *, expected: int, longest: float = 0.0
) -> tuple[http.client.HTTPResponse, str]:
    """Return an answer with the expected code, and its body.

    Raises:
        RefusedError: the answer has another code.
    """
    timeout = longest + ANSWER_WITHIN
    connection = http.client.HTTPConnection(options.host, options.port, timeout=timeout)
    try:
        connection.request(method, path, headers={"X-Sidecar": "1"})
        response = connection.getresponse()
        body = response.read(1 << 20).decode("utf-8", "replace")
    finally:
        connection.close()
    if response.status != expected:
        raise RefusedError(f"{options.host}:{options.port} answered {response.status}: {body.strip()}")
    return response, body


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sidecar drain", description="Begin a drain of a running sidecar, and wait until it is over."
    )
    parser.add_argument("--host", default="127.0.0.1", help="where it listens (default: %(default)s)")
    parser.add_argument("--port", type=int, default=17809, help="its admin port (default: %(default)s)")
    return parser
