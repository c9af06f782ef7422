"""The stand-ins refuse what their services would: a test that passes against them says something."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from sidecar.config.kinds.secret import Secret
from sidecar.deploys._send import send
from sidecar.deploys._service import Answer, DeliveryError, Request, as_json
from tests.deploys.stand_ins import (
    Misbehaviour,
    RollbarStandIn,
    SentryStandIn,
    SlackStandIn,
    StandIn,
    WebhookStandIn,
)
from tests.deploys.stand_ins.base import TOKEN
from tests.deploys.stand_ins.sentry import REPOSITORY
from tests.deploys.stand_ins.slack import CHANNEL, HOOK
from tests.network.fakes import HOST, shared_socket

ROLLBAR = {"X-Rollbar-Access-Token": Secret(TOKEN)}
BEARER = {"Authorization": Secret(f"Bearer {TOKEN}")}
RELEASES = "/api/0/organizations/example/releases/"
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}
MESSAGE = {"channel": CHANNEL, "text": "hello", "blocks": [SECTION]}


async def ask(
    stand_in: StandIn,
    path: str,
    body: object,
    headers: Mapping[str, Secret] | None = None,
    method: str = "POST",
) -> Any:
    """Return the JSON that the stand-in answers, or the text that is none."""
    request = Request(
        method=method,
        url=f"{stand_in.url}{path}",
        headers={"Content-Type": "application/json", **(headers or {})},
        body=as_json(body),
        answered=Answer(200),
    )
    answer = await send(request)
    try:
        return json.loads(answer.body)
    except ValueError:
        return answer.body.decode()


@pytest.mark.parametrize(
    ("path", "body", "headers", "why"),
    [
        ("/api/1/deploy", {"environment": "p", "revision": "v"}, {}, "401"),
        ("/api/1/deploy", {"environment": "p"}, ROLLBAR, "revision is missing"),
        ("/api/1/deploy", {"environment": "p", "revision": 1}, ROLLBAR, "revision is no text"),
        ("/api/1/deploy", {"environment": "p", "revision": "v" * 41}, ROLLBAR, "revision is no text"),
        ("/api/1/deploy", {"environment": "p", "revision": "v", "status": "done"}, ROLLBAR, "status"),
        ("/api/1/deploy", {"environment": "p", "revision": "v", "who": "me"}, ROLLBAR, "unknown"),
        ("/api/1/deploy", ["x"], ROLLBAR, "no object"),
        ("/api/1/deployment", {}, ROLLBAR, "404"),
    ],
)
async def test_rollbar_refuses(path: str, body: object, headers: Mapping[str, Secret], why: str) -> None:
    async with RollbarStandIn() as rollbar:
        with pytest.raises(DeliveryError, match=why):
            await ask(rollbar, path, body, headers)

    assert (rollbar.accepted, len(rollbar.refusals)) == ([], 1)


async def test_rollbar_updates_only_what_there_is() -> None:
    async with RollbarStandIn() as rollbar:
        with pytest.raises(DeliveryError, match="no such deploy"):
            await ask(rollbar, "/api/1/deploy/1000", {"status": "failed"}, ROLLBAR, "PATCH")


@pytest.mark.parametrize(
    ("method", "body", "error"),
    [
        ("chat.postMessage", {**MESSAGE, "channel": "C9"}, "channel_not_found"),
        ("chat.postMessage", {**MESSAGE, "blocks": []}, "invalid_arguments"),
        ("chat.postMessage", {**MESSAGE, "blocks": [{**SECTION, "text": "x"}]}, "invalid_arguments"),
        ("chat.postMessage", {**MESSAGE, "text": "x" * 4001}, "invalid_arguments"),
        ("chat.postMessage", {**MESSAGE, "thread_ts": "1.1"}, "thread_not_found"),
        ("chat.postMessage", {**MESSAGE, "reply_broadcast": True}, "invalid_arguments"),
        ("chat.postMessage", {**MESSAGE, "colour": "red"}, "invalid_arguments"),
        ("chat.update", {**MESSAGE, "ts": "1.1"}, "message_not_found"),
        ("chat.delete", {}, "unknown_method"),
    ],
)
async def test_slack_refuses_politely(method: str, body: object, error: str) -> None:
    async with SlackStandIn() as slack:
        assert await ask(slack, f"/api/{method}", body, BEARER) == {"ok": False, "error": error}
        assert (await ask(slack, f"/api/{method}", body))["error"] == "invalid_auth"

    assert slack.accepted == []


async def test_a_hook_of_slack_refuses_in_words() -> None:
    async with SlackStandIn() as slack:
        with pytest.raises(DeliveryError, match="answered 400: invalid_payload"):
            await ask(slack, HOOK, {"text": ""})
        with pytest.raises(DeliveryError, match="404"):
            await ask(slack, "/services/other", {"text": "x"})


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        (RELEASES, {"projects": ["shop-backend"]}, "version is missing"),
        (RELEASES, {"version": "a/b", "projects": ["shop-backend"]}, "version is invalid"),
        (RELEASES, {"version": "v1"}, "projects are missing"),
        (RELEASES, {"version": "v1", "projects": ["other"]}, "Invalid project"),
        (RELEASES, {"version": "v1", "projects": ["shop-backend"], "url": "x:y"}, "valid URL"),
        (
            RELEASES,
            {"version": "v1", "projects": ["shop-backend"], "refs": [{"repository": "x", "commit": "a"}]},
            "Invalid repository",
        ),
        (f"{RELEASES}v0/deploys/", {"environment": "production"}, "does not exist"),
        (f"{RELEASES}old/deploys/", {}, "environment is missing"),
        (f"{RELEASES}old/deploys/", {"environment": "a/b"}, "environment"),
        (f"{RELEASES}old/deploys/", {"environment": "p", "dateStarted": "today"}, "no date"),
        (f"{RELEASES}old/deploys/", {"environment": "p", "name": "n" * 65}, "name is no text"),
        (f"{RELEASES}old/deploys", {"environment": "p"}, "404"),
    ],
)
async def test_sentry_refuses(path: str, body: object, why: str) -> None:
    async with SentryStandIn() as sentry:
        await ask(sentry, RELEASES, {"version": "old", "projects": ["shop-backend"]}, BEARER)
        with pytest.raises(DeliveryError, match=why):
            await ask(sentry, path, body, BEARER)

    assert ([*sentry.releases], sentry.accepted) == (["old"], [])


async def test_sentry_has_a_release_once() -> None:
    told = {
        "version": "v1",
        "projects": ["shop-backend"],
        "refs": [{"repository": REPOSITORY, "commit": "a"}],
    }
    async with SentryStandIn() as sentry:
        answers = [await ask(sentry, RELEASES, told, BEARER) for _ in range(2)]

    assert (answers, [*sentry.releases]) == ([{"id": 1, "version": "v1"}] * 2, ["v1"])


async def test_a_webhook_is_verified() -> None:
    async with WebhookStandIn() as webhook:
        for headers in ({}, {"webhook-id": Secret("1"), "webhook-timestamp": Secret("1")}):
            with pytest.raises(DeliveryError, match="400"):
                await ask(webhook, "/hooks/s3cret", {}, headers)

    assert webhook.accepted == []


async def test_a_stand_in_may_be_gone_and_come_back_where_it_was() -> None:
    with shared_socket() as holder:
        holder.bind((HOST, 0))
        rollbar = RollbarStandIn(port=holder.getsockname()[1])
        told = {"environment": "p", "revision": "v"}
        async with rollbar:
            await ask(rollbar, "/api/1/deploy", told, ROLLBAR)
            url = rollbar.url
        async with rollbar:
            await ask(rollbar, "/api/1/deploy", told, ROLLBAR)

            assert (rollbar.url, len(rollbar.accepted)) == (url, 2)


async def test_a_stand_in_misbehaves_as_often_as_it_is_told() -> None:
    told = {"environment": "p", "revision": "v"}
    async with RollbarStandIn() as rollbar:
        waiting = asyncio.create_task(rollbar.until_accepted(2))
        rollbar.misbehave(Misbehaviour.UNAVAILABLE, times=2)
        rollbar.misbehave(Misbehaviour.LOSE_ANSWER, times=1)
        for _ in range(3):
            with pytest.raises(DeliveryError):
                await ask(rollbar, "/api/1/deploy", told, ROLLBAR)
        assert not waiting.done()
        await ask(rollbar, "/api/1/deploy", told, ROLLBAR)
        await waiting
        rollbar.misbehave(Misbehaviour.CLOSE)
        with pytest.raises(DeliveryError):
            await ask(rollbar, "/api/1/deploy", told, ROLLBAR)
        rollbar.behave()
        await ask(rollbar, "/api/1/deploy", told, ROLLBAR)

    assert (len(rollbar.accepted), len(rollbar.requests)) == (3, 6)
