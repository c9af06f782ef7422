"""The sections of a configuration beside its checks, and the whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from sidecar.config.check import CheckConfig, option
from sidecar.config.fields import Host, Port, Span
from sidecar.config.problems import Mistake, Place, Problem


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a log line looks; `auto` is text on a terminal and JSON elsewhere."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where we listen."""

    host: Host | None = option(
        "Address of the main listener; all addresses of all families if left out.", default=None
    )
    port: Port = option("Port of the main listener: probes and metrics.", default=17808)
    admin_port: Port = option("Port of the admin listener, on loopback only.", default=17809)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if self.port == self.admin_port:
            yield Mistake(f"is the same as port, {self.port}; write another one", key="admin_port")


@dataclass(frozen=True, kw_only=True)
class StartupConfig:
    """How long a start may take."""

    deadline: Span = option("Time for every check that gates startup to have been up.", default=300.0)


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    """What is logged, and how."""

    level: LogLevel = option("The least severe lines to log.", default=LogLevel.INFO)
    format: LogFormat = option(
        "`text`, `json`, or `auto`: text on a terminal and JSON elsewhere.", default=LogFormat.AUTO
    )


@dataclass(frozen=True, kw_only=True)
class Sections:
    """The top-level keys beside `checks` and `defaults`."""

    server: ServerConfig = option("The listeners.", default=ServerConfig())
    startup: StartupConfig = option("The start.", default=StartupConfig())
    log: LogConfig = option("The log.", default=LogConfig())
    ungated: bool = option(
        "Allow a configuration in which nothing gates startup or readiness.", default=False
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """A configuration that was read without a problem."""

    checks: tuple[CheckConfig, ...]
    sections: Sections = Sections()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Every text that must never be shown."""
    files: frozenset[Path] = frozenset()
    """Every file that the configuration names."""
    advice: tuple[Problem, ...] = ()
    """What is allowed and worth a second thought."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where each check stands."""
