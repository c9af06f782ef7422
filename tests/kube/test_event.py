"""What is written to the cluster: within the limits of its validation, and once."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.kube.client import ApiServer
from sidecar.kube.errors import ApiError
from sidecar.kube.event import NOTE_LIMIT, Event, EventType, describe, summarize, write_event
from sidecar.kube.here import Here, Pod, locate, missing
from tests.network.kube import answer, service_account, serving_api
from tests.network.tls import Certificates

POD = Pod(name="builds-0", namespace="ci", uid="0c0ffee0-1")
ENVIRON = {
    "POD_NAME": "builds-0",
    "POD_NAMESPACE": "ci",
    "POD_UID": "0c0ffee0-1",
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
}


def event(pod: Pod = POD) -> Event:
    return Event(
        pod=pod,
        type=EventType.WARNING,
        reason="NotReady",
        action="JudgeReadiness",
        note="db failed: refused",
        time=1_800_000_000.25,
    )


async def test_an_event_is_posted_as_events_k8s_io_wants_it(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with serving_api(certificates) as cluster:
        await write_event(ApiServer(cluster.address, service_account(tmp_path, certificates)), event())

    [request] = cluster.requests
    assert request.line == "POST /apis/events.k8s.io/v1/namespaces/ci/events HTTP/1.1"
    assert request.body == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "builds-0.66517289c5090", "namespace": "ci"},
        "eventTime": "2027-01-15T08:00:00.250000Z",
        "reportingController": "sidecar",
        "reportingInstance": "builds-0",
        "action": "JudgeReadiness",
        "reason": "NotReady",
        "type": "Warning",
        "note": "db failed: refused",
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "ci",
            "name": "builds-0",
            "uid": "0c0ffee0-1",
        },
    }


@pytest.mark.parametrize(("code", "is_written"), [(201, True), (409, True), (403, False), (500, False)])
async def test_an_event_that_is_already_there_is_written(
    tmp_path: Path, certificates: Certificates, code: int, *, is_written: bool
) -> None:
    async with serving_api(certificates) as cluster:
        cluster.answers = [answer(code)]
        api = ApiServer(cluster.address, service_account(tmp_path, certificates))
        if is_written:
            await write_event(api, event())
        else:
            with pytest.raises(ApiError, match=str(code)):
                await write_event(api, event())


def test_an_event_may_have_a_name_of_its_own() -> None:
    assert describe(replace(event(), name="deploy-failed.0c0ffee"))["metadata"] == {
        "name": "deploy-failed.0c0ffee",
        "namespace": "ci",
    }


def test_the_longest_name_of_a_pod_makes_no_name_too_long() -> None:
    body = describe(event(Pod(name=f"{'a' * 238}.{'b' * 14}", namespace="ci", uid="u")))
    name = body["metadata"]["name"]

    assert (len(name) <= 253, re.fullmatch(r"[a-z0-9]+\.[0-9a-f]+", name) is not None) == (True, True)
    assert (len(body["reportingInstance"]), body["regarding"]["name"]) == (128, f"{'a' * 238}.{'b' * 14}")


def test_a_note_is_as_many_whole_sentences_as_fit() -> None:
    assert summarize(["a", "b"]) == "a; b"
    assert summarize(["a" * 10, "b" * 10, "c" * 10], limit=25) == f"{'a' * 10}; and 2 more"
    assert summarize(["ü" * 600, "x"]) == "ü" * 512
    assert summarize(["x"] * 1000) == f"{'; '.join(['x'] * 20)}; and 980 more"
    assert len(summarize(["ü" * 300] * 5).encode()) <= NOTE_LIMIT


def test_where_we_are_stands_in_the_environment() -> None:
    assert list(missing(ENVIRON)) == []
    assert locate(ENVIRON) == Here(pod=POD, address="10.96.0.1:443")


@pytest.mark.parametrize("host", ["fd00::1", "[fd00::1]"])
def test_an_address_of_ipv6_gets_its_brackets(host: str) -> None:
    environ = ENVIRON | {"KUBERNETES_SERVICE_HOST": host}

    assert (list(missing(environ)), locate(environ).address) == ([], "[fd00::1]:443")


def test_what_is_missing_is_told_with_the_line_to_write() -> None:
    name, uid = missing({"POD_NAME": "../x", "POD_NAMESPACE": "ci"})

    assert name == (
        "needs the variable POD_NAME, which is no metadata.name; write in env of the sidecar's container: "
        "{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}"
    )
    assert uid == (
        "needs the variable POD_UID, which is not set; write in env of the sidecar's container: "
        "{name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}"
    )
