"""The section `deploy`: which revision we are, and who hears of it; and what makes a service that is told."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Generic, Protocol, TypeVar
from urllib.parse import quote

from sidecar.config.check import option
from sidecar.config.fields import Identity, Label, Name, Revision, Span
from sidecar.config.kinds.page import REVISION, CommitPage, Page
from sidecar.config.problems import Mistake
from sidecar.config.redis import RedisEndpoint
from sidecar.config.shape import AtLeastOne
from sidecar.core.announcement import Origin
from sidecar.core.deploy import Deploy, DeployEvent


class ClaimBy(StrEnum):
    """What makes one deploy out of many processes."""

    NONE = "none"
    KUBERNETES = "kubernetes"
    REDIS = "redis"


@dataclass(frozen=True, kw_only=True, repr=False)
class ServiceConfig:
    """One service that is told: the keys that every type has. A type adds its own in a subclass."""

    type: Label = option("The service's type.")
    name: Name | None = option("Unique name in metrics and logs; the type if left out.", default=None)
    events: Annotated[frozenset[DeployEvent], AtLeastOne()] = option(
        "What it is told of: `started`, `succeeded`, `failed`, `timed_out`, or a list of them.",
        default=frozenset(DeployEvent),
    )

    @property
    def label(self) -> str:
        """The name by which the service is known."""
        return self.name or self.type

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys of this service."""
        yield from ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"


@dataclass(frozen=True, kw_only=True)
class DeployConfig:
    """The deploy that brought us here, and who hears what becomes of it."""

    service: Identity = option("Name of what is deployed.")
    environment: Identity = option("Where it is deployed to, such as `production`.")
    revision: Revision = option("Identity of what is deployed, such as a git SHA or an image's tag.")
    id: Identity | None = option(
        "Identity of the deploy, from the pipeline: another one for each, also for a rollback. If left out, "
        "the number that Kubernetes gives the rollout with `claim: kubernetes`, else the revision.",
        default=None,
    )
    stable_for: Span = option(
        "Time that a pod is ready without a break before the deploy is live.", default=30.0
    )
    deadline: Span = option(
        "Time from the first process of the deploy on, after which it has timed out.", default=600.0
    )
    claim: ClaimBy = option(
        "What the processes of a deploy share, so that one of them announces: `kubernetes` for a Lease, "
        "which needs `k8s/deploys`, `redis` for a key, or `none`: every one announces.",
        default=ClaimBy.NONE,
    )
    redis: RedisEndpoint | None = option("Where the key is, for `claim: redis`.", default=None)
    user: Label = option("Who deploys.", default="")
    branch: Label = option("The branch that is deployed.", default="")
    commit_url: CommitPage = option(
        "Page of the commit, which the revision is linked to; `{revision}` stands for the revision.",
        default="",
    )
    build_url: Page = option("Page of the build.", default="")
    comment: Label = option("A sentence about the deploy.", default="")
    announce: tuple[ServiceConfig, ...] = option("The services that are told.", default=())

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        if self.claim is ClaimBy.REDIS and self.redis is None:
            yield Mistake("needs the key redis beside it, with the URL of the store", key="claim")
        if self.claim is not ClaimBy.REDIS and self.redis is not None:
            yield Mistake("has no use without claim: redis; write that, or remove it", key="redis")
        if self.deadline <= self.stable_for:
            yield Mistake("ends before anything can be stable; write more than stable_for", key="deadline")
        labels = Counter(each.label for each in self.announce)
        for label in (label for label, count in labels.items() if count > 1):
            yield Mistake(f"has {label} more than once; give each a name of its own", key="announce")

    @property
    def identity(self) -> Deploy:
        """Which deploy it is, as far as the configuration says: without an `id` that of its revision."""
        return Deploy(
            service=self.service,
            environment=self.environment,
            revision=self.revision,
            id=self.id or self.revision,
        )

    @property
    def origin(self) -> Origin:
        """Who deploys what, as far as it is known."""
        return Origin(
            user=self.user,
            branch=self.branch,
            commit_url=self.commit_url.replace(REVISION, quote(self.revision)),
            build_url=self.build_url,
            comment=self.comment,
        )

    @property
    def needs_cluster(self) -> bool:
        """Whether the claim asks the cluster's API."""
        return self.claim is ClaimBy.KUBERNETES


C = TypeVar("C", bound=ServiceConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceType(Generic[C]):
    """A kind of service: how it is configured, how a configured one is built, and what it can be told.

    `build` opens nothing; what it returns, and what else it is given, is for `sidecar.deploys`. One that
    `needs_cluster` can be told of from a pod alone.
    """

    config: type[C]
    build: Callable[..., Any]
    takes: frozenset[DeployEvent] = frozenset(DeployEvent)
    needs_cluster: bool = False

    @property
    def documentation(self) -> str:
        """The docstring of the module that defines the type."""
        return (sys.modules[self.config.__module__].__doc__ or "").strip()


class ServiceTypes(Protocol):
    """Where the types of services are found."""

    def find(self, name: str) -> ServiceType[Any] | None:
        """Return the type of this name, if there is one."""
        ...

    def names(self) -> Sequence[str]:
        """Return the names of all types."""
        ...


class _NoServices:
    def find(self, name: str) -> None: ...

    def names(self) -> Sequence[str]:
        return ()


NO_SERVICES: Final = _NoServices()
"""For who reads configurations that announce nothing."""
