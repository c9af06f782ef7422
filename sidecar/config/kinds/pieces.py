"""Takes URLs apart: what a placeholder puts into the userinfo is data, and may hold any character.

Knows which pieces came from outside the file; which schemes, hosts and ports are right is for `url`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from sidecar.config.interpolate import Scalar

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, repr=False)
class Pieces:
    """The pieces of a URL as written, userinfo and query still percent-encoded; empty where there is none."""

    scheme: str
    userinfo: str
    host: str
    port: str
    path: str
    query: str
    fragment: str
    is_path_from_outside: bool
    """Whether a placeholder put in part of the path, as with a webhook."""
    parts_from_outside: tuple[str, ...]
    """What placeholders put in, but for those that gave nothing but scheme, host and port."""

    @property
    def username(self) -> str:
        """The user name, decoded."""
        return unquote(self.userinfo.partition(":")[0])

    @property
    def password(self) -> str:
        """The password, decoded."""
        return unquote(self.userinfo.partition(":")[2])

    def secrets(self) -> Iterator[str]:
        """Yield what must never be shown, as written and decoded.

        A user name beside a password is none, alone it is a token. The path of a socket file is its address.
        """
        yield self.password or self.username
        for pair in self.query.split("&"):
            name, has_value, value = pair.partition("=")
            yield from _with_decoded(value if has_value else name)
        if self.is_path_from_outside:
            yield from _with_decoded(self.path)
        yield from self.parts_from_outside


def take_apart(scalar: Scalar) -> Pieces | None:
    """Return the pieces of the URL that `scalar` holds; None where it is no URL."""
    text, placeholders = _with_userinfo_as_data(scalar)
    match = _URL.fullmatch(text)
    if match is None:
        return None
    path = match.span("path") if match["host"] else _NOWHERE
    hidden = [path, match.span("userinfo"), match.span("query"), match.span("fragment")]
    return Pieces(
        **{name: piece or "" for name, piece in match.groupdict().items()},
        is_path_from_outside=any(_overlap(span, path) for span in placeholders),
        parts_from_outside=tuple(
            part
            for part, span in zip(scalar.interpolated(), placeholders, strict=True)
            if any(_overlap(span, each) for each in hidden)
        ),
    )


def _with_decoded(text: str) -> tuple[str, str]:
    return text, unquote(text)


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _with_userinfo_as_data(scalar: Scalar) -> tuple[str, list[Span]]:
    """Return the URL's text and where what came from outside stands in it: percent-encoded in the userinfo.

    Where the userinfo ends is decided on the text as written, in which every placeholder is one opaque
    character: so that no `@` or `/` of a password can end it.
    """
    template = "".join(_OPAQUE if part.is_interpolated else part.text for part in scalar.parts)
    userinfo = _USERINFO.match(template)
    start, end = userinfo.span("userinfo") if userinfo else _NOWHERE
    position, text, spans = 0, "", []
    for part in scalar.parts:
        is_data = part.is_interpolated and start <= position < end
        piece = quote(part.text, safe="") if is_data else part.text
        if part.is_interpolated and part.text:
            spans.append((len(text), len(text) + len(piece)))
        position += 1 if part.is_interpolated else len(part.text)
        text += piece
    return text, spans


_NOWHERE: Final = (-1, -1)
_OPAQUE: Final = "\ufffc"
_USERINFO: Final = re.compile(r"[^:]*://(?P<userinfo>[^/?#]*)@")
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?P<userinfo>[^/?#]*)@)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:/?#@\[\]]*)(?::(?P<port>[0-9]{0,9}))?"
    r"(?P<path>(?:/[^?#]*)?)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
