"""The kinds of a value: each parses a scalar, shows a value back, and describes itself as JSON Schema.

A kind annotates a field: `interval: Duration` is a `float` whose text must carry a unit. What a kind refuses
it says in one sentence, and never with a secret in it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol, TypeVar, runtime_checkable
from urllib.parse import quote, unquote

from sidecar.config.interpolate import Part, Scalar
from sidecar.config.problems import Mistake, listed, quoted, unknown
from sidecar.support.net import is_literal, show_address
from sidecar.support.text import STARS, show_duration

Schema = dict[str, Any]
V_co = TypeVar("V_co", covariant=True)


@runtime_checkable
class Kind(Protocol[V_co]):
    """How the text of one scalar becomes a value."""

    def parse(self, scalar: Scalar) -> V_co:
        """Return the value.

        Raises:
            Mistake: the text breaks the kind's rule.
        """
        ...

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield what of the text must never be shown."""
        ...

    def show(self, value: Any) -> str:
        """Return a value as the configuration would write it."""
        ...

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        ...


class Secret:
    """A text that shows itself as stars. Whoever needs it says so: `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return STARS

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


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
    """Whether part of the path came from outside the file, as a webhook's does."""

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


class _Shown:
    """A kind whose values are written as they read."""

    def show(self, value: Any) -> str:
        """Return the value's own text."""
        return str(value)


class _Public(_Shown):
    """A kind whose values may be shown wherever they come from: a place, a number, a choice."""

    def secrets(self, scalar: Scalar) -> Iterable[str]:  # noqa: ARG002 - a kind's signature
        """Yield nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class TextKind(_Shown):
    """Any text; what was put in from outside is kept secret unless the text `is_public`."""

    is_public: bool = False
    may_be_empty: bool = False

    def parse(self, scalar: Scalar) -> str:
        """Return the text."""
        if not scalar.text and not self.may_be_empty:
            raise Mistake("is empty; write a text, or leave the key out")
        return scalar.text

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield the pieces that came from outside."""
        return () if self.is_public else scalar.interpolated()

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {"type": "string"} if self.may_be_empty else {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class SecretKind(_Shown):
    """A text that nobody may see."""

    def parse(self, scalar: Scalar) -> Secret:
        """Return the text behind stars."""
        if not scalar.text:
            raise Mistake(
                "is empty; write a secret such as ${file:/run/secrets/password}, or leave the key out"
            )
        return Secret(scalar.text)

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield all of it."""
        return (scalar.text,)

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {"type": "string", "minLength": 1, "writeOnly": True}


@dataclass(frozen=True, slots=True)
class PatternKind(_Public):
    """A text of a given form."""

    pattern: str
    rule: str
    """What the form is, to end the sentence `'x' is not …`."""

    def parse(self, scalar: Scalar) -> str:
        """Return the text."""
        if not re.fullmatch(self.pattern, scalar.text):
            raise Mistake(f"{shown(scalar)} is not {self.rule}")
        return scalar.text

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return _or_placeholder({"type": "string", "pattern": f"^(?:{self.pattern})$"})


class HostKind(_Public):
    """A host name or an IP address, without a port."""

    def parse(self, scalar: Scalar) -> str:
        """Return it, without the brackets of an IPv6 address."""
        host = scalar.text.strip("[]")
        if not _is_host(host):
            raise Mistake(
                f"{shown(scalar)} is not a host; write a host name or an IP address, the port apart"
            )
        return host

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {"type": "string", "minLength": 1}


class FilePathKind(_Public):
    """The absolute path of a file."""

    def parse(self, scalar: Scalar) -> str:
        """Return the path; whether the file exists is for the one who opens it."""
        if not scalar.text.startswith("/") or "\0" in scalar.text:
            raise Mistake(f"{shown(scalar)} is not an absolute path; write one that begins with a slash")
        return scalar.text

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {"type": "string", "pattern": "^(/|\\$\\{)"}


class RegexKind(_Public):
    """A regular expression in Python's syntax."""

    def parse(self, scalar: Scalar) -> re.Pattern[str]:
        """Return it compiled."""
        try:
            return re.compile(scalar.text)
        except re.error as error:
            raise Mistake(f"{shown(scalar)} is not a regular expression: {error}") from error

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {"type": "string", "format": "regex"}


@dataclass(frozen=True, slots=True)
class DurationKind(_Public):
    """Seconds, written with a unit: `500ms`, `10s`, `5m`, `1h`."""

    at_least: float = 0.0
    at_most: float = 24 * 3600.0

    def parse(self, scalar: Scalar) -> float:
        """Return seconds."""
        match = _DURATION.fullmatch(scalar.text)
        if match is None:
            raise Mistake(
                f"{shown(scalar)} is not a duration; write a number and a unit, such as 500ms, 10s, 5m or 1h"
            )
        seconds = int(match["number"]) * _SECONDS[match["unit"]]
        if not self.at_least <= seconds <= self.at_most:
            span = f"from {show_duration(self.at_least)} to {show_duration(self.at_most)}"
            raise Mistake(f"{shown(scalar)} is out of range; write a duration {span}")
        return seconds

    def show(self, value: float) -> str:
        """Return seconds with their unit."""
        return show_duration(value)

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {
            "type": "string",
            "pattern": "^[0-9]{1,9}(ms|s|m|h)$|\\$\\{",
            "examples": ["500ms", "10s", "5m"],
        }


@dataclass(frozen=True, slots=True)
class IntegerKind(_Public):
    """A whole number in decimal, within bounds; `010` is none, because nobody knows which base was meant."""

    at_least: int = 0
    at_most: int = 2**31 - 1

    def parse(self, scalar: Scalar) -> int:
        """Return the number."""
        if not _INTEGER.fullmatch(scalar.text):
            raise Mistake(f"{shown(scalar)} is not a whole number from {self.at_least} to {self.at_most}")
        number = int(scalar.text)
        if not self.at_least <= number <= self.at_most:
            raise Mistake(
                f"{shown(scalar)} is out of range; write a number from {self.at_least} to {self.at_most}"
            )
        return number

    def describe(self) -> Schema:
        """Return the JSON Schema of the number."""
        return _or_placeholder({"type": "integer", "minimum": self.at_least, "maximum": self.at_most})


class BooleanKind(_Public):
    """`true` or `false`: YAML's other spellings mean other things to other readers."""

    def parse(self, scalar: Scalar) -> bool:
        """Return the truth."""
        if scalar.text not in ("true", "false"):
            raise Mistake(f"{shown(scalar)} is neither true nor false{_boolean_hint(scalar.text)}")
        return scalar.text == "true"

    def show(self, value: bool) -> str:
        """Return `true` or `false`."""
        return str(value).lower()

    def describe(self) -> Schema:
        """Return the JSON Schema."""
        return _or_placeholder({"type": "boolean"})


@dataclass(frozen=True, slots=True)
class ChoiceKind(_Public):
    """One word of a closed set."""

    choices: type[StrEnum]

    def parse(self, scalar: Scalar) -> StrEnum:
        """Return the member."""
        values = [choice.value for choice in self.choices]
        if scalar.text not in values:
            raise Mistake(unknown("choice", shown_text(scalar), values))
        return self.choices(scalar.text)

    def describe(self) -> Schema:
        """Return the JSON Schema of the word."""
        return _or_placeholder({"enum": [choice.value for choice in self.choices]})


@dataclass(frozen=True, slots=True)
class UrlKind(_Shown):
    """A URL of certain schemes, as they stand in `default_ports` with the port that each implies.

    Where a placeholder stands inside the userinfo its value is data: a password may hold any character.
    A scheme without a network port (`unix`) has a path instead of a host.
    """

    default_ports: tuple[tuple[str, int | None], ...]

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes that are known."""
        return tuple(scheme for scheme, _ in self.default_ports)

    def parse(self, scalar: Scalar) -> Url:
        """Return the pieces."""
        text = _with_userinfo_as_data(scalar)
        scheme, separator, rest = text.partition("://")
        scheme = scheme.lower()
        if not separator:
            raise Mistake(
                f"{shown(scalar)} is not a URL; write {listed(f'{known}://…' for known in self.schemes)}"
            )
        if scheme not in self.schemes:
            raise Mistake(unknown("URL scheme", scheme, self.schemes))
        return self._from_pieces(scheme, rest, scalar)

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield the userinfo, the query, and what else came from outside but for the host."""
        text = _with_userinfo_as_data(scalar)
        match = _URL.fullmatch(text.partition("://")[2])
        if match is None:
            yield scalar.text
            return
        userinfo = match["userinfo"] or ""
        username, has_password, password = userinfo.partition(":")
        yield unquote(password if has_password else username)
        yield from (
            value for _, _, value in (pair.partition("=") for pair in (match["query"] or "").split("&"))
        )
        yield from (part for part in scalar.interpolated() if part in match["path"] and part.strip("/"))

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {"type": "string", "pattern": f"^({'|'.join(self.schemes)})://|\\$\\{{"}

    def _from_pieces(self, scheme: str, rest: str, scalar: Scalar) -> Url:
        match = _URL.fullmatch(rest)
        if match is None:
            raise Mistake(f"{shown(scalar)} is not a URL{_HOW_TO_WRITE_PASSWORDS}")
        host, port = match["host"].strip("[]"), match["port"]
        default_port = dict(self.default_ports)[scheme]
        if not host and default_port is not None:
            raise Mistake(f"{shown(scalar)} names no host")
        if port and not 1 <= int(port) <= 65535:
            raise Mistake(
                f"{shown(scalar)} has a port out of range; a port is a whole number from 1 to 65535"
            )
        if host and not _is_host(host):
            raise Mistake(f"{shown(scalar)} has a host that is none{_HOW_TO_WRITE_PASSWORDS}")
        username, has_password, password = (match["userinfo"] or "").partition(":")
        return Url(
            scheme=scheme,
            host=host,
            port=int(port) if port else default_port,
            username=unquote(username) or None,
            password=Secret(unquote(password)) if has_password and password else None,
            path=match["path"],
            query=match["query"] or "",
            hides_path=any(part in match["path"] and part.strip("/") for part in scalar.interpolated()),
        )


def shown(scalar: Scalar) -> str:
    """Return the scalar as it stands in the file, quoted and without a URL's userinfo."""
    return quoted(shown_text(scalar))


def shown_text(scalar: Scalar) -> str:
    """Return the scalar as it stands in the file, without what may be a URL's userinfo."""
    return _MAYBE_USERINFO.sub(f"{STARS}@", scalar.raw)


def _or_placeholder(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "string", "pattern": "\\$\\{"}]}


def _boolean_hint(text: str) -> str:
    meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
    found = meant.get(text.lower()) or (text.lower() if text.lower() in ("true", "false") else None)
    return f"; did you mean {found!r}?" if found else ""


def _is_host(host: str) -> bool:
    return is_literal(host) or _HOSTNAME.fullmatch(host) is not None


def _with_userinfo_as_data(scalar: Scalar) -> str:
    """Return the URL's text, placeholders inside its userinfo percent-encoded.

    Where the userinfo ends is decided on the text as written, in which every placeholder is one opaque
    character: so that no `@` or `/` of a password can end it.
    """
    if len(scalar.parts) == 1:
        return scalar.text
    template = "".join(_OPAQUE if part.is_interpolated else part.text for part in scalar.parts)
    start, end = _userinfo_span(template)
    position, pieces = 0, []
    for part in scalar.parts:
        pieces.append(quote(part.text, safe="") if _is_data(part, start, position, end) else part.text)
        position += 1 if part.is_interpolated else len(part.text)
    return "".join(pieces)


def _is_data(part: Part, start: int, position: int, end: int) -> bool:
    return part.is_interpolated and start <= position < end


def _userinfo_span(template: str) -> tuple[int, int]:
    scheme_end = template.find("://")
    if scheme_end < 0:
        return 0, 0
    start = scheme_end + 3
    authority = re.match(r"[^/?#]*", template[start:])
    at = authority[0].rfind("@") if authority else -1
    return (start, start + at) if at >= 0 else (0, 0)


_MAYBE_USERINFO: Final = re.compile(r"(?<=://).*@", re.DOTALL)
_OPAQUE: Final = "\ufffc"
_HOW_TO_WRITE_PASSWORDS: Final = (
    "; percent-encode the characters : @ / ? # % of a password, or use the keys username and password"
)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>ms|s|m|h)", re.ASCII)
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_HOSTNAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_URL: Final = re.compile(
    r"(?:(?P<userinfo>[^/?#]*)@)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:/?#@\[\]]*)(?::(?P<port>[0-9]{1,5})?)?"
    r"(?P<path>(?:/[^?#]*)?)(?:\?(?P<query>[^#]*))?(?:#.*)?"
)


Text = Annotated[str, TextKind()]
"""A text that may hold a secret from outside: a header's value, a word of a command."""
Label = Annotated[str, TextKind(is_public=True)]
"""A text that may be shown to anybody: a bucket, a region, a description."""
SecretText = Annotated[Secret, SecretKind()]
Regex = Annotated[re.Pattern[str], RegexKind()]
Duration = Annotated[float, DurationKind()]
Span = Annotated[float, DurationKind(at_least=0.05)]
"""A duration that cannot be nothing: an interval, a deadline."""
Count = Annotated[int, IntegerKind(at_least=1, at_most=1000)]
Port = Annotated[int, IntegerKind(at_least=1, at_most=65535)]
Name = Annotated[
    str,
    PatternKind(
        r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
        "a DNS label; write at most 63 lower-case letters, digits and dashes, such as 'session-store'",
    ),
]
Host = Annotated[str, HostKind()]
FilePath = Annotated[str, FilePathKind()]
"""The absolute path of a file; a reload watches the files that a configuration names."""
