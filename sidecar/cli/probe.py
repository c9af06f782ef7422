"""`sidecar probe`: asks a running sidecar, for exec probes, Compose and ECS. Standard library only."""

import argparse
import http.client
import sys
from collections.abc import Sequence

PROBES = ("livez", "readyz", "startupz", "healthz")


def main(arguments: Sequence[str]) -> int:
    """Ask one probe, print its answer; return 0 if it passes, else 1. Wrong usage exits with 2."""
    options = _parser().parse_args(arguments)
    try:
        code, body = _ask(options)
    except (OSError, http.client.HTTPException) as error:
        what = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
        print(f"no answer from {options.host}:{options.port}: {what}", file=sys.stderr)
        return 1
    print(body.rstrip("\n"))
    return 0 if code == 200 else 1


def _ask(options: argparse.Namespace) -> tuple[int, str]:
    connection = http.client.HTTPConnection(options.host, options.port, timeout=options.timeout)
    try:
        connection.request("GET", f"/{options.probe}{'?verbose' if options.verbose else ''}")
        response = connection.getresponse()
        return response.status, response.read(1 << 20).decode("utf-8", "replace")
    finally:
        connection.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sidecar probe", description="Ask a running sidecar.")
    parser.add_argument("probe", choices=PROBES, help="which probe to ask")
    parser.add_argument("--host", default="127.0.0.1", help="where it listens (default: %(default)s)")
    parser.add_argument("--port", type=int, default=17808, help="on which port (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds to wait (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="print a line for every check")
    return parser
