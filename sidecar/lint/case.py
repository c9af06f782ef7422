"""A case: one configuration and one workload that carries it, and which of the containers is the sidecar."""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from sidecar.config.check import CheckConfig
from sidecar.config.deploy import DeployConfig
from sidecar.config.model import Config
from sidecar.config.problems import Place
from sidecar.core.verdict import Gate
from sidecar.lint.invocation import CHECK, Evidence, evidence_of, invocation_of
from sidecar.lint.pod import Container, Pod, Probe, Role, Workload
from sidecar.support.net import is_literal, is_loopback


class Style(StrEnum):
    """How a pod carries the sidecar."""

    NATIVE = "native sidecar"
    PLAIN = "plain container"
    INIT = "init container"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The sidecar's containers in a pod."""

    sidecar: Container
    """The one that is probed; the init container that runs the checks if none serves."""
    waiters: tuple[Container, ...] = ()
    """Init containers that run `sidecar check`: the next one starts when they have ended."""
    twins: tuple[Container, ...] = ()
    """Others that are the sidecar as well, by all that can be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a rule judges."""

    config: Config
    workload: Workload
    crew: Crew
    holders: frozenset[str] = frozenset()
    """The names of the checks that hold a connection, and so notice at once that it is lost."""
    asking: tuple[str, ...] = ()
    """The keys that have the sidecar ask the cluster's API."""

    @property
    def pod(self) -> Pod:
        """The pod, or its template."""
        return self.workload.pod

    @property
    def sidecar(self) -> Container:
        """The sidecar's container."""
        return self.crew.sidecar

    @property
    def port(self) -> int:
        """The port of the main listener."""
        return self.config.sections.server.port

    @property
    def admin_port(self) -> int:
        """The port of the admin listener, which only the pod itself reaches."""
        return self.config.sections.server.admin_port

    @property
    def admin_address(self) -> str:
        """Where the admin listener is inside the pod: its socket file, or its port in words."""
        return self.config.sections.server.admin_socket or f"port {self.admin_port}"

    @property
    def style(self) -> Style:
        """How the pod carries the sidecar."""
        if self.sidecar in self.crew.waiters:
            return Style.INIT
        return Style.NATIVE if self.sidecar.is_native_sidecar else Style.PLAIN

    @property
    def apps(self) -> tuple[Container, ...]:
        """The containers that are started when the init containers are through, without the sidecar's."""
        ours = (self.crew.sidecar, *self.crew.twins)
        return tuple(each for each in self.pod.containers if not each.is_init and each not in ours)

    @property
    def companions(self) -> tuple[Container, ...]:
        """The containers that run beside the sidecar."""
        running = (each for each in self.pod.containers if each.restarts_always or not each.is_init)
        return tuple(each for each in running if each != self.sidecar)

    def gating(self, gate: Gate) -> tuple[CheckConfig, ...]:
        """Return the checks that hold back a probe."""
        return tuple(check for check in self.config.checks if gate in check.gates)

    def is_here(self, host: str) -> bool:
        """Whether a host is the pod itself, by whatever name; the unspecified address leads there as well."""
        name = host.strip("[]").rstrip(".").lower()
        return is_loopback(name) or _is_unspecified(name) or name in self.pod.own_names

    def is_remote(self, check: CheckConfig) -> bool:
        """Whether a check asks anything outside the pod."""
        return not all(self.is_here(host) for host in check.hosts)

    @property
    def deploy(self) -> DeployConfig | None:
        """The deploy that is tracked; an init container that checks tracks none."""
        return None if self.style is Style.INIT else self.config.sections.deploy

    def section_place(self, name: str) -> Place:
        """Return where a section of the configuration begins."""
        return self.config.section_places.get(name, self.workload.place)

    def place_of(self, check: CheckConfig) -> Place:
        """Return where a check stands in the configuration."""
        return self.config.places.get(check.name, self.workload.place)

    def probes(self, *roles: Role) -> Iterator[tuple[Container, Probe]]:
        """Yield the probes of all containers, with those who carry them."""
        for container in self.pod.containers:
            yield from ((container, probe) for role, probe in container.probes.items() if role in roles)


def recognize(pod: Pod, port: int, name: str | None = None) -> Crew | None:
    """Return the sidecar's containers; None if there is none.

    `name` says which container is the sidecar; else the one with the best evidence is, the first of several.
    """
    evidence = partial(evidence_of, port=port)
    waiters = tuple(
        each for each in pod.containers if evidence(each) >= Evidence.IMAGE and _only_checks(each)
    )
    servers = [each for each in pod.containers if each not in waiters]
    found = _surest(servers, evidence) or next(iter(waiters), None)
    sidecar = _called(name, pod.containers) if name else found
    if sidecar is None:
        return None
    twins = (each for each in servers if each is not sidecar and evidence(each) >= Evidence.IMAGE)
    return Crew(sidecar=sidecar, waiters=waiters, twins=tuple(twins))


def _is_unspecified(host: str) -> bool:
    return is_literal(host) and ipaddress.ip_address(host).is_unspecified


def _only_checks(container: Container) -> bool:
    if not container.is_init or container.restarts_always:
        return False
    return invocation_of(container).verb == CHECK


def _called(name: str, containers: Sequence[Container]) -> Container | None:
    return next((each for each in containers if each.name == name), None)


def _surest(containers: Sequence[Container], evidence: Callable[[Container], Evidence]) -> Container | None:
    found = max(containers, key=evidence, default=None)
    return found if found and evidence(found) else None
