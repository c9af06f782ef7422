"""The webhook: JSON as its schema says, signed as Standard Webhooks has it."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # comes with check-jsonschema
import pytest

from sidecar.config.kinds.secret import Secret
from sidecar.core.announcement import Announcement, Origin
from sidecar.deploys import webhook
from sidecar.deploys._send import send
from sidecar.deploys._service import DeliveryError, Service
from sidecar.deploys.webhook import Webhook, describe, schema, sign
from tests.deploys.announcements import ORIGIN, SHA, Keys, announcement, loaded, service_with, tell_all
from tests.deploys.contract import FAILED, STARTED, SUCCEEDED, TIMED_OUT, ServiceContract
from tests.deploys.stand_ins import Misbehaviour, StandIn, WebhookStandIn
from tests.deploys.stand_ins.webhook import SIGNING_SECRET

STARTED_AT = "2027-01-15T08:00:00.250Z"


class TestWebhook(ServiceContract):
    outcomes = {  # noqa: RUF012 - the contract says that it is a class variable
        order: [f"deploy.{event}" for event in order]
        for order in (
            (STARTED,),
            (SUCCEEDED,),
            (FAILED,),
            (TIMED_OUT,),
            (STARTED, SUCCEEDED),
            (STARTED, FAILED, SUCCEEDED),
            (STARTED, TIMED_OUT, SUCCEEDED),
            (FAILED, SUCCEEDED),
            (TIMED_OUT, SUCCEEDED),
        )
    }
    content = frozenset({Misbehaviour.GARBAGE, Misbehaviour.POLITE})

    @pytest.fixture
    async def stand_in(self) -> AsyncIterator[WebhookStandIn]:
        async with WebhookStandIn() as stand_in:
            yield stand_in

    def keys(self, stand_in: WebhookStandIn) -> Keys:
        return {
            "type": "webhook",
            "url": f"{stand_in.hook_url}?key=s3cret",
            "secret": SIGNING_SECRET,
            "headers": {"x-team": "platform", "authorization": "Bearer s3cret-key"},
        }

    def told(self, stand_in: WebhookStandIn) -> list[str]:
        return [body["type"] for body in stand_in.accepted]

    def secret_places(self, stand_in: StandIn) -> str:
        return " ".join(f"{asked.body!r}" for asked in stand_in.requests)

    async def test_a_body_says_all_that_is_known(self, service: Service, stand_in: WebhookStandIn) -> None:
        await tell_all(service, (FAILED,))

        assert stand_in.accepted == [
            {
                "type": "deploy.failed",
                "timestamp": "2027-01-15T08:01:30.250Z",
                "data": {
                    "service": "shop",
                    "environment": "production",
                    "revision": SHA,
                    "deploy": "4711",
                    "started_at": STARTED_AT,
                    "seconds": 90.0,
                    "recovered": False,
                    "unclaimed": False,
                    "failures": [
                        {
                            "check": "db",
                            "reason": "auth",
                            "message": "postgres:5432 refused the user <shop> & its password",
                        },
                        {"check": "queue", "reason": "refused", "message": ""},
                    ],
                    "more_failures": 0,
                    "pod": "shop-7d9f-x2x4k",
                    "user": "ada",
                    "branch": "main",
                    "commit_url": ORIGIN.commit_url,
                    "build_url": ORIGIN.build_url,
                    "comment": ORIGIN.comment,
                },
            }
        ]

    async def test_what_comes_again_has_the_same_key(
        self, service: Service, stand_in: WebhookStandIn
    ) -> None:
        stand_in.misbehave(Misbehaviour.LOSE_ANSWER, times=1)
        with pytest.raises(DeliveryError):
            await tell_all(service, (STARTED,))

        await tell_all(service, (STARTED, SUCCEEDED))

        assert (self.told(stand_in), stand_in.repeated) == (["deploy.started", "deploy.succeeded"], 1)

    async def test_headers_are_sent_beside_our_own(self, service: Service, stand_in: WebhookStandIn) -> None:
        await tell_all(service, (STARTED,))

        headers = stand_in.requests[0].headers
        assert (headers["x-team"], headers["authorization"]) == ("platform", "Bearer s3cret-key")
        assert headers["content-type"] == "application/json"

    async def test_nothing_is_signed_without_a_secret(self, stand_in: WebhookStandIn) -> None:
        service = service_with({"type": "webhook", "url": stand_in.hook_url})

        with pytest.raises(DeliveryError, match="no matching signature"):
            await tell_all(service, (STARTED,))

        assert "webhook-signature" not in stand_in.requests[0].headers

    async def test_the_timestamp_is_that_of_the_attempt(self, stand_in: WebhookStandIn) -> None:
        config = loaded(self.keys(stand_in)).deploy.announce[0]
        assert isinstance(config, webhook.WebhookConfig)

        with pytest.raises(DeliveryError, match="too old or too new"):
            await Webhook(config, clock=lambda: 1_800_000_000.9).tell(announcement(STARTED), {}, send)

        assert stand_in.requests[0].headers["webhook-timestamp"] == "1800000000"


def test_a_signature_is_that_of_the_specification() -> None:
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    told = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'

    assert sign(secret, told) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "told",
    [
        *(announcement(event) for event in (STARTED, SUCCEEDED, FAILED, TIMED_OUT)),
        announcement(SUCCEEDED, is_recovery=True, is_unclaimed=True),
        announcement(STARTED, origin=Origin(), pod=""),
    ],
)
def test_every_body_is_as_the_schema_says(told: Announcement) -> None:
    jsonschema.validate(json.loads(json.dumps(describe(told))), schema())


def test_the_schema_is_one_and_refuses_what_it_does_not_name() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    body: Any = describe(announcement(STARTED))

    for broken in (
        {**body, "more": 1},
        {**body, "type": "deploy.begun"},
        {**body, "data": {**body["data"], "token": "x"}},
        {**body, "data": {name: body["data"][name] for name in body["data"] if name != "revision"}},
        {**body, "data": {**body["data"], "failures": [{"check": "db"}]}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema())


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_secret_has_24_to_64_bytes(length: int) -> None:
    secret = f"whsec_{b64encode(bytes(length)).decode()}"

    assert loaded({"type": "webhook", "url": "https://x.test/", "secret": secret}).secrets >= {secret}
