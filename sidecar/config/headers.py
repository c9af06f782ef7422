"""Headers that the configuration adds to a request, and tokens in them: their values are never shown."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final

from sidecar.config.interpolate import Scalar
from sidecar.config.kinds.kind import Schema
from sidecar.config.kinds.secret import Secret, SecretKind
from sidecar.config.problems import Mistake, quoted

NOT_YOURS: Final[Mapping[str, str]] = {
    "connection": "it is always close",
    "content-length": "it follows from the body",
    "transfer-encoding": "it follows from the body",
}
"""Headers that no configuration sets, and why."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CREDENTIALS: Final = re.compile(r"(?:apikey|basic|bearer|digest|token)\s+(\S.*)", re.IGNORECASE)


class HeaderKind:
    """The value of a header to send, never shown."""

    def parse(self, scalar: Scalar) -> Secret:
        """Return the value behind stars."""
        if re.search(r"[\r\n\0]", scalar.text):
            raise Mistake("holds a line break, which would begin another header; remove it")
        return Secret(scalar.text)

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield credentials and what came from outside: a header `https` shall not blot out every URL."""
        credentials = _CREDENTIALS.fullmatch(scalar.text)
        return (*scalar.interpolated(), *(credentials.groups() if credentials else ()))

    def show(self, value: Secret) -> str:
        """Return stars."""
        return str(value)

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {"type": "string", "writeOnly": True}


class TokenKind(SecretKind):
    """A secret that is sent in a header as it stands."""

    def parse(self, scalar: Scalar) -> Secret:
        """Return it behind stars."""
        if not (scalar.text.isascii() and scalar.text.isprintable()):
            raise Mistake("holds a line break or another character that no token has; write the token alone")
        return super().parse(scalar)


Token = Annotated[Secret, TokenKind()]
Headers = dict[str, Annotated[Secret, HeaderKind()]]


def header_rules(headers: Iterable[str], not_yours: Mapping[str, str]) -> Iterator[Mistake]:
    """Yield what is wrong with the names of headers, under the key `headers`."""
    for name in headers:
        if not _NAME.fullmatch(name):
            yield Mistake(f"{quoted(name)} is not the name of a header", key="headers")
        if name.lower() in not_yours:
            yield Mistake(f"{name} cannot be set here: {not_yours[name.lower()]}", key="headers")
