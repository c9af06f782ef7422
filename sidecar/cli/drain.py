"""`sidecar drain`: begins a drain and waits for its end; the sidecar's preStop. Standard library only."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from sidecar.cli._asking import Address, Answer, NoAnswerError, add_address, address_of, ask

ANSWER_WITHIN: Final = 5.0
"""Seconds that an answer may take, beside what it waits for."""


class RefusedError(Exception):
    """The sidecar answered, and not as hoped; the message says what."""


def main(arguments: Sequence[str]) -> int:
    """Begin a drain, wait for it; return 0 when it is over, else 1. Wrong usage exits with 2."""
    address = address_of(_parser().parse_args(arguments))
    try:
        print(_drain(address), end="")
    except (NoAnswerError, RefusedError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _drain(address: Address) -> str:
    """Begin a drain unless one is under way, wait until it is over, and return what is said of it.

    Raises:
        NoAnswerError: nobody answers.
        RefusedError: the sidecar refuses, or something else answers.
    """
    begun = ask(address, "/drain", method="POST", timeout=ANSWER_WITHIN)
    _expect(202, begun, address)
    over = ask(address, "/drained", timeout=begun.retry_after + ANSWER_WITHIN)
    _expect(200, over, address)
    return over.body


def _expect(code: int, answer: Answer, address: Address) -> None:
    if answer.code != code:
        raise RefusedError(f"{address} answered {answer.code}: {answer.body.strip()}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sidecar drain", description="Begin a drain of a running sidecar, and wait until it is over."
    )
    add_address(parser, port=17809)
    return parser
