"""What in a configuration has us ask the cluster's API, which takes a token, and knowing which pod we are."""

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.config.deploy import ServiceTypes
from sidecar.config.model import Config


@dataclass(frozen=True, slots=True)
class Asking:
    """What has us ask the cluster."""

    path: str
    """The way to it, for a problem."""
    key: str
    """The key that it stands at, or in the list of."""
    otherwise: str
    """What to do outside a cluster, to end a sentence."""


def asking_the_cluster(config: Config, services: ServiceTypes) -> Iterator[Asking]:
    """Yield what has us ask the cluster; `services` are those that the configuration may name."""
    deploy = config.sections.deploy
    if config.sections.kubernetes.readiness_events:
        yield Asking("kubernetes.readiness_events", "kubernetes.readiness_events", "write false")
    if deploy is not None and deploy.needs_cluster:
        yield Asking("deploy.claim", "deploy.claim", "write redis or none")
    for each in deploy.announce if deploy else ():
        found = services.find(each.type)
        if found is not None and found.needs_cluster:
            yield Asking(f"deploy.announce.{each.label}", "deploy.announce", "leave the service out")
