"""Slack: one message that is updated, failures under it; or a message each."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sidecar.core.announcement import Announcement, Origin
from sidecar.deploys import _slack_message as message
from sidecar.deploys._send import send
from sidecar.deploys._service import DeliveryError, Service
from tests.deploys.announcements import Keys, announcement, tell_all
from tests.deploys.contract import FAILED, STARTED, SUCCEEDED, TIMED_OUT, ServiceContract
from tests.deploys.stand_ins import SlackStandIn, StandIn
from tests.deploys.stand_ins.base import TOKEN
from tests.deploys.stand_ins.slack import CHANNEL

REVISION = "<https://git.test/shop/commit/4f2a9c71d0b35e8846aa0c9d1f7e23b45c6d7e8f|4f2a9c71d0b3>"
DETAILS = (
    "by ada · branch main · pod shop-7d9f-x2x4k · "
    "<https://ci.test/shop/4711?attempt=1&amp;job=2|build> · Sell &lt;b&gt;tea&lt;/b&gt; &amp; coffee"
)


def signs(messages: list[dict[str, Any]]) -> list[str]:
    """Return the sign of each message, in brackets where it is in a thread."""
    found = [each["blocks"][0]["text"]["text"].split(":")[1] for each in messages]
    return [f"({sign})" if "thread_ts" in each else sign for sign, each in zip(found, messages, strict=True)]


class TestSlackChannel(ServiceContract):
    outcomes = {  # noqa: RUF012 - the contract says that it is a class variable
        (STARTED,): ["rocket"],
        (SUCCEEDED,): ["white_check_mark"],
        (FAILED,): ["x"],
        (TIMED_OUT,): ["hourglass"],
        (STARTED, SUCCEEDED): ["white_check_mark"],
        (STARTED, FAILED, SUCCEEDED): ["white_check_mark", "(x)", "(white_check_mark)"],
        (STARTED, TIMED_OUT, SUCCEEDED): ["white_check_mark", "(hourglass)", "(white_check_mark)"],
        (FAILED, SUCCEEDED): ["x", "white_check_mark"],
        (TIMED_OUT, SUCCEEDED): ["hourglass", "white_check_mark"],
    }

    @pytest.fixture
    async def stand_in(self) -> AsyncIterator[SlackStandIn]:
        async with SlackStandIn() as stand_in:
            yield stand_in

    def keys(self, stand_in: SlackStandIn) -> Keys:
        return {"type": "slack", "token": TOKEN, "channel": CHANNEL, "base_url": stand_in.url}

    def told(self, stand_in: SlackStandIn) -> list[str]:
        return signs(stand_in.accepted)

    async def test_the_receipt_is_the_place_of_the_first_message(
        self, service: Service, stand_in: SlackStandIn
    ) -> None:
        receipt = await tell_all(service, (STARTED, FAILED, SUCCEEDED))

        first, *below = stand_in.accepted
        assert receipt == {"channel": CHANNEL, "ts": first["ts"]}
        assert [(each["thread_ts"], each["reply_broadcast"]) for each in below] == [(first["ts"], True)] * 2

    async def test_who_saw_the_failure_in_the_channel_sees_the_recovery_there(
        self, service: Service, stand_in: SlackStandIn
    ) -> None:
        await tell_all(service, (STARTED, FAILED, SUCCEEDED))

        first, _, recovery = stand_in.accepted
        assert "has recovered" in first["text"]
        assert (recovery["text"], recovery["reply_broadcast"]) == (first["text"], True)

    @pytest.mark.parametrize(("event", "sign"), [(SUCCEEDED, "white_check_mark"), (FAILED, "x")])
    async def test_a_message_that_was_deleted_is_made_up_for(
        self, service: Service, stand_in: SlackStandIn, event: Any, sign: str
    ) -> None:
        receipt = await tell_all(service, (STARTED,))
        stand_in.accepted.clear()

        await service.tell(announcement(event), receipt, send)

        assert self.told(stand_in) == [sign]

    async def test_the_receipt_of_another_service_is_no_place_of_a_message(
        self, service: Service, stand_in: SlackStandIn
    ) -> None:
        await service.tell(announcement(SUCCEEDED), {"deploy_id": "1000"}, send)

        assert self.told(stand_in) == ["white_check_mark"]

    async def test_another_refusal_of_an_update_is_no_reason_to_post_again(
        self, service: Service, stand_in: SlackStandIn
    ) -> None:
        receipt = await tell_all(service, (STARTED,))
        stand_in.say(200, {"ok": False, "error": "internal_error"})

        with pytest.raises(DeliveryError, match="internal_error"):
            await service.tell(announcement(SUCCEEDED), receipt, send)

        assert self.told(stand_in) == ["rocket"]

    @pytest.mark.parametrize(
        ("code", "is_final", "retry_after"),
        [
            ("ratelimited", False, 30.0),
            ("service_unavailable", False, 0.0),
            ("channel_not_found", True, 0.0),
            ("not_in_channel", True, 0.0),
            ("invalid_auth", True, 0.0),
        ],
    )
    async def test_some_errors_pass_and_some_do_not(
        self, service: Service, stand_in: SlackStandIn, code: str, retry_after: float, *, is_final: bool
    ) -> None:
        stand_in.say(200, {"ok": False, "error": code})

        with pytest.raises(DeliveryError, match=code) as raised:
            await tell_all(service, (STARTED,))

        assert (raised.value.is_final, raised.value.retry_after) == (is_final, retry_after)


class TestSlackHook(ServiceContract):
    outcomes = {  # noqa: RUF012 - the contract says that it is a class variable
        (STARTED,): ["rocket"],
        (SUCCEEDED,): ["white_check_mark"],
        (FAILED,): ["x"],
        (TIMED_OUT,): ["hourglass"],
        (STARTED, SUCCEEDED): ["rocket", "white_check_mark"],
        (STARTED, FAILED, SUCCEEDED): ["rocket", "x", "white_check_mark"],
        (STARTED, TIMED_OUT, SUCCEEDED): ["rocket", "hourglass", "white_check_mark"],
        (FAILED, SUCCEEDED): ["x", "white_check_mark"],
        (TIMED_OUT, SUCCEEDED): ["hourglass", "white_check_mark"],
    }

    @pytest.fixture
    async def stand_in(self) -> AsyncIterator[SlackStandIn]:
        async with SlackStandIn() as stand_in:
            yield stand_in

    def keys(self, stand_in: SlackStandIn) -> Keys:
        return {"type": "slack", "webhook_url": stand_in.hook_url}

    def told(self, stand_in: SlackStandIn) -> list[str]:
        return signs(stand_in.accepted)

    def secret_places(self, stand_in: StandIn) -> str:
        return " ".join(f"{asked.query} {asked.body!r}" for asked in stand_in.requests)

    async def test_a_hook_that_is_gone_is_final(self, service: Service, stand_in: SlackStandIn) -> None:
        stand_in.say(404, "no_service")

        with pytest.raises(DeliveryError, match="404") as raised:
            await tell_all(service, (STARTED,))

        assert raised.value.is_final


def lines(told: Announcement) -> list[str]:
    """Return what a message shows, line by line."""
    blocks = message.compose(told)["blocks"]
    texts = [block.get("text") or block["elements"][0] for block in blocks]
    return [line for text in texts for line in text["text"].splitlines()]


class TestMessage:
    def test_a_start(self) -> None:
        assert lines(announcement(STARTED)) == [
            f":rocket: *shop* *{REVISION}* is being deployed to *production*",
            DETAILS,
        ]

    def test_a_success_says_how_long_it_took(self) -> None:
        assert lines(announcement(SUCCEEDED))[0] == (
            f":white_check_mark: *shop* *{REVISION}* is live in *production* after 2m 5s"
        )
        assert message.compose(announcement(SUCCEEDED))["text"] == (
            "shop 4f2a9c71d0b3 is live in production after 2m 5s"
        )

    def test_a_recovery_is_said_to_be_one(self) -> None:
        assert lines(announcement(SUCCEEDED, is_recovery=True))[0] == (
            f":white_check_mark: *shop* *{REVISION}* has recovered: it is live in *production* after 2m 5s"
        )

    def test_a_failure_names_the_checks_and_why(self) -> None:
        assert lines(announcement(FAILED)) == [
            f":x: *shop* *{REVISION}* has failed in *production* after 1m 30s",
            "• *db* auth: postgres:5432 refused the user &lt;shop&gt; &amp; its password",
            "• *queue* refused",
            DETAILS,
        ]

    def test_what_is_unclaimed_may_come_again(self) -> None:
        told = announcement(TIMED_OUT, is_unclaimed=True, origin=Origin(), pod="", failures=())

        assert lines(told) == [
            ":hourglass: *shop* *4f2a9c71d0b3* is still not live in *production* after 10m 0s",
            "the store of the claim is silent, so that other pods may say the same",
        ]

    def test_nothing_known_makes_no_empty_block(self) -> None:
        told = announcement(STARTED, origin=Origin(), pod="")

        assert [block["type"] for block in message.compose(told)["blocks"]] == ["section"]

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://x.test/a?b=c&d", "<https://x.test/a?b=c&amp;d|it &amp; me>"),
            ("javascript:alert(1)", "it &amp; me"),
            ("https://x.test/a b", "it &amp; me"),
            ("https://x.test/|<!channel>", "it &amp; me"),
            (f"https://x.test/{'a' * 500}", "it &amp; me"),
            ("", "it &amp; me"),
        ],
    )
    def test_only_what_a_browser_opens_is_linked(self, url: str, shown: str) -> None:
        assert message.link(url, "it & me") == shown

    def test_checks_that_are_not_named_are_counted(self) -> None:
        told = message.compose(announcement(FAILED, unnamed=280))

        assert told["blocks"][0]["text"]["text"].endswith("\nand 280 more")

    def test_as_many_whole_pieces_as_fit_are_kept(self) -> None:
        assert message.fit(["a" * 1000] * 4, "\n") == "\n".join([*["a" * 1000] * 2, "and 2 more"])
        assert message.fit(["a" * 999, "b" * 999, "c" * 1000], "\n").endswith("c")
