"""Check types of the tests' own, and a way to read a configuration in one line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from textwrap import dedent
from typing import Annotated, Any, Final

from yaml.nodes import Node

from sidecar.config.check import CheckConfig, CheckType, TlsConfig, UrlCheckConfig, option
from sidecar.config.document import compose
from sidecar.config.fields import Count, FilePath, Host, Regex, SecretText, Span, Text
from sidecar.config.interpolate import Outside, Scalar, interpolate
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.problems import ConfigError, Mistake
from sidecar.config.reader import Reader
from sidecar.config.shape import OneOrMany
from sidecar.config.source import Source
from sidecar.core.check import Check

NO_DURATION: Final = "'x' is not a duration; write a whole number and one unit, such as 500ms, 10s, 5m or 1h"
NO_NAME: Final = (
    "is not a DNS label; write at most 63 lower-case letters, digits and dashes, such as 'session-store'"
)


class Mode(StrEnum):
    """How deep to ask."""

    SHALLOW = "shallow"
    DEEP = "deep"


@dataclass(frozen=True, kw_only=True, repr=False)
class PingConfig(CheckConfig):
    """A key of every shape."""

    host: Host = option("Whom to ask.", default="localhost")
    mode: Mode = option("How deep.", default=Mode.SHALLOW)
    hops: int = option("How far.", default=1)
    tries: Count = option("How often.", default=1)
    words: Annotated[tuple[Text, ...], OneOrMany()] = option("What to say.", default=())
    extras: dict[str, Text] | None = option("What to add.", default=None)
    note: str | None = option("What to write down.", default=None)
    pattern: Regex | None = option("What to hear.", default=None)
    token: SecretText | None = option("Who we are.", default=None)
    token_file: FilePath | None = option("The same, in a file.", default=None)
    tls: TlsConfig | None = option("TLS settings.", default=None)
    loud: bool = option("Whether to shout.", default=False)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host."""
        return (self.host,)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        if self.loud and self.mode is Mode.SHALLOW:
            yield Mistake("needs mode: deep beside it", key="loud")
        if self.timeout > self.interval:
            yield Mistake("is asked more often than it may take to answer")


@dataclass(frozen=True, kw_only=True, repr=False)
class StoreConfig(UrlCheckConfig):
    """A check with a URL, and with defaults of its own."""

    url: Annotated[Url, UrlKind((("store", 7000), ("stores", 7001), ("unix", None)))] = option("Where it is.")
    interval: Span = option("Seldom.", default=300.0)


def _build(_config: CheckConfig) -> Check:
    raise NotImplementedError("configurations are read here, and no check is built")


@dataclass(frozen=True)
class Types:
    """Finds the types above."""

    known: Mapping[str, CheckType[Any]]

    def find(self, name: str) -> CheckType[Any] | None:
        """Return the type of this name."""
        return self.known.get(name)

    def names(self) -> Sequence[str]:
        """Return all names."""
        return sorted(self.known)


TYPES: Final = Types(
    {
        "ping": CheckType(config=PingConfig, build=_build),
        "store": CheckType(config=StoreConfig, build=_build, holds_connection=True),
    }
)


def read(text: str, **environ: str) -> Config:
    """Return the configuration that `text` holds."""
    return load(Source("c.yaml", dedent(text).encode()), TYPES, environ)


def problems(text: str | bytes, **environ: str) -> list[str]:
    """Return what `text` is told to be wrong with it; nothing if it is accepted."""
    content = text if isinstance(text, bytes) else dedent(text).encode()
    try:
        load(Source("c.yaml", content), TYPES, environ)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def scalar(raw: str, **environ: str) -> Scalar:
    """Return a scalar as it comes out of a file."""
    return interpolate(raw, Outside(environ))


def reader(**environ: str) -> Reader:
    """Return a reader of a document."""
    return Reader("c.yaml", Outside(environ))


def node(text: str) -> Node:
    """Return the root node of a document."""
    root = compose("c.yaml", dedent(text).encode())
    assert root is not None
    return root
