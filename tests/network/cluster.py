"""A cluster's API that keeps objects as the real one does: nothing is created twice, or updated unread."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.network.kube import FakeApi, Request, answer

Object = dict[str, Any]

DEPLOYMENT_REVISION: Final = "deployment.kubernetes.io/revision"
_LEASES: Final = re.compile(r"/apis/coordination\.k8s\.io/v1/namespaces/ci/leases(?:/(?P<name>[a-z0-9-]+))?")
_EVENTS: Final = "/apis/events.k8s.io/v1/namespaces/ci/events"
_POD: Final = re.compile(r"/api/v1/namespaces/ci/pods/(?P<name>[a-z0-9-]+)")
_REPLICA_SET: Final = re.compile(r"/apis/apps/v1/namespaces/ci/replicasets/(?P<name>[a-z0-9-]+)")


@dataclass
class FakeCluster(FakeApi):
    """Pods of the ReplicaSet `builds-6d4`, in the namespace `ci`; `rollout` is its number."""

    rollout: str = "7"
    owner: Mapping[str, Any] | None = field(
        default_factory=lambda: {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "builds-6d4",
            "uid": "5e7",
            "controller": True,
        }
    )
    leases: dict[str, Object] = field(default_factory=dict)
    events: dict[str, Object] = field(default_factory=dict)
    forbidden: frozenset[str] = frozenset()
    """Methods and kinds that the service account has no right to, such as `PUT leases`."""
    allowed: frozenset[str] | None = None
    """Those that it has a right to, and no other; all if left out."""
    asked: set[str] = field(default_factory=set)
    """Those that somebody made use of."""
    _version: int = 0

    def answer_to(self, request: Request) -> bytes:
        """Answer as the API server does."""
        method, path, _ = request.line.split()
        if lease := _LEASES.fullmatch(path):
            return self._may(f"{method} leases") or self._lease(method, lease["name"], request.body)
        if path == _EVENTS:
            return self._may(f"{method} events") or self._event(request.body)
        if pod := _POD.fullmatch(path):
            return self._may(f"{method} pods") or answer(200, self._pod(pod["name"]))
        if found := _REPLICA_SET.fullmatch(path):
            return self._may(f"{method} replicasets") or answer(200, self._replica_set(found["name"]))
        return answer(404, {"message": f"the server could not find {path}"})

    def _may(self, what: str) -> bytes:
        """Return the refusal of what is forbidden, empty for what is not."""
        self.asked.add(what)
        is_allowed = self.allowed is None or what in self.allowed
        return (
            b"" if is_allowed and what not in self.forbidden else answer(403, {"message": f"cannot {what}"})
        )

    def _pod(self, name: str) -> Object:
        references = [self.owner] if self.owner else []
        return {"kind": "Pod", "metadata": {"name": name, "ownerReferences": references}}

    def _replica_set(self, name: str) -> Object:
        annotations = {DEPLOYMENT_REVISION: self.rollout}
        return {"kind": "ReplicaSet", "metadata": {"name": name, "annotations": annotations}}

    def _lease(self, method: str, name: str | None, body: Any) -> bytes:
        if method == "POST" and name is None:
            return self._create(self.leases, body)
        there = self.leases.get(name or "")
        if there is None:
            return answer(404, {"message": f'leases "{name}" not found'})
        if method == "GET":
            return answer(200, there)
        if body["metadata"].get("resourceVersion") != there["metadata"]["resourceVersion"]:
            return answer(409, {"message": "the object has been modified", "reason": "Conflict"})
        return self._store(self.leases, body, 200)

    def _event(self, body: Any) -> bytes:
        return self._create(self.events, body)

    def _create(self, objects: dict[str, Object], body: Object) -> bytes:
        metadata = body["metadata"]
        if metadata["namespace"] != "ci" or "resourceVersion" in metadata:
            return answer(422, {"message": "invalid metadata"})
        if metadata["name"] in objects:
            return answer(409, {"message": "already exists", "reason": "AlreadyExists"})
        return self._store(objects, body, 201)

    def _store(self, objects: dict[str, Object], body: Object, code: int) -> bytes:
        self._version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self._version)}
        objects[metadata["name"]] = {**body, "metadata": metadata}
        return answer(code, objects[metadata["name"]])
