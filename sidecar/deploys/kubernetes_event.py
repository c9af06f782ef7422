"""Writes a Kubernetes Event about the pod that announces.

`kubectl events` and `kubectl describe pod` show it: its reason is `DeployStarted`, `DeploySucceeded`,
`DeployFailed` or `DeployTimedOut`, the last two of type `Warning`, and its note says which revision of what,
the failing checks and why. The cluster forgets it after an hour, unless it was told to keep Events longer.

What happens twice: nothing in one namespace, for the Event is named after the deploy and what has happened to
it, and the cluster takes a name once.

Permissions: the pod's service account needs `create` of `events` in `events.k8s.io`, which `k8s/deploys`
grants. The manifest has to give the container the variables `POD_NAME`, `POD_NAMESPACE` and `POD_UID`, as
`k8s/deploys` does.

```yaml
- type: kubernetes-event
  events: [succeeded, failed, timed_out]
```
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sidecar.config.deploy import ServiceConfig, ServiceType
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import BAD_NEWS, DeployEvent, Receipt
from sidecar.deploys import _words
from sidecar.deploys._service import Cluster, DeliveryError, Send
from sidecar.kube.client import ApiServer
from sidecar.kube.errors import ApiError
from sidecar.kube.event import Event, EventType, summarize, write_event
from sidecar.kube.here import Pod

ACTION: Final = "AnnounceDeploy"
REASONS: Final = {
    DeployEvent.STARTED: "DeployStarted",
    DeployEvent.SUCCEEDED: "DeploySucceeded",
    DeployEvent.FAILED: "DeployFailed",
    DeployEvent.TIMED_OUT: "DeployTimedOut",
}
TRY_AGAIN: Final = frozenset({401, 408, 429})
"""Refusals that another attempt may not meet: a token rotates, and a busy API server turns clients away."""
RIGHT: Final = "allow the pod's service account to create events of events.k8s.io, as k8s/deploys does"


@dataclass(frozen=True, kw_only=True, repr=False)
class KubernetesEventConfig(ServiceConfig):
    """Nothing of its own: the cluster is the one that the pod runs in."""


class KubernetesEvent:
    """Keeps nothing: the name of what is written makes it one."""

    def __init__(self, api: ApiServer, pod: Pod) -> None:
        self._api = api
        self._pod = pod

    async def tell(self, announcement: Announcement, receipt: Receipt, send: Send) -> Receipt:  # noqa: ARG002
        """Write the Event."""
        try:
            await write_event(self._api, self.event(announcement))
        except ApiError as error:
            raise _failure(error) from error
        return {}

    def event(self, announcement: Announcement) -> Event:
        """Return what is written."""
        word = announcement.event.replace("_", "-")
        return Event(
            name=f"deploy-{word}.{announcement.key}",
            pod=self._pod,
            type=EventType.WARNING if announcement.event in BAD_NEWS else EventType.NORMAL,
            reason=REASONS[announcement.event],
            action=ACTION,
            note=summarize([*_sentences(announcement)]),
            time=announcement.time,
        )


def _sentences(announcement: Announcement) -> Iterator[str]:
    yield _words.headline(announcement)
    if announcement.is_unclaimed:
        yield _words.UNCLAIMED
    yield from _words.failures(announcement)
    if announcement.pod:
        yield f"seen by {announcement.pod}"
    if announcement.origin.user:
        yield f"deployed by {announcement.origin.user}"


def _failure(error: ApiError) -> DeliveryError:
    status = error.status or 0
    return DeliveryError(
        f"{error.sentence}; {RIGHT}" if status == 403 else error.sentence,
        retry_after=error.retry_after,
        is_final=0 < status < 500 and status not in TRY_AGAIN,
    )


def _build(config: KubernetesEventConfig, cluster: Cluster) -> KubernetesEvent:  # noqa: ARG001
    if cluster.api is None or cluster.pod is None:
        raise ValueError("a service that needs the cluster is built in a pod that has one")
    return KubernetesEvent(cluster.api, cluster.pod)


service_type = ServiceType(config=KubernetesEventConfig, build=_build, needs_cluster=True)
