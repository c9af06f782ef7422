"""Where a running sidecar listens, and how long it may take to answer, as options say it.

Standard library only. What an option cannot mean is an `argparse.ArgumentTypeError`, whose text says what to
write.
"""

import argparse
from typing import Final, NamedTuple

SHORTEST_TIMEOUT: Final = 0.05
LONGEST_TIMEOUT: Final = 3600.0


class Address(NamedTuple):
    """Where a sidecar listens: on a port or, if `socket` is a path, there."""

    host: str
    port: int
    socket: str = ""

    def __str__(self) -> str:
        """Return it as people write it."""
        written = f"[{self.host}]" if ":" in self.host else self.host
        return self.socket or f"{written}:{self.port}"


def add_address(parser: argparse.ArgumentParser, *, port: int) -> None:
    """Add the options that say where a sidecar listens."""
    parser.add_argument(
        "--host", type=host_of, default="127.0.0.1", help="where it is (default: %(default)s)"
    )
    parser.add_argument("--port", type=port_of, default=port, help="on which port (default: %(default)s)")
    parser.add_argument("--socket", default="", help="its admin_socket, in place of a host and a port")


def address_of(options: argparse.Namespace) -> Address:
    """Return what those options say."""
    return Address(options.host, options.port, options.socket)


def host_of(written: str) -> str:
    """Return a host: an IPv6 address may stand in the brackets that it has in a URL."""
    host = written[1:-1] if written.startswith("[") and written.endswith("]") else written
    if not host or not host.isprintable() or set(host) & set(" /@[]"):
        raise argparse.ArgumentTypeError(f"{written!r} is no host; write a name or an address")
    return host


def port_of(written: str) -> int:
    """Return a port from 1 to 65535."""
    port = int(written) if written.isascii() and written.isdecimal() and len(written) <= 5 else 0
    if not 1 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{written!r} is no port; write a number from 1 to 65535")
    return port


def timeout_of(written: str) -> float:
    """Return seconds from 0.05 to 3600, with or without their `s`."""
    try:
        seconds = float(written.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not SHORTEST_TIMEOUT <= seconds <= LONGEST_TIMEOUT:
        span = f"{SHORTEST_TIMEOUT} to {LONGEST_TIMEOUT:.0f}"
        raise argparse.ArgumentTypeError(f"{written!r} is no timeout; write seconds from {span}, such as 2s")
    return seconds
