"""`sidecar probe`: asks a running sidecar, for exec probes, Compose and ECS. Standard library only."""

import argparse
import sys
from collections.abc import Sequence

from sidecar.cli._address import add_address, address_of, timeout_of
from sidecar.cli._asking import NoAnswerError, ask, show

PROBES = ("livez", "readyz", "startupz", "healthz")


def main(arguments: Sequence[str]) -> int:
    """Ask one probe, print its answer; return 0 if it passes, else 1. Wrong usage exits with 2."""
    options = _parser().parse_args(arguments)
    address, path = address_of(options), f"/{options.probe}{'?verbose' if options.verbose else ''}"
    try:
        answer = ask(address, path, timeout=options.timeout)
    except NoAnswerError as error:
        print(error, file=sys.stderr)
        return 1
    if answer.code not in (200, 503):
        print(f"{address} answered {answer.code}: {show(answer.body)}", file=sys.stderr)
        return 1
    print(show(answer.body))
    return 0 if answer.code == 200 else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sidecar probe",
        description="Ask a running sidecar.",
        epilog="Exits with 0 if the probe passes, 1 if it fails or no sidecar answers, 2 on wrong usage.",
    )
    parser.add_argument("probe", choices=PROBES, help="which probe to ask")
    add_address(parser, port=17808)
    parser.add_argument(
        "--timeout",
        type=timeout_of,
        default=2.0,
        help="seconds to wait for the answer (default: %(default)s)",
    )
    parser.add_argument("--verbose", action="store_true", help="print a line for every check")
    return parser
