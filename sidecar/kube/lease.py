"""A Lease of coordination.k8s.io/v1 that keeps a text: created by one, replaced by who has read it last.

The cluster refuses a second creation, and a replacement of what has changed meanwhile, both with 409.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sidecar.kube.client import ApiServer
from sidecar.kube.errors import ApiError
from sidecar.kube.owner import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A Lease. `version` is the cluster's `resourceVersion`, empty for one that is not there yet."""

    namespace: str
    name: str
    annotations: Mapping[str, str]
    holder: str = ""
    seconds: int
    """For which the holder holds it."""
    time: float
    """Seconds since the epoch at which it was last renewed."""
    owner: Owner | None = None
    """What it goes with."""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A Lease that is there: its annotations, and its version."""

    annotations: Mapping[str, str]
    version: str


async def read_lease(api: ApiServer, namespace: str, name: str) -> Found | None:
    """Return a Lease; None if there is none. Needs the right to `get` `leases` of `coordination.k8s.io`.

    Raises:
        ApiError: the cluster did not say.
    """
    try:
        body = await api.ask("GET", f"{_path(namespace)}/{name}")
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("annotations", {}), Mapping):
        raise ApiError("the cluster's API answered with something that is no Lease")
    return Found(dict(metadata.get("annotations", {})), str(metadata.get("resourceVersion", "")))


async def create_lease(api: ApiServer, lease: Lease) -> bool:
    """Store a Lease where there is none; return whether there was none. Needs the right to `create` `leases`.

    Raises:
        ApiError: it was not stored, or nobody knows.
    """
    return await _store(api, "POST", _path(lease.namespace), lease)


async def replace_lease(api: ApiServer, lease: Lease) -> bool:
    """Store a Lease if the one of its version is still there; return whether it was. Needs `update`.

    Raises:
        ApiError: it was not stored, or nobody knows.
    """
    return await _store(api, "PUT", f"{_path(lease.namespace)}/{lease.name}", lease)


def describe(lease: Lease) -> dict[str, Any]:
    """Return a Lease as the API takes it."""
    metadata: dict[str, Any] = {
        "name": lease.name,
        "namespace": lease.namespace,
        "annotations": dict(lease.annotations),
    }
    if lease.version:
        metadata["resourceVersion"] = lease.version
    if lease.owner is not None:
        owner = lease.owner
        metadata["ownerReferences"] = [
            {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
        ]
    spec: dict[str, Any] = {"leaseDurationSeconds": lease.seconds, "renewTime": _micro_time(lease.time)}
    if lease.holder:
        spec["holderIdentity"] = lease.holder
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


async def _store(api: ApiServer, method: str, path: str, lease: Lease) -> bool:
    try:
        await api.ask(method, path, describe(lease))
    except ApiError as error:
        if error.status == 409:
            return False
        raise
    return True


def _path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _micro_time(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
