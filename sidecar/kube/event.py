"""An Event of events.k8s.io/v1: what `kubectl describe pod` and `kubectl get events` show of a pod.

The limits are those of the API's validation: `pkg/apis/core/validation/events.go` in kubernetes/kubernetes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sidecar.kube.client import ApiServer
from sidecar.kube.errors import ApiError
from sidecar.kube.here import Pod

CONTROLLER: Final = "sidecar"
NOTE_LIMIT: Final = 1024
"""Bytes."""
INSTANCE_LIMIT: Final = 128
NAME_LIMIT: Final = 253
SENTENCES: Final = 20
"""Sentences of a note that are looked at; those of a thousand checks have no room in it."""


class EventType(StrEnum):
    """Whether somebody should look."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to a pod. `reason` is one word in UpperCamelCase; `time` seconds since the epoch.

    The same Event written twice is one, by its name: that of the pod and the time, or one that several pods
    give to the same.
    """

    pod: Pod
    type: EventType
    reason: str
    action: str
    note: str
    time: float
    name: str = ""
    """A DNS subdomain; from the pod and the time if left out."""


async def write_event(api: ApiServer, event: Event) -> None:
    """Store an Event in the cluster; one that is already there is stored.

    Needs the right to `create` `events` of `events.k8s.io`, and no other.

    Raises:
        ApiError: it was not stored, or nobody knows.
    """
    path = f"/apis/events.k8s.io/v1/namespaces/{event.pod.namespace}/events"
    try:
        await api.ask("POST", path, describe(event))
    except ApiError as error:
        if error.status != 409:  # an attempt before this one got through, and its answer was lost
            raise


def describe(event: Event) -> dict[str, Any]:
    """Return an Event as the API takes it."""
    pod = event.pod
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": event.name or _name(event), "namespace": pod.namespace},
        "eventTime": datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": pod.name[:INSTANCE_LIMIT],
        "action": event.action,
        "reason": event.reason,
        "type": event.type,
        "note": event.note,
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": pod.namespace,
            "name": pod.name,
            "uid": pod.uid,
        },
    }


def summarize(sentences: Sequence[str], *, limit: int = NOTE_LIMIT) -> str:
    """Return as many whole sentences as fit into `limit` bytes on one line, and how many did not."""
    for kept in range(min(len(sentences), SENTENCES), 0, -1):
        left = len(sentences) - kept
        note = "; ".join([*sentences[:kept], *([f"and {left} more"] if left else [])])
        if len(_bytes(note)) <= limit:
            return note
    return _bytes("; ".join(sentences[:1]))[:limit].decode(errors="ignore")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _name(event: Event) -> str:
    """Return a name as client-go gives it: the pod's, and the time in hexadecimal digits."""
    suffix = f".{round(event.time * 1_000_000):x}"
    return event.pod.name[: NAME_LIMIT - len(suffix)].rstrip(".-") + suffix
