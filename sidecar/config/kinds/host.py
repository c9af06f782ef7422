"""The name or the address of a host."""

import re
from typing import Final

from sidecar.config.interpolate import Scalar
from sidecar.config.kinds.kind import Public, Schema, shown, text_schema
from sidecar.config.problems import Mistake
from sidecar.support.net import is_literal

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOSTNAME: Final = re.compile(rf"(?=.{{1,253}}\.?$){_LABEL}(?:\.{_LABEL})*\.?")
_ENDS_IN_NUMBER: Final = re.compile(r"(?:^|\.)[0-9]+\.?$")
"""Such as 10.0.0.256: an address that is none, never a name (RFC 1123, section 2.1)."""
_ZONE: Final = re.compile(r"[A-Za-z0-9_.-]+")


class HostKind(Public):
    """A host name or an IP address, without a port."""

    def parse(self, scalar: Scalar) -> str:
        """Return it, without the brackets of an IPv6 address."""
        host = without_brackets(scalar.text)
        if not is_host(host):
            raise Mistake(
                f"{shown(scalar)} is not a host; write a host name or an IP address, and no port beside it"
            )
        return host

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return text_schema(minLength=1)


def without_brackets(host: str) -> str:
    """Return an IPv6 address without the brackets that a port needs beside it; all else as it is."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") and ":" in host else host


def is_host(host: str) -> bool:
    """Whether this is a host name or an IP address."""
    address, has_zone, zone = host.partition("%")
    if is_literal(address):
        return not has_zone or (":" in address and _ZONE.fullmatch(zone) is not None)
    return _HOSTNAME.fullmatch(host) is not None and not _ENDS_IN_NUMBER.search(host)
