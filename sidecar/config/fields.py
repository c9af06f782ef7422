"""The kinds of a value: each parses a scalar, shows a value back, and describes itself as JSON Schema.

A kind annotates a field: `interval: Duration` is a `float` whose text must carry a unit. What a kind refuses
it says in one sentence, and never with a secret in it.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol, TypeVar, runtime_checkable
from urllib.parse import unquote

from sidecar.config.interpolate import Scalar
from sidecar.config.problems import Mistake, listed, quoted, unknown
from sidecar.config.url import Pieces, take_apart
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
    may_be_blank: bool = True

    def parse(self, scalar: Scalar) -> str:
        """Return the text."""
        if not scalar.text and not self.may_be_empty:
            raise Mistake("is empty; write a text, or leave the key out")
        if scalar.text.isspace() and not self.may_be_blank:
            raise Mistake("is blank; write a text, or leave the key out")
        return scalar.text

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield the pieces that came from outside."""
        return () if self.is_public else scalar.interpolated()

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        if not self.may_be_blank:
            return _text(pattern="\\S")
        return _text() if self.may_be_empty else _text(minLength=1)


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
        return _text(minLength=1, writeOnly=True)


@dataclass(frozen=True, slots=True)
class PatternKind(_Public):
    """A text of a given form."""

    pattern: str
    rule: str
    """What the form is, to end the sentence `'x' is not …`."""

    def parse(self, scalar: Scalar) -> str:
        """Return the text."""
        if not self.matches(scalar.text):
            raise Mistake(f"{shown(scalar)} is not {self.rule}")
        return scalar.text

    def matches(self, text: str) -> bool:
        """Whether `text` has the form."""
        return re.fullmatch(self.pattern, text) is not None

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return _or_placeholder(_text(pattern=f"^(?:{self.pattern})$"))


class HostKind(_Public):
    """A host name or an IP address, without a port."""

    def parse(self, scalar: Scalar) -> str:
        """Return it, without the brackets of an IPv6 address."""
        host = _without_brackets(scalar.text)
        if not _is_host(host):
            raise Mistake(
                f"{shown(scalar)} is not a host; write a host name or an IP address, and no port beside it"
            )
        return host

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return _text(minLength=1)


class FilePathKind(_Public):
    """The absolute path of a file."""

    def parse(self, scalar: Scalar) -> str:
        """Return the path; whether the file exists is for the one who opens it."""
        if not scalar.text.startswith("/"):
            raise Mistake(f"{shown(scalar)} is not an absolute path; write one that begins with a slash")
        return scalar.text

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {"type": "string", "pattern": "^(/|\\$\\{)"}


class RegexKind:
    """A regular expression in Python's syntax; what was put in from outside is kept secret."""

    def parse(self, scalar: Scalar) -> re.Pattern[str]:
        """Return it compiled."""
        if not scalar.text:
            raise Mistake("is empty, which matches everything; write a regular expression")
        try:
            with warnings.catch_warnings(action="ignore"):  # a future Python may read it otherwise
                return re.compile(scalar.text)
        except (re.error, OverflowError, RecursionError) as error:
            why = "" if scalar.is_interpolated else f": {error}"
            raise Mistake(f"{shown(scalar)} is not a regular expression{why}") from error

    def secrets(self, scalar: Scalar) -> Iterable[str]:
        """Yield the pieces that came from outside."""
        return scalar.interpolated()

    def show(self, value: re.Pattern[str]) -> str:
        """Return the expression."""
        return value.pattern

    def describe(self) -> Schema:
        """Return the JSON Schema of the text; an editor's own expressions have another syntax."""
        return _text(minLength=1)


@dataclass(frozen=True, slots=True)
class DurationKind(_Public):
    """Seconds, written with a unit: `500ms`, `10s`, `5m`, `1h`."""

    at_least: float = 0.0
    at_most: float = 24 * 3600.0

    def parse(self, scalar: Scalar) -> float:
        """Return seconds."""
        match = _DURATION.fullmatch(scalar.text)
        if match is None:
            hint = f"; did you mean '{scalar.raw}s'?" if scalar.raw.isdecimal() else ""
            raise Mistake(
                f"{shown(scalar)} is not a duration; write a whole number and one unit, "
                f"such as 500ms, 10s, 5m or 1h{hint}"
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
class SwitchableKind(_Public):
    """A duration, or the word `off`, which is None."""

    span: DurationKind

    def parse(self, scalar: Scalar) -> float | None:
        """Return seconds, or None."""
        return None if scalar.text == "off" else self.span.parse(scalar)

    def show(self, value: float | None) -> str:
        """Return seconds with their unit, or the word."""
        return "off" if value is None else self.span.show(value)

    def describe(self) -> Schema:
        """Return the JSON Schema of the text; editors may take the word for a boolean."""
        return {"anyOf": [{"enum": ["off", False]}, self.span.describe()]}


@dataclass(frozen=True, slots=True)
class IntegerKind(_Public):
    """A whole number in decimal, within bounds; `010` is none, because nobody knows which base was meant."""

    at_least: int = 0
    at_most: int = 2**31 - 1

    def parse(self, scalar: Scalar) -> int:
        """Return the number."""
        if not _INTEGER.fullmatch(scalar.text):
            has_zeros = scalar.raw.startswith("0") and scalar.raw.isdecimal()
            hint = "; leave the leading zeros out" if has_zeros else ""
            raise Mistake(
                f"{shown(scalar)} is not a whole number from {self.at_least} to {self.at_most}{hint}"
            )
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
    """One word of a closed set; where it `may_be_none`, the word none is None."""

    choices: type[StrEnum]
    may_be_none: bool = False

    def parse(self, scalar: Scalar) -> StrEnum | None:
        """Return the member."""
        if scalar.text not in self._words():
            raise Mistake(unknown("choice", scalar.raw, self._words()))
        return None if self.may_be_none and scalar.text == "none" else self.choices(scalar.text)

    def describe(self) -> Schema:
        """Return the JSON Schema of the word."""
        return _or_placeholder({"enum": self._words()})

    def _words(self) -> list[str]:
        return [*(choice.value for choice in self.choices), *(["none"] if self.may_be_none else [])]


@dataclass(frozen=True, slots=True)
class UrlKind(_Shown):
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
        scheme, host = pieces.scheme.lower(), _without_brackets(pieces.host)
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
        if host and not _is_host(host):
            yield "has no valid host; write a host name or an IP address behind the ://"
        if pieces.port and not 1 <= int(pieces.port) <= 65535:
            yield "has a port out of range; a port is a whole number from 1 to 65535"

    def _forms(self) -> str:
        return listed(f"{scheme}://…" for scheme in self.schemes)


def shown(scalar: Scalar) -> str:
    """Return the scalar as it stands in the file, quoted and without a URL's userinfo."""
    return quoted(scalar.raw)


def _text(**rules: Any) -> Schema:
    """Return the JSON Schema of a text, which need not be quoted where YAML sees a number or a boolean."""
    return {"type": ["string", "number", "boolean"], **rules}


def _or_placeholder(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "string", "pattern": "\\$\\{"}]}


def _boolean_hint(text: str) -> str:
    meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
    found = meant.get(text.lower()) or (text.lower() if text.lower() in ("true", "false") else None)
    return f"; did you mean {found!r}?" if found else ""


def _without_brackets(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") and ":" in host else host


def _is_host(host: str) -> bool:
    address, has_zone, zone = host.partition("%")
    if is_literal(address):
        return not has_zone or (":" in address and _ZONE.fullmatch(zone) is not None)
    return _HOSTNAME.fullmatch(host) is not None and not _ENDS_IN_NUMBER.search(host)


_HOW_TO_WRITE_PASSWORDS: Final = (
    "percent-encode : @ / ? # % in a password, or put it in as it is with ${NAME} or ${file:/path}"
)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>ms|s|m|h)")
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,17}")
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOSTNAME: Final = re.compile(rf"(?=.{{1,253}}\.?$){_LABEL}(?:\.{_LABEL})*\.?")
_ENDS_IN_NUMBER: Final = re.compile(r"(?:^|\.)[0-9]+\.?$")
"""Such as 10.0.0.256: an address that is none, never a name (RFC 1123, section 2.1)."""
_ZONE: Final = re.compile(r"[A-Za-z0-9_.-]+")
_BARE_IPV6: Final = re.compile(r"://[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:[/?#]|$)")


Text = Annotated[str, TextKind()]
"""A text that may hold a secret from outside: a header's value, a word of a command."""
Label = Annotated[str, TextKind(is_public=True)]
"""A text that may be shown to anybody: a bucket, a region, a description."""
Identity = Annotated[str, TextKind(is_public=True, may_be_blank=False)]
"""A text that tells one thing from another, and may be shown to anybody: a service, an environment."""
SecretText = Annotated[Secret, SecretKind()]
Regex = Annotated[re.Pattern[str], RegexKind()]
Duration = Annotated[float, DurationKind()]
Span = Annotated[float, DurationKind(at_least=0.05)]
"""A duration that cannot be nothing: an interval, a deadline."""
SwitchableSpan = Annotated[float | None, SwitchableKind(DurationKind(at_least=0.05))]
Count = Annotated[int, IntegerKind(at_least=1, at_most=1000)]
ConnectionLimit = Annotated[int, IntegerKind(at_least=16, at_most=65536)]
ByteLimit = Annotated[int, IntegerKind(at_least=4096, at_most=1048576)]
Port = Annotated[int, IntegerKind(at_least=1, at_most=65535)]
NAME: Final = PatternKind(
    r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    "a DNS label; write at most 63 lower-case letters, digits and dashes, such as 'session-store'",
)
Name = Annotated[str, NAME]
Host = Annotated[str, HostKind()]
REVISION_LIMIT: Final = 200
"""Characters."""
Revision = Annotated[
    str,
    PatternKind(
        rf"[!-~]{{1,{REVISION_LIMIT}}}",
        f"a revision; write at most {REVISION_LIMIT} letters, digits and signs, without blanks",
    ),
]
"""What a header and a metric's label can carry: a git SHA, an image's tag."""
FilePath = Annotated[str, FilePathKind()]
"""The absolute path of a file; a reload watches the files that a configuration names."""
OutputPath = Annotated[str, PatternKind(r"/.+", "an absolute path; write one that begins with a slash")]
"""The absolute path of a file that we write; no reload watches it."""
