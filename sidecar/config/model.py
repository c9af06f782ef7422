"""The sections of a configuration beside its checks, and the whole."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from sidecar.config.check import CheckConfig, option
from sidecar.config.deploy import DeployConfig
from sidecar.config.fields import (
    ByteLimit,
    ConnectionLimit,
    Count,
    Duration,
    Host,
    Name,
    OutputPath,
    Port,
    Span,
    SwitchableSpan,
)
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.problems import Mistake, Place, Problem
from sidecar.support.net import is_loopback


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


SOCKET_PATH_LIMIT: Final = 107
"""Bytes of a unix socket's path (unix(7): 108, the last of which is a zero)."""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where we listen, and what a client may cost: the bounds hold for each of the two listeners."""

    host: Host | None = option(
        "Address of the main listener; all addresses of all families if left out.", default=None
    )
    port: Port = option("Port of the main listener: probes and metrics.", default=17808)
    admin_port: Port = option("Port of the admin listener, on loopback only.", default=17809)
    admin_socket: OutputPath | None = option(
        "Unix socket of the admin listener, in place of its port: for pods that share their node's network.",
        default=None,
    )
    max_connections: ConnectionLimit = option(
        "Connections that a listener keeps, at most a quarter of the file descriptors that the process may "
        "open; one more closes the one that was without a request for longest.",
        default=1000,
    )
    max_request_bytes: ByteLimit = option("Size of a request, head or body.", default=16_384)
    max_unread: Count = option(
        "Clients that may be slow in reading an answer at one time; one more cuts off the first.", default=16
    )
    read_timeout: Span = option("Time for a request to arrive, head or body.", default=10.0)
    write_timeout: Span = option("Time for a client to read an answer.", default=10.0)
    idle_timeout: Span = option("Time that a connection is kept without a request.", default=75.0)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if self.port == self.admin_port and self.admin_socket is None:
            yield Mistake(f"is the same as port, {self.port}; write another one", key="admin_port")
        if len((self.admin_socket or "").encode()) > SOCKET_PATH_LIMIT:
            yield Mistake(
                f"is longer than the {SOCKET_PATH_LIMIT} bytes that a unix socket's path may have; "
                "write a shorter one",
                key="admin_socket",
            )


class OnDeadline(StrEnum):
    """What to do when the startup deadline passes with a check that has not been up."""

    WAIT = "wait"
    EXIT = "exit"


@dataclass(frozen=True, kw_only=True)
class StartupConfig:
    """How long a start may take."""

    deadline: Span = option("Time for every check that gates startup to have been up.", default=300.0)
    on_deadline: OnDeadline = option(
        "What follows when the deadline has passed: `wait` logs it and goes on, `exit` ends the process "
        "with code 3.",
        default=OnDeadline.WAIT,
    )
    fail_fast: SwitchableSpan = option(
        "End the process with code 3 once a check that gates startup has failed so long for one reason that "
        "waiting does not cure; `off` if left out.",
        default=None,
    )
    latch_file: OutputPath | None = option(
        "File on an emptyDir that remembers what has been up, so that a restart of our container does not "
        "begin anew.",
        default=None,
    )


class DrainReadyz(StrEnum):
    """What `/readyz` answers while draining."""

    FAIL = "fail"
    KEEP = "keep"


class Awaited(StrEnum):
    """The status that a drain waits for."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, kw_only=True)
class UntilConfig:
    """A check whose status ends a drain."""

    check: Name = option("Name of the check.")
    status: Awaited = option("The status to wait for: `up` or `down`.", default=Awaited.UP)


@dataclass(frozen=True, kw_only=True)
class NotifyConfig:
    """How the app is told to stop taking work: one of the two."""

    file: OutputPath | None = option("File to create; not with `post`.", default=None)
    post: Annotated[Url, UrlKind((("http", 80),))] | None = option(
        "URL on loopback to send a POST to; not with `file`.", default=None
    )

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if (self.file is None) is (self.post is None):
            yield Mistake("needs either the key file or the key post")
        if self.post is not None and not is_loopback(self.post.host):
            yield Mistake("is outside the pod; write a URL on loopback, where the app listens", key="post")


@dataclass(frozen=True, kw_only=True)
class DrainConfig:
    """How we end: serving on until the endpoints know, and until work is done."""

    delay: Duration = option("Time to serve on after a drain began.", default=5.0)
    until: tuple[UntilConfig, ...] = option("Checks whose status a drain waits for as well.", default=())
    deadline: Span = option("Time after which `until` is no longer waited for.", default=25.0)
    readyz: DrainReadyz = option(
        "Whether `/readyz` fails while draining: `fail`, or `keep` for proxies that fall back to "
        "terminating endpoints.",
        default=DrainReadyz.FAIL,
    )
    notify: NotifyConfig | None = option(
        "How to tell the app when a drain begins: by either `file` or `post`.", default=None
    )


@dataclass(frozen=True, kw_only=True)
class LogConfig:
    """What is logged, and how."""

    level: LogLevel = option("The least severe lines to log.", default=LogLevel.INFO)
    format: LogFormat = option(
        "`text`, `json`, or `auto`: text on a terminal and JSON elsewhere.", default=LogFormat.AUTO
    )
    termination_file: OutputPath = option(
        "File in which we leave the failing checks for `kubectl describe pod`, if it exists: the container's "
        "`terminationMessagePath`.",
        default="/dev/termination-log",
    )


@dataclass(frozen=True, kw_only=True)
class KubernetesConfig:
    """What we tell the cluster's API, which we ask nothing of as long as this is left out."""

    readiness_events: bool = option(
        "Write a Kubernetes Event on our own pod for each change of the readiness verdict; needs "
        "`k8s/events`.",
        default=False,
    )
    service_account: OutputPath = option(
        "Folder with the token and `ca.crt` of the pod's service account.",
        default="/var/run/secrets/kubernetes.io/serviceaccount",
    )


@dataclass(frozen=True, kw_only=True)
class Sections:
    """The top-level keys beside `checks` and `defaults`."""

    server: ServerConfig = option("The listeners.", default=ServerConfig())
    startup: StartupConfig = option("The start.", default=StartupConfig())
    drain: DrainConfig = option("The end.", default=DrainConfig())
    deploy: DeployConfig | None = option("Which revision we are, and who hears of it.", default=None)
    log: LogConfig = option("The log.", default=LogConfig())
    kubernetes: KubernetesConfig = option("The cluster.", default=KubernetesConfig())
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
    files_of: Mapping[str, frozenset[Path]] = field(default_factory=dict)
    """The files that each check names, of those that name any."""
    advice: tuple[Problem, ...] = ()
    """What is allowed and worth a second thought."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where each check stands."""
    section_places: Mapping[str, Place] = field(default_factory=dict, compare=False)
    """Where each top-level key stands that was written, and as `deploy.claim` each inside; two files that say
    the same are equal."""
