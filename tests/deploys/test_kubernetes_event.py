"""The Kubernetes Event: once in a namespace, whoever writes it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sidecar.core.announcement import Origin
from sidecar.deploys import InstalledServices, kubernetes_event
from sidecar.deploys._send import send
from sidecar.deploys._service import Cluster, DeliveryError, Service
from sidecar.kube import client
from sidecar.kube.client import ApiServer
from sidecar.kube.here import Pod
from tests.deploys.announcements import SHA, Keys, announcement, service_with, tell_all
from tests.deploys.contract import (
    FAILED,
    PATIENCE,
    STARTED,
    SUCCEEDED,
    TIMED_OUT,
    ServiceContract,
)
from tests.deploys.stand_ins import ClusterStandIn, Misbehaviour
from tests.network.kube import service_account
from tests.network.tls import Certificates, server_context

POD = Pod(name="shop-7d9f-x2x4k", namespace="ci", uid="0c0ffee0-1")
OTHER = Pod(name="shop-7d9f-q8q8q", namespace="ci", uid="0c0ffee0-2")


class TestKubernetesEvent(ServiceContract):
    outcomes = {  # noqa: RUF012 - the contract says that it is a class variable
        (STARTED,): ["DeployStarted"],
        (SUCCEEDED,): ["DeploySucceeded"],
        (FAILED,): ["DeployFailed"],
        (TIMED_OUT,): ["DeployTimedOut"],
        (STARTED, SUCCEEDED): ["DeployStarted", "DeploySucceeded"],
        (STARTED, FAILED, SUCCEEDED): ["DeployStarted", "DeployFailed", "DeploySucceeded"],
        (STARTED, TIMED_OUT, SUCCEEDED): ["DeployStarted", "DeployTimedOut", "DeploySucceeded"],
        (FAILED, SUCCEEDED): ["DeployFailed", "DeploySucceeded"],
        (TIMED_OUT, SUCCEEDED): ["DeployTimedOut", "DeploySucceeded"],
    }
    content = frozenset({Misbehaviour.POLITE})

    @pytest.fixture
    async def stand_in(self, certificates: Certificates) -> AsyncIterator[ClusterStandIn]:
        async with ClusterStandIn(tls=server_context(certificates.good)) as stand_in:
            yield stand_in

    def keys(self, stand_in: ClusterStandIn) -> Keys:  # noqa: ARG002 - the cluster is where the pod is
        return {"type": "kubernetes-event"}

    def told(self, stand_in: ClusterStandIn) -> list[str]:
        return [event["reason"] for event in stand_in.accepted]

    @pytest.fixture
    def api(self, stand_in: ClusterStandIn, tmp_path: Path, certificates: Certificates) -> ApiServer:
        return ApiServer(
            f"{stand_in.fake.host}:{stand_in.fake.port}", service_account(tmp_path, certificates)
        )

    @pytest.fixture
    def service(self, stand_in: ClusterStandIn, api: ApiServer) -> Service:
        return service_with(self.keys(stand_in), Cluster(api=api, pod=POD))

    def shorten(self, how: Misbehaviour, monkeypatch: pytest.MonkeyPatch) -> None:
        if how is Misbehaviour.HANG:
            monkeypatch.setattr(client, "ANSWERS_WITHIN", PATIENCE)

    async def test_an_event_says_what_failed_and_why(
        self, service: Service, stand_in: ClusterStandIn
    ) -> None:
        await tell_all(service, (FAILED,))

        [event] = stand_in.accepted
        assert (event["type"], event["action"], event["eventTime"]) == (
            "Warning",
            "AnnounceDeploy",
            "2027-01-15T08:01:30.250000Z",
        )
        assert event["note"] == (
            f"shop {SHA} has failed in production after 1m 30s; "
            "db: auth, postgres:5432 refused the user <shop> & its password; queue: refused; "
            "seen by shop-7d9f-x2x4k; deployed by ada"
        )
        assert event["metadata"]["name"] == f"deploy-failed.{announcement(FAILED).key}"

    async def test_what_is_not_known_is_left_out_and_what_is_unclaimed_is_said(
        self, service: Service, stand_in: ClusterStandIn
    ) -> None:
        told = announcement(STARTED, pod="", origin=Origin(), is_unclaimed=True)

        await service.tell(told, {}, send)

        [event] = stand_in.accepted
        assert event["type"] == "Normal"
        assert event["note"] == (
            f"shop {SHA} is being deployed to production; "
            "the store of the claim is silent, so that other pods may say the same"
        )

    async def test_what_another_pod_has_written_is_not_written_again(
        self, service: Service, api: ApiServer, stand_in: ClusterStandIn
    ) -> None:
        other = service_with(self.keys(stand_in), Cluster(api=api, pod=OTHER))
        stand_in.misbehave(Misbehaviour.LOSE_ANSWER, times=1)
        with pytest.raises(DeliveryError):
            await tell_all(service, (TIMED_OUT,))

        await other.tell(announcement(TIMED_OUT, pod=OTHER.name), {}, send)

        assert (self.told(stand_in), len(stand_in.requests)) == (["DeployTimedOut"], 2)

    @pytest.mark.parametrize(
        ("code", "is_final"),
        [(302, True), (401, False), (403, True), (404, True), (408, False), (429, False), (500, False)],
    )
    async def test_some_refusals_pass_and_some_do_not(
        self, service: Service, stand_in: ClusterStandIn, code: int, *, is_final: bool
    ) -> None:
        stand_in.say(code, {"kind": "Status", "message": "no"})

        with pytest.raises(DeliveryError, match=str(code)) as raised:
            await tell_all(service, (STARTED,))

        assert raised.value.is_final == is_final
        assert (kubernetes_event.RIGHT in raised.value.sentence) == (code == 403)

    def test_it_needs_a_cluster(self) -> None:
        found = InstalledServices().find("kubernetes-event")
        assert found is not None
        assert found.needs_cluster

        with pytest.raises(ValueError, match="needs the cluster"):
            service_with({"type": "kubernetes-event"})
