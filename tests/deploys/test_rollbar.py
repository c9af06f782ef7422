"""Rollbar: one deploy, created and updated."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sidecar.deploys._send import send
from sidecar.deploys._service import DeliveryError, Finds, Service
from sidecar.deploys.rollbar import OPEN_FOR
from tests.deploys.announcements import DEPLOY, SHA, Keys, announcement, service_with, tell_all
from tests.deploys.contract import FAILED, STARTED, SUCCEEDED, TIMED_OUT, ServiceContract
from tests.deploys.stand_ins import Misbehaviour, RollbarStandIn
from tests.deploys.stand_ins.base import TOKEN
from tests.deploys.stand_ins.rollbar import READ_TOKEN


class TestRollbar(ServiceContract):
    outcomes = {  # noqa: RUF012 - the contract says that it is a class variable
        (STARTED,): ["started"],
        (SUCCEEDED,): ["succeeded"],
        (FAILED,): ["failed"],
        (TIMED_OUT,): ["timed_out"],
        (STARTED, SUCCEEDED): ["succeeded"],
        (STARTED, FAILED, SUCCEEDED): ["succeeded"],
        (STARTED, TIMED_OUT, SUCCEEDED): ["succeeded"],
        (FAILED, SUCCEEDED): ["succeeded"],
        (TIMED_OUT, SUCCEEDED): ["succeeded"],
    }

    @pytest.fixture
    async def stand_in(self) -> AsyncIterator[RollbarStandIn]:
        async with RollbarStandIn() as stand_in:
            yield stand_in

    def keys(self, stand_in: RollbarStandIn) -> Keys:
        return {
            "type": "rollbar",
            "token": TOKEN,
            "rollbar_username": "deployer",
            "base_url": stand_in.url,
        }

    def told(self, stand_in: RollbarStandIn) -> list[str]:
        return [deploy["status"] for deploy in stand_in.accepted]

    @pytest.fixture
    def seeing(self, stand_in: RollbarStandIn) -> Service:
        """Return the service with a token to read."""
        return service_with({**self.keys(stand_in), "read_token": READ_TOKEN})

    async def test_a_deploy_says_who_and_what(self, service: Service, stand_in: RollbarStandIn) -> None:
        await tell_all(service, (FAILED,))

        [deploy] = stand_in.accepted
        assert {name: told for name, told in deploy.items() if name not in ("id", "start_time")} == {
            "environment": "production",
            "revision": SHA,
            "status": "failed",
            "local_username": "ada",
            "rollbar_username": "deployer",
            "comment": (
                "Sell <b>tea</b> & coffee; db: auth, postgres:5432 refused the user <shop> & its password; "
                "queue: refused"
            ),
        }

    async def test_an_end_updates_the_deploy_of_the_receipt(
        self, service: Service, stand_in: RollbarStandIn
    ) -> None:
        assert await tell_all(service, (STARTED, SUCCEEDED)) == {"deploy_id": "1000"}

        asked = [(each.method, each.path) for each in stand_in.requests]
        assert asked == [("POST", "/api/1/deploy"), ("PATCH", "/api/1/deploy/1000")]

    @pytest.mark.parametrize("place", ["data", "result"])
    async def test_the_number_is_found_in_either_place(
        self, service: Service, stand_in: RollbarStandIn, place: str
    ) -> None:
        stand_in.say(200, {"err": 0, place: {"deploy_id": 17}})

        assert await service.tell(announcement(STARTED), {}, send) == {"deploy_id": "17"}

    async def test_a_number_that_cannot_be_sent_is_that_of_no_deploy(
        self, service: Service, stand_in: RollbarStandIn
    ) -> None:
        stand_in.say(200, {"err": 0, "data": {"deploy_id": "half \ud800"}})
        receipt = await service.tell(announcement(STARTED), {}, send)

        with pytest.raises(DeliveryError, match="404"):
            await service.tell(announcement(SUCCEEDED), receipt, send)

    async def test_a_lost_answer_is_found_again(self, seeing: Finds, stand_in: RollbarStandIn) -> None:
        now = announcement(STARTED, started_at=time.time())
        assert await seeing.find(now, send) is None
        stand_in.misbehave(Misbehaviour.LOSE_ANSWER, times=1)
        with pytest.raises(DeliveryError):
            await seeing.tell(now, {}, send)

        found = await seeing.find(now, send)

        assert found == {"deploy_id": "1000"}
        assert await seeing.find(announcement(SUCCEEDED, started_at=time.time()), send) is None
        await seeing.tell(announcement(SUCCEEDED, started_at=time.time()), found, send)
        assert await seeing.find(announcement(SUCCEEDED, started_at=time.time()), send) == found
        assert (self.told(stand_in), stand_in.refusals) == (["succeeded"], [])

    async def test_an_earlier_deploy_of_the_same_revision_is_another(self, seeing: Finds) -> None:
        await seeing.tell(announcement(STARTED), {}, send)

        assert await seeing.find(announcement(STARTED, started_at=time.time() + 3600), send) is None

    async def test_nothing_is_found_without_a_token_to_read(
        self, service: Finds, stand_in: RollbarStandIn
    ) -> None:
        await tell_all(service, (STARTED,))

        assert await service.find(announcement(STARTED, started_at=time.time()), send) is None
        assert len(stand_in.requests) == 1

    async def test_an_end_without_a_receipt_updates_what_a_pipeline_has_started(
        self, seeing: Service, stand_in: RollbarStandIn
    ) -> None:
        await seeing.tell(announcement(STARTED, started_at=time.time()), {}, send)
        of_pods = announcement(SUCCEEDED, started_at=time.time() + OPEN_FOR - 30)

        assert await seeing.tell(of_pods, {}, send) == {"deploy_id": "1000"}
        assert self.told(stand_in) == ["succeeded"]

    async def test_a_start_of_long_ago_is_left_alone(self, seeing: Service, stand_in: RollbarStandIn) -> None:
        await seeing.tell(announcement(STARTED, started_at=time.time()), {}, send)

        await seeing.tell(announcement(SUCCEEDED, started_at=time.time() + OPEN_FOR + 60), {}, send)

        assert self.told(stand_in) == ["started", "succeeded"]

    async def test_who_may_not_read_may_still_tell_the_end(self, stand_in: RollbarStandIn) -> None:
        service = service_with({**self.keys(stand_in), "read_token": "another-s3cret"})

        assert await service.tell(announcement(SUCCEEDED), {}, send) == {"deploy_id": "1000"}
        assert (self.told(stand_in), stand_in.refusals) == (["succeeded"], ["invalid access token"])

    async def test_a_deploy_that_has_ended_is_left_alone_by_the_next_of_its_revision(
        self, seeing: Service, stand_in: RollbarStandIn
    ) -> None:
        await tell_all(seeing, (STARTED, SUCCEEDED))

        await seeing.tell(announcement(FAILED), {}, send)

        assert self.told(stand_in) == ["succeeded", "failed"]

    async def test_a_refusal_is_final_and_says_why(self, service: Service) -> None:
        too_long = announcement(STARTED, deploy=replace(DEPLOY, revision="v" * 41))

        with pytest.raises(DeliveryError, match="revision is no text of 1 to 40") as raised:
            await service.tell(too_long, {}, send)

        assert raised.value.is_final

    @pytest.mark.parametrize("listed", [[], None, {"deploys": None}, {"deploys": [None, {"id": 1}]}])
    async def test_a_list_of_another_shape_finds_nothing(
        self, seeing: Finds, stand_in: RollbarStandIn, listed: object
    ) -> None:
        stand_in.say(200, {"err": 0, "result": listed})

        assert await seeing.find(announcement(STARTED), send) is None
