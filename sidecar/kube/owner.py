"""Who owns our pod, and which number the cluster has given to the rollout that brought it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sidecar.kube.client import ApiServer
from sidecar.kube.errors import ApiError
from sidecar.kube.here import Pod

REVISION: Final = "deployment.kubernetes.io/revision"
"""Set by a Deployment's controller on its ReplicaSets: it rises with each rollout, and each rollback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The controller that made our pod."""

    api_version: str
    kind: str
    name: str
    uid: str


async def find_owner(api: ApiServer, pod: Pod) -> Owner | None:
    """Return the pod's controller; None for a pod that somebody made by hand.

    Needs the right to `get` `pods`.

    Raises:
        ApiError: the cluster did not say.
    """
    found = await api.ask("GET", f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")
    references = _mapping(found, "metadata").get("ownerReferences")
    for each in references if isinstance(references, list) else []:
        if isinstance(each, Mapping) and each.get("controller") is True:
            return Owner(
                api_version=str(each.get("apiVersion", "")),
                kind=str(each.get("kind", "")),
                name=str(each.get("name", "")),
                uid=str(each.get("uid", "")),
            )
    return None


async def find_rollout(api: ApiServer, pod: Pod, owner: Owner) -> str:
    """Return the number of the rollout of a pod that a ReplicaSet owns; empty where there is none.

    Needs the right to `get` `replicasets` of `apps`.

    Raises:
        ApiError: the cluster did not say.
    """
    if owner.kind != "ReplicaSet":
        return ""
    path = f"/apis/apps/v1/namespaces/{pod.namespace}/replicasets/{owner.name}"
    annotations = _mapping(_mapping(await api.ask("GET", path), "metadata"), "annotations")
    return str(annotations.get(REVISION, ""))


def _mapping(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ApiError(f"the cluster's API answered with a {key} that is none")
    return value
