"""A URL in pieces, as drivers want them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from sidecar.config.interpolate import Scalar
from sidecar.config.kinds.host import is_host, without_brackets
from sidecar.config.kinds.kind import Schema, Shown, shown
from sidecar.config.kinds.pieces import Pieces, take_apart
from sidecar.config.kinds.secret import Secret
from sidecar.config.problems import Mistake, listed
from sidecar.support.net import show_address
from sidecar.support.text import STARS

_HOW_TO_WRITE_PASSWORDS: Final = (
    "percent-encode : @ / ? # % in a password, or put it in as it is with ${NAME} or ${file:/path}"
)
_BARE_IPV6: Final = re.compile(r"://[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:[/?#]|$)")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Url:
    """A URL in pieces, percent-decoded, as drivers want them; shows itself without userinfo or query."""

    scheme: str
    host: str
    port: int | None = None
    username: str | None = None
    password: Secret | None = None
    path: str = ""
    """As written, with its leading slash, still percent-encoded."""
    query: str = ""
    hides_path: bool = False
    """Whether the path is secret, because part of it came from outside the file, as a webhook's does."""

    @property
    def address(self) -> str:
        """The host and the port, for messages."""
        return show_address(self.host, self.port) if self.host else unquote(self.path)

    @property
    def bare(self) -> str:
        """The whole URL without its userinfo, for a driver."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{show_address(self.host, self.port)}{self.path}{query}"

    def __str__(self) -> str:
        path = f"/{STARS}" if self.hides_path else self.path
        return f"{self.scheme}://{show_address(self.host, self.port)}{path}"

    __repr__ = __str__


@dataclass(frozen=True, slots=True)
class UrlKind(Shown):
    """A URL of certain schemes, as they stand in `default_ports` with the port that each implies.

    Where a placeholder stands inside the userinfo its value is data: a password may hold any character.
    A scheme without a network port (`unix`) has a path instead of a host. The path of one that `hides_path`
    is secret wherever it was written: whoever has a webhook's may post there.
    """

    default_ports: tuple[tuple[str, int | None], ...]
    hides_path: bool = False

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes that are known."""
        return tuple(scheme for scheme, _ in self.default_ports)

    def parse(self, scalar: Scalar) -> Url:
        """Return the pieces."""
        pieces = take_apart(scalar)
        if pieces is None:
            raise Mistake(self._why_no_url(scalar))
        scheme, host = pieces.scheme.lower(), without_brackets(pieces.host)
        fault = next(self._faults(pieces, scheme, host), None)
        if fault:
            raise Mistake(f"{shown(scalar)} {fault}")
        return Url(
            scheme=scheme,
            host=host,
            port=int(pieces.port) if pieces.port else dict(self.default_ports)[scheme],
            username=pieces.username or None,
            password=Secret(pieces.password) if pieces.password else None,
            path=pieces.path,
            query=pieces.query,
            hides_path=self.hides_path or pieces.is_path_from_outside,
        )

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield the userinfo, the query, and what else came from outside but for scheme, host and port."""
        pieces = take_apart(scalar)
        if pieces is None:
            return (scalar.text,)
        return (*pieces.secrets(), pieces.path) if self.hides_path else pieces.secrets()

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        schemes = "|".join(map(re.escape, self.schemes))
        return {"type": "string", "pattern": f"^({schemes})://|\\$\\{{"}

    def _why_no_url(self, scalar: Scalar) -> str:
        if "://" not in scalar.text:
            return f"has no scheme; write {self._forms()}"  # not shown: it may be a password
        if _BARE_IPV6.search(scalar.text):
            return f"{shown(scalar)} is not a URL; an IPv6 address needs brackets, such as [::1]"
        return f"{shown(scalar)} is not a URL; write HOST:PORT behind its ://, and {_HOW_TO_WRITE_PASSWORDS}"

    def _faults(self, pieces: Pieces, scheme: str, host: str) -> Iterator[str]:
        """Yield what is wrong with the pieces, the most telling first."""
        if scheme not in self.schemes:
            yield f"has another scheme; write {self._forms()}"
        if "@" in pieces.path or "@" in pieces.query:
            yield f"has an @ behind its host; write %40 for it, and {_HOW_TO_WRITE_PASSWORDS}"
        if pieces.fragment:
            yield "has a fragment, which no server gets; leave it out, or write %23 for the # of a password"
        if not host and dict(self.default_ports)[scheme] is not None:
            yield "names no host"
        if host and not is_host(host):
            yield "has no valid host; write a host name or an IP address behind the ://"
        if pieces.port and not 1 <= int(pieces.port) <= 65535:
            yield "has a port out of range; a port is a whole number from 1 to 65535"

    def _forms(self) -> str:
        return listed(f"{scheme}://…" for scheme in self.schemes)
