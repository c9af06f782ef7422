"""The Events of a cluster's API, over TLS: a name is taken once."""

import re
from typing import Any, Final

from tests.deploys.stand_ins.base import Asked, Refused, Said, StandIn, expect, in_json, only, text_within

ACCOUNT_TOKEN: Final = "a-token"
EVENTS: Final = "/apis/events.k8s.io/v1/namespaces/ci/events"
REGARDING: Final = {"apiVersion", "kind", "namespace", "name", "uid"}
EVENT: Final = {
    "apiVersion",
    "kind",
    "metadata",
    "eventTime",
    "reportingController",
    "reportingInstance",
    "action",
    "reason",
    "type",
    "note",
    "regarding",
}
SUBDOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
MICRO_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class ClusterStandIn(StandIn):
    """`accepted` are the Events that were created."""

    def answer(self, asked: Asked) -> Said:
        expect(asked.headers.get("authorization") == f"Bearer {ACCOUNT_TOKEN}", 401, "Unauthorized")
        expect((asked.method, asked.path) == ("POST", EVENTS), 404, "the server could not find it")
        told = asked.object()
        only(told, EVENT)
        expect(told.keys() == EVENT, 422, f"missing: {sorted(EVENT - told.keys())}")
        _validate(told)
        names = {each["metadata"]["name"] for each in self.accepted}
        if told["metadata"]["name"] in names:
            return self.refuse(Refused(409, "already exists"))
        self.accepted.append(told)
        return in_json(told, 201)

    def refuse(self, refused: Refused) -> Said:
        return in_json({"kind": "Status", "message": refused.why, "code": refused.code}, refused.code)


def _validate(told: dict[str, Any]) -> None:
    """Refuse what `pkg/apis/core/validation/events.go` refuses."""
    metadata, regarding = told["metadata"], told["regarding"]
    expect((told["apiVersion"], told["kind"]) == ("events.k8s.io/v1", "Event"), 400, "another kind")
    expect(len(metadata["name"]) <= 253, 422, "the name is too long")
    expect(SUBDOMAIN.fullmatch(metadata["name"]) is not None, 422, f"the name {metadata['name']} is none")
    expect(MICRO_TIME.fullmatch(told["eventTime"]) is not None, 422, "eventTime is no MicroTime")
    expect(told["type"] in ("Normal", "Warning"), 422, "type is unknown")
    for name in ("reason", "action", "reportingInstance", "reportingController"):
        text_within(told, name, 128, is_required=True)
    expect(len(told["note"].encode()) <= 1024, 422, "the note is longer than 1 kB")
    expect(regarding.keys() == REGARDING, 422, "regarding is incomplete")
    expect(metadata["namespace"] == regarding["namespace"] == "ci", 422, "namespaces differ")
