"""Addresses: which are our own, and how they are written."""

import ipaddress


def show_address(host: str, port: int | None) -> str:
    """Return `host:port`, with the brackets that an IPv6 address needs."""
    written = f"[{host}]" if ":" in host else host
    return written if port is None else f"{written}:{port}"


def is_literal(host: str) -> bool:
    """Whether `host` is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether `host` is this very pod: a loopback address, or a name that RFC 6761 reserves for one.

    So is the address of all: a connection to it is one to loopback.
    """
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    if not is_literal(host):
        return False
    address = ipaddress.ip_address(host.partition("%")[0])
    return address.is_loopback or address.is_unspecified
