"""What in a configuration has us ask the cluster's API, which takes a token, and knowing which pod we are."""

from collections.abc import Iterator

from sidecar.config.deploy import ServiceTypes
from sidecar.config.model import Config


def asking_the_cluster(config: Config, services: ServiceTypes) -> Iterator[str]:
    """Yield the keys that have us ask the cluster; `services` are those that it may name."""
    deploy = config.sections.deploy
    if config.sections.kubernetes.readiness_events:
        yield "kubernetes.readiness_events"
    if deploy is not None and deploy.needs_cluster:
        yield "deploy.claim"
    for each in deploy.announce if deploy else ():
        found = services.find(each.type)
        if found is not None and found.needs_cluster:
            yield f"deploy.announce.{each.label}"
