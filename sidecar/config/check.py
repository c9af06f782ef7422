"""The keys that every check has, and what makes a check type."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from sidecar.config.fields import Count, Duration, FilePath, Host, Label, Name, SecretText, Span, Text
from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url
from sidecar.config.problems import Mistake
from sidecar.core.check import Check, Reason
from sidecar.core.verdict import Gate
from sidecar.support.driver import Driver
from sidecar.support.net import is_loopback


def option(doc: str, *, default: Any = MISSING) -> Any:
    """Return a dataclass field that is a key of the configuration, with its documentation.

    Without a `default` the key is required.
    """
    return field(default=default, kw_only=True, metadata={"doc": doc})


@dataclass(frozen=True, kw_only=True)
class TlsConfig:
    """TLS towards a dependency, the same block for every type that has TLS."""

    ca: FilePath | None = option("File with the authorities to trust instead of the system's.", default=None)
    cert: FilePath | None = option("File with our own certificate chain.", default=None)
    key: FilePath | None = option("File with the key of `cert`.", default=None)
    server_name: Host | None = option(
        "The name to verify and to send as SNI instead of the host's.", default=None
    )
    insecure: bool = option("Verify nothing. For a test bench only.", default=False)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if self.key is not None and self.cert is None:
            yield Mistake("needs the key cert beside it: a key proves a certificate", key="key")
        if self.insecure and self.ca is not None:
            yield Mistake(
                "verifies nothing, so that the key ca has no use; remove one of both", key="insecure"
            )


@dataclass(frozen=True, kw_only=True, repr=False)
class CheckConfig:
    """One configured check: the keys that every type has. A type adds its own in a subclass.

    A default that a subclass gives to one of these keys goes before the `defaults` block.
    """

    name: Name = option("Unique name, a DNS label: it is the check's name in probes, metrics and logs.")
    type: Label = option("The check type.")
    gates: frozenset[Gate] = option(
        "Which probes the check can hold back: `startup`, `readiness`, `liveness`, a list, or `none`.",
        default=frozenset({Gate.READINESS}),
    )
    interval: Span = option("Time from one run to the next while up.", default=10.0)
    timeout: Span = option("Deadline of one run, connecting included.", default=2.0)
    initial_delay: Duration = option("Time before the first run.", default=0.0)
    failure_threshold: Count = option("How many failures in a row turn the check down.", default=3)
    success_threshold: Count = option("How many successes in a row turn the check up.", default=1)
    description: Label = option("A sentence for people.", default="")

    @property
    def target(self) -> str:
        """What the check asks, for messages: never a secret."""
        return self.name

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the check connects to; none for a check inside the pod."""
        return ()

    @property
    def is_about_file(self) -> bool:
        """Whether the check looks at a file, which another container of the pod may be the one to write."""
        return False

    @property
    def keeps_connection(self) -> bool:
        """Whether a check whose type can hold a connection from run to run does so."""
        return True

    @property
    def is_remote(self) -> bool:
        """Whether the check asks anything outside its pod."""
        return any(not is_loopback(host) for host in self.hosts)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys of this check."""
        yield from ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


@dataclass(frozen=True, kw_only=True, repr=False)
class Endpoint:
    """What is named by a URL, and how it is reached: a dependency, or a store of our own."""

    url: Url = option("URL of the dependency.")
    username: Text | None = option("User name, instead of one in the URL.", default=None)
    password: SecretText | None = option("Password, instead of one in the URL.", default=None)
    tls: TlsConfig | None = option("TLS settings.", default=None)

    @property
    def credentials(self) -> tuple[str | None, Secret | None]:
        """User name and password, wherever they were written."""
        return self.username or self.url.username, self.password or self.url.password

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if self.username and self.url.username:
            yield Mistake("stands in the URL too; write it once", key="username")
        if self.password and self.url.password:
            yield Mistake("stands in the URL too; write it once", key="password")


@dataclass(frozen=True, kw_only=True, repr=False)
class UrlCheckConfig(Endpoint, CheckConfig):
    """A check whose dependency is named by a URL. A subclass narrows `url` to its schemes."""

    @property
    def target(self) -> str:
        """The address."""
        return self.url.address

    @property
    def hosts(self) -> tuple[str, ...]:
        """The URL's host; a socket file has none."""
        return (self.url.host,) if self.url.host else ()

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from CheckConfig.rules(self)
        yield from Endpoint.rules(self)


C = TypeVar("C", bound=CheckConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckType(Generic[C]):
    """A kind of check: how it is configured, and how a configured one is built.

    `build` opens nothing. `drivers` are imported, in a thread, before the first run. A check that is remote
    opens a connection each run, unless it holds one or `opens_connection` is false. `permanent` are the
    reasons that waiting does not cure, as the documentation says: `startup.fail_fast` ends the process then.
    """

    config: type[C]
    build: Callable[[C], Check]
    drivers: tuple[Driver, ...] = ()
    holds_connection: bool = False
    opens_connection: bool = True
    permanent: frozenset[Reason] = frozenset()

    @property
    def documentation(self) -> str:
        """The docstring of the module that defines the type."""
        return (sys.modules[self.config.__module__].__doc__ or "").strip()


class CheckTypes(Protocol):
    """Where check types are found."""

    def find(self, name: str) -> CheckType[Any] | None:
        """Return the type of this name, if there is one."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all types."""
        ...
