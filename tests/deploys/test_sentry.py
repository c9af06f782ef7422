"""Sentry: a release once, and a deploy of it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sidecar.deploys._send import send
from sidecar.deploys._service import DeliveryError, Finds, Service
from tests.deploys.announcements import DEPLOY, ORIGIN, SHA, Keys, announcement, service_with, tell_all
from tests.deploys.contract import STARTED, SUCCEEDED, ServiceContract
from tests.deploys.stand_ins import Misbehaviour, SentryStandIn
from tests.deploys.stand_ins.base import TOKEN
from tests.deploys.stand_ins.sentry import REPOSITORY


class TestSentry(ServiceContract):
    takes = frozenset({STARTED, SUCCEEDED})
    outcomes = {  # noqa: RUF012 - the contract says that it is a class variable
        (STARTED,): ([SHA], []),
        (SUCCEEDED,): ([SHA], ["shop 4711"]),
        (STARTED, SUCCEEDED): ([SHA], ["shop 4711"]),
    }

    @pytest.fixture
    async def stand_in(self) -> AsyncIterator[SentryStandIn]:
        async with SentryStandIn() as stand_in:
            yield stand_in

    def keys(self, stand_in: SentryStandIn) -> Keys:
        return {
            "type": "sentry",
            "organization": "example",
            "projects": ["shop-backend", "shop-worker"],
            "token": TOKEN,
            "base_url": stand_in.url,
        }

    def told(self, stand_in: SentryStandIn) -> tuple[list[str], list[str]]:
        return [*stand_in.releases], [deploy["name"] for deploy in stand_in.accepted]

    async def test_a_deploy_says_when_and_where(self, service: Service, stand_in: SentryStandIn) -> None:
        receipt = await tell_all(service, (STARTED, SUCCEEDED))

        assert receipt == {"release": SHA, "deploy": "1"}
        assert stand_in.releases[SHA] == {
            "version": SHA,
            "projects": ["shop-backend", "shop-worker"],
            "url": ORIGIN.commit_url,
        }
        assert stand_in.accepted == [
            {
                "id": "1",
                "release": SHA,
                "environment": "production",
                "name": "shop 4711",
                "projects": ["shop-backend", "shop-worker"],
                "url": ORIGIN.build_url,
                "dateStarted": "2027-01-15T08:00:00.250Z",
                "dateFinished": "2027-01-15T08:02:05.750Z",
            }
        ]

    async def test_a_release_that_was_created_is_not_created_again(
        self, service: Service, stand_in: SentryStandIn
    ) -> None:
        await tell_all(service, (STARTED, SUCCEEDED))

        paths = [f"{asked.method} {asked.path.partition('releases')[2]}" for asked in stand_in.requests]
        assert paths == ["POST /", f"POST /{SHA}/deploys/"]

    @pytest.mark.parametrize(
        ("keys", "commits"),
        [
            (
                {"repository": REPOSITORY},
                {"refs": [{"repository": REPOSITORY, "commit": SHA}]},
            ),
            (
                {"repository": REPOSITORY, "commits": ["a1", "b2"]},
                {"commits": [{"id": each, "repository": REPOSITORY} for each in ("a1", "b2")]},
            ),
        ],
    )
    async def test_commits_are_given_or_asked_for(
        self, stand_in: SentryStandIn, keys: Keys, commits: Keys
    ) -> None:
        await tell_all(service_with({**self.keys(stand_in), **keys}), (STARTED,))

        release = stand_in.releases[SHA]
        assert {name: release[name] for name in release if name in ("refs", "commits")} == commits

    async def test_a_release_may_have_a_name_of_its_own(self, stand_in: SentryStandIn) -> None:
        service = service_with({**self.keys(stand_in), "release": "shop@1.2 (beta)#3?"})

        await tell_all(service, (STARTED, SUCCEEDED))

        assert self.told(stand_in) == (["shop@1.2 (beta)#3?"], ["shop 4711"])

    async def test_a_lost_answer_is_found_again(self, service: Finds, stand_in: SentryStandIn) -> None:
        assert await service.find(announcement(SUCCEEDED), send) is None
        receipt = await service.tell(announcement(STARTED), {}, send)
        assert await service.find(announcement(STARTED), send) is None
        assert await service.find(announcement(SUCCEEDED), send) is None
        stand_in.misbehave(Misbehaviour.LOSE_ANSWER, times=1)
        with pytest.raises(DeliveryError):
            await service.tell(announcement(SUCCEEDED), receipt, send)

        found = await service.find(announcement(SUCCEEDED), send)

        assert found == {"release": SHA, "deploy": "1"}
        another = announcement(SUCCEEDED, deploy=replace(DEPLOY, id="4712"))
        assert await service.find(another, send) is None

    async def test_a_name_that_is_too_long_is_the_deploys_key(
        self, service: Service, stand_in: SentryStandIn
    ) -> None:
        deploy = replace(DEPLOY, id="9" * 80)

        await service.tell(announcement(SUCCEEDED, deploy=deploy), {}, send)

        assert self.told(stand_in) == ([SHA], [deploy.key])

    @pytest.mark.parametrize("body", ["[]", "nonsense", '{"id": ""}'])
    async def test_an_answer_of_another_shape_is_none(
        self, service: Service, stand_in: SentryStandIn, body: str
    ) -> None:
        stand_in.say(201, body)

        with pytest.raises(DeliveryError, match="answered 201 with"):
            await service.tell(announcement(SUCCEEDED), {"release": SHA}, send)

    async def test_a_list_of_another_shape_is_a_failure(
        self, service: Finds, stand_in: SentryStandIn
    ) -> None:
        stand_in.say(200, "{}")

        with pytest.raises(DeliveryError, match="something else than a JSON array"):
            await service.find(announcement(SUCCEEDED), send)
