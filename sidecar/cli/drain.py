"""`sidecar drain`: begins a drain and waits for its end; the sidecar's preStop. Standard library only."""

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from sidecar.cli._address import Address, add_address, address_of
from sidecar.cli._asking import Answer, NoAnswerError, ask, show

ANSWER_WITHIN: Final = 5.0
"""Seconds that an answer may take, beside what it waits for."""
OVER: Final = "the drain is over\n"
"""What is answered then: also 200 is that none has begun, since somebody has ended ours before we asked."""


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
        NoAnswerError: no sidecar answers.
        RefusedError: the sidecar refuses, or the drain was cancelled.
    """
    begun = ask(address, "/drain", method="POST", timeout=ANSWER_WITHIN)
    if begun.code != 202:
        raise _refused(begun, address)
    over = ask(address, "/drained", timeout=begun.retry_after + ANSWER_WITHIN)
    if (over.code, over.body) != (200, OVER):
        raise _refused(over, address)
    return over.body


def _refused(answer: Answer, address: Address) -> RefusedError:
    return RefusedError(f"{address} answered {answer.code}: {show(answer.body)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sidecar drain",
        description="Begin a drain of a running sidecar, and wait until it is over.",
        epilog="Exits with 0 when it is over, 1 if it was cancelled, is refused or no sidecar answers, "
        "2 on wrong usage.",
    )
    add_address(parser, port=17809)
    return parser
