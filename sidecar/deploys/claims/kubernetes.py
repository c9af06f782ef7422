"""A Lease in the pod's namespace, which goes when the ReplicaSet of its deploy goes.

What a deploy is says the cluster, unless the configuration does: the number of the rollout, which rises on a
rollback too. `k8s/deploys` has the rights.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

from sidecar.core.deploy import LEASE, Deploy, Record
from sidecar.deploys.claims.claim import ClaimError, Held
from sidecar.deploys.claims.written import read_record, write_record
from sidecar.kube.client import ApiServer
from sidecar.kube.errors import ApiError
from sidecar.kube.here import Pod
from sidecar.kube.lease import Lease, create_lease, read_lease, replace_lease
from sidecar.kube.owner import Owner, find_owner, find_rollout

RECORD: Final = "sidecar/record"
"""The annotation that holds the record."""
RIGHTS: Final = "give the pod's service account the rights of k8s/deploys"

T = TypeVar("T")

log = logging.getLogger("sidecar.deploys")


class KubernetesClaim:
    """Keeps the record of a deploy in an annotation of a Lease.

    The `deploy` is as it is configured; `has_id` says whether its identity is.
    """

    def __init__(
        self, deploy: Deploy, api: ApiServer, pod: Pod, *, has_id: bool, wall: Callable[[], float]
    ) -> None:
        self._deploy = deploy
        self._api = api
        self._pod = pod
        self._has_id = has_id
        self._wall = wall
        self._owner: Owner | None = None

    async def identify(self) -> Deploy:
        """Return the deploy; without a configured identity its own is the number of the rollout."""
        self._owner = await _asked(lambda: find_owner(self._api, self._pod))
        if not self._has_id:
            self._deploy = replace(self._deploy, id=await self._rollout())
        return self._deploy

    async def read(self) -> Held | None:
        """Return what the Lease holds."""
        found = await _asked(lambda: read_lease(self._api, self._pod.namespace, self._name))
        return Held(read_record(found.annotations.get(RECORD, "")), found.version) if found else None

    async def create(self, record: Record) -> bool:
        """Create the Lease if there is none."""
        return await _asked(lambda: create_lease(self._api, self._lease(record, "")))

    async def replace(self, record: Record, held: Held) -> bool:
        """Replace the Lease if it is still the one that was read."""
        return await _asked(lambda: replace_lease(self._api, self._lease(record, held.version)))

    async def renew(self) -> None:
        """Leave it as it is: it lasts as long as its ReplicaSet."""

    async def _rollout(self) -> str:
        owner = self._owner
        found = await _asked(lambda: find_rollout(self._api, self._pod, owner)) if owner else ""
        if not found:
            log.warning(
                "rollbacks are not announced",
                extra={"detail": "the pod is of no Deployment, which would number them; write deploy.id"},
            )
        return found or self._deploy.revision

    @property
    def _name(self) -> str:
        return f"sidecar-deploy-{self._deploy.key}"

    def _lease(self, record: Record, version: str) -> Lease:
        deploy = self._deploy
        return Lease(
            namespace=self._pod.namespace,
            name=self._name,
            annotations={
                "sidecar/service": deploy.service,
                "sidecar/environment": deploy.environment,
                "sidecar/deploy": deploy.id,
                "sidecar/revision": deploy.revision,
                RECORD: write_record(record),
            },
            holder=record.courier,
            seconds=int(LEASE),
            time=self._wall(),
            owner=self._owner,
            version=version,
        )


async def _asked(ask: Callable[[], Awaitable[T]]) -> T:
    try:
        return await ask()
    except ApiError as error:
        remedy = f"; {RIGHTS}" if error.status == 403 else ""
        raise ClaimError(f"{error.sentence}{remedy}") from error
