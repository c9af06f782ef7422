"""What the rules need to know of a workload: frozen values with their lines, the defaults filled in.

The defaults are those of the API server: k8s.io/kubernetes pkg/apis/{core,apps}/v1/defaults.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from sidecar.config.problems import Place

PORT_DIGITS: Final = 5
"""Of the highest port."""


class Role(StrEnum):
    """Which probe of a container it is; the value is its key in the manifest."""

    STARTUP = "startupProbe"
    READINESS = "readinessProbe"
    LIVENESS = "livenessProbe"


class Means(StrEnum):
    """How the kubelet asks; the value is the key in the manifest."""

    HTTP = "httpGet"
    EXEC = "exec"
    TCP = "tcpSocket"
    GRPC = "grpc"
    SLEEP = "sleep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One way to ask a container, as probes and lifecycle hooks have it."""

    place: Place
    means: Means
    path: str = "/"
    port: str = ""
    """A number, or the name of a port of the container that carries the handler."""
    host: str = ""
    scheme: str = "HTTP"
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A probe of a container; all times are in seconds."""

    role: Role
    place: Place
    handler: Handler
    initial_delay: int = 0
    period: int = 10
    timeout: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3
    grace: int | None = None
    """The probe's own termination grace period."""

    @property
    def fuse(self) -> int:
        """How long it may fail."""
        return self.period * self.failure_threshold

    @property
    def budget(self) -> int:
        """How long a startup probe waits for its first success."""
        return self.initial_delay + self.fuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port that a container declares."""

    place: Place
    number: int
    name: str = ""
    host_port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """An environment variable of a container."""

    place: Place
    name: str
    value: str | None = field(default=None, repr=False)
    """None if it comes from elsewhere: a Secret, a ConfigMap, the pod."""
    pod_field: str = ""
    """The field of the pod that it has, such as `metadata.name`; empty if it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A volume inside a container."""

    place: Place
    volume: str
    path: str
    is_read_only: bool = False
    has_sub_path: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume of a pod; its source is the key that says what it is, such as `emptyDir`."""

    name: str
    source: str
    has_token: bool = False
    """Whether it is projected, and brings the service account's token as its file `token`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Which resources are requested and limited: `cpu`, `memory`."""

    place: Place
    requests: frozenset[str] = frozenset()
    limits: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """A security context, of a container or of the pod. None: it does not say."""

    place: Place
    run_as_non_root: bool | None = None
    run_as_user: int | None = None
    seccomp: str | None = None
    privileged: bool | None = None
    may_escalate: bool | None = None
    dropped: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container of a pod."""

    place: Place
    name: str
    image: str
    resources: Resources
    security: Security
    command: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    is_init: bool = False
    """Whether it stands among the init containers, native sidecars included."""
    restarts_always: bool = False
    probes: Mapping[Role, Probe] = field(default_factory=dict)
    pre_stop: Handler | None = None
    ports: tuple[Port, ...] = ()
    variables: tuple[Variable, ...] = ()
    has_variables_from_elsewhere: bool = False
    """Whether there is an `envFrom`, of which we do not know what it brings."""
    mounts: tuple[Mount, ...] = ()

    @property
    def is_native_sidecar(self) -> bool:
        """Whether it is an init container that runs on beside the app's."""
        return self.is_init and self.restarts_always

    def number_of(self, port: str) -> int | None:
        """Return the number of a port as a handler of this container writes it; None for an unknown name."""
        if port.isdecimal() and len(port) <= PORT_DIGITS:
            return int(port)
        return next((each.number for each in self.ports if each.name == port), None)

    def can_write_to(self, volume: str) -> bool:
        """Whether a volume is mounted, and not read-only."""
        return any(each.volume == volume and not each.is_read_only for each in self.mounts)

    def mount_of(self, path: str) -> Mount | None:
        """Return the mount that holds a file, the innermost of several."""
        holding = [each for each in self.mounts if PurePosixPath(path).is_relative_to(each.path or "/")]
        return max(holding, key=lambda each: len(PurePosixPath(each.path).parts), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod, or the template of one."""

    place: Place
    containers: tuple[Container, ...]
    """In the order in which the kubelet starts them: those of `initContainers` first."""
    security: Security
    resources: Resources
    volumes: tuple[Volume, ...] = ()
    own_names: frozenset[str] = frozenset()
    """Names that `hostAliases` gives to loopback, in lower case."""
    grace: int = 30
    grace_place: Place
    host_network: Place | None = None
    """Where the pod asks for its node's network; None if it does not."""
    refuses_token: bool = False
    """Whether the cluster is told to mount no service account's token of its own accord."""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def source_of(self, mount: Mount) -> str:
        """Return what kind of volume is mounted; empty if the pod has none of the name."""
        return next((each.source for each in self.volumes if each.name == mount.volume), "")

    def may_hold_token(self, mount: Mount) -> bool:
        """Whether a token may be on a volume; only of a projected one we know what it brings."""
        return all(
            each.has_token or each.source != "projected" for each in self.volumes if each.name == mount.volume
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """How a workload replaces its pods."""

    place: Place
    kind: str
    max_unavailable: str = ""
    """As written, a number or a percentage; empty if it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What creates pods, and the pod that it creates."""

    place: Place
    kind: str
    name: str
    pod: Pod
    update: Update
    replicas: int | None = None
    min_ready: int = 0
    """Seconds that a pod has to be ready until it counts as available."""
    progress_deadline: int = 600
    progress_place: Place

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def is_to_complete(self) -> bool:
        """Whether its pods end by themselves."""
        return self.kind in ("Job", "CronJob")
