"""The real process follows its deploy: real requests, a real Redis, services that misbehave, and its end."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.runtime.lifecycle import STOP_LIMIT
from tests.deploys.stand_ins import Misbehaviour, RollbarStandIn, SlackStandIn, StandIn
from tests.deploys.stand_ins.base import TOKEN
from tests.deploys.stand_ins.webhook import SIGNING_SECRET, WebhookStandIn
from tests.network.cluster import FakeCluster
from tests.network.fakes import Fake, silent
from tests.network.kube import service_account, serving
from tests.network.tls import Certificates
from tests.process.harness import Sidecar, running
from tools.servers import RedisServer

REPLICAS = 50


def checks(db: Fake) -> str:
    return (
        f"  - {{name: db, type: tcp, host: 127.0.0.1, port: {db.port}, gates: [startup, readiness], "
        "interval: 200ms, failure_threshold: 1}\n"
    )


@dataclass
class Services:
    """All that are told, on ports of their own."""

    slack: SlackStandIn
    rollbar: RollbarStandIn
    hook: WebhookStandIn

    @property
    def all(self) -> tuple[StandIn, ...]:
        return self.slack, self.rollbar, self.hook

    def section(self, keys: str = "") -> str:
        """Return the section that has them told."""
        announce = [
            {"type": "slack", "token": TOKEN, "channel": "C0123456789", "base_url": self.slack.url},
            {"type": "rollbar", "token": TOKEN, "base_url": self.rollbar.url},
            {"type": "webhook", "url": self.hook.hook_url, "secret": SIGNING_SECRET},
        ]
        return section(f"announce: {json.dumps(announce)}, {keys}")

    def told(self) -> list[str]:
        """Return the events that came to the webhook."""
        return [str(each["type"]).removeprefix("deploy.") for each in self.hook.accepted]


def section(keys: str) -> str:
    known = "service: builds, environment: production, revision: abc123, id: '42'"
    timing = "" if "stable_for" in keys else "stable_for: 500ms, "
    return f"deploy: {{{known}, {timing}{keys}}}\n"


@asynccontextmanager
async def services() -> AsyncIterator[Services]:
    async with AsyncExitStack() as stack:
        yield Services(
            await stack.enter_async_context(SlackStandIn()),
            await stack.enter_async_context(RollbarStandIn()),
            await stack.enter_async_context(WebhookStandIn()),
        )


def assert_no_refusal(told: Services) -> None:
    assert [refusal for each in told.all for refusal in each.refusals] == []


async def test_a_pod_that_comes_up_is_announced_and_says_which_revision_it_is(tmp_path: Path) -> None:
    async with (
        services() as told,
        silent() as db,
        running(tmp_path, checks(db), sections=told.section()) as sidecar,
    ):
        await told.hook.until_accepted(2)
        await told.slack.until_asked(2)
        await told.rollbar.until_asked(2)
        _, body = await sidecar.get("/readyz", accept="application/json")
        _, metrics = await sidecar.get("/metrics")
        code = await sidecar.stop()

    assert (code, told.told()) == (0, ["started", "succeeded"])
    assert [each["status"] for each in told.rollbar.accepted] == ["succeeded"]
    assert len(told.slack.accepted) == 1
    assert_no_refusal(told)
    assert (json.loads(body)["releaseId"], json.loads(body)["deploy"]) == ("abc123", "succeeded")
    assert 'sidecar_deploy_info{environment="production",revision="abc123"} 1.0' in metrics
    for service in ("slack", "rollbar", "webhook"):
        labels = f'event="succeeded",outcome="delivered",service="{service}"'
        assert f"sidecar_announcements_total{{{labels}}} 1.0" in metrics
    assert "sidecar_announcement_queue_length 0.0" in metrics


async def test_a_pod_that_waits_in_vain_times_out_and_recovers(tmp_path: Path) -> None:
    async with services() as told, silent() as db:
        db.shut()
        keys = "deadline: 1s, stable_for: 500ms"
        async with running(tmp_path, checks(db), sections=told.section(keys)) as sidecar:
            line = await sidecar.until_logged("deploy timed out")
            await told.hook.until_accepted(2)
            db.open()
            await told.hook.until_accepted(3)
            await sidecar.stop()

    refused = f"127.0.0.1:{db.port} refused the connection"
    assert told.told() == ["started", "timed_out", "succeeded"]
    assert line["checks"] == f"db: refused: {refused}"
    assert told.hook.accepted[1]["data"]["failures"] == [
        {"check": "db", "reason": "refused", "message": refused}
    ]
    assert_no_refusal(told)


@pytest.mark.parametrize(
    "how",
    [
        Misbehaviour.HANG,
        Misbehaviour.RATE_LIMIT,
        Misbehaviour.UNAVAILABLE,
        Misbehaviour.REDIRECT,
        Misbehaviour.GARBAGE,
        Misbehaviour.POLITE,
        Misbehaviour.ENDLESS,
        Misbehaviour.CLOSE,
    ],
)
async def test_services_that_misbehave_delay_neither_checks_nor_probes_nor_the_end(
    tmp_path: Path, how: Misbehaviour
) -> None:
    async with services() as told, silent() as db:
        for each in told.all:
            each.misbehave(how)
        async with running(tmp_path, checks(db), sections=told.section()) as sidecar:
            await told.slack.until_asked(1)
            slowest = await follows_a_check(sidecar, db)
            ending = time.monotonic()
            code = await sidecar.stop()
            ended = time.monotonic() - ending

    assert (code, slowest < 5.0, ended < STOP_LIMIT) == (0, True, True), (slowest, ended)
    assert "Traceback" not in "".join(sidecar.raw)
    assert TOKEN not in "".join(sidecar.raw)


async def follows_a_check(sidecar: Sidecar, db: Fake) -> float:
    """See probes follow a check down and up again; return the seconds that this took."""
    began = time.monotonic()
    await sidecar.until("/readyz", 200)
    db.shut()
    await sidecar.until("/readyz", 503)
    db.open()
    await sidecar.until("/readyz", 200)
    return time.monotonic() - began


async def test_what_is_pending_gets_one_more_attempt_at_the_end(tmp_path: Path) -> None:
    async with services() as told, silent() as db:
        for each in told.all:
            each.misbehave(Misbehaviour.RATE_LIMIT)
        async with running(
            tmp_path, checks(db), sections=told.section("stable_for: 1h, deadline: 2h")
        ) as sidecar:
            for each in told.all:
                await each.until_asked(1)
                each.behave()
            assert await sidecar.stop() == 0

    assert told.told() == ["started"]


async def test_a_start_that_is_given_up_is_announced_with_its_reason_before_the_end(
    tmp_path: Path, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis(password="right")
    async with services() as told:
        check = f"  - {{name: db, type: redis, url: redis://127.0.0.1:{redis.port}/0, password: hunter2!, "
        given_up = "startup: {fail_fast: 1s}\n"
        async with running(
            tmp_path, f"{check}gates: startup}}\n", sections=f"{told.section()}{given_up}"
        ) as sidecar:
            async with asyncio.timeout(20):
                code = await sidecar.process.wait()

    assert (code, told.told()) == (3, ["started", "failed"])
    assert [each["reason"] for each in told.hook.accepted[1]["data"]["failures"]] == ["auth"]
    assert "hunter2!" not in json.dumps([each.accepted for each in told.all]) + "".join(sidecar.raw)


async def test_with_a_claim_in_redis_a_restart_and_a_second_pod_announce_nothing(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    redis_server.command("FLUSHALL")
    claim = f"claim: redis, redis: {{url: '{redis_server.url}'}}"
    async with services() as told, silent() as db:
        for folder in ("first", "again", "second"):
            (tmp_path / folder).mkdir()
            async with running(tmp_path / folder, checks(db), sections=told.section(claim)) as sidecar:
                await sidecar.until_logged("deploy started" if folder == "first" else "deploy is known")
                await told.hook.until_accepted(2)
                await sidecar.stop(signal.SIGKILL if folder == "first" else signal.SIGTERM)

    assert told.told() == ["started", "succeeded"]
    assert_no_refusal(told)


async def test_a_store_that_refuses_is_said_once_and_holds_nobody_up(tmp_path: Path) -> None:
    async with services() as told, silent() as db, silent() as store:
        store.shut()
        claim = f"claim: redis, redis: {{url: 'redis://127.0.0.1:{store.port}/0'}}"
        async with running(tmp_path, checks(db), sections=told.section(claim)) as sidecar:
            line = await sidecar.until_logged("the deploy's record cannot be kept")
            await sidecar.until("/readyz", 200)
            await asyncio.sleep(3)
            times = sidecar.times("the deploy's record cannot be kept")
            code = await sidecar.stop()

    assert (code, times, told.told()) == (0, 1, [])
    assert line["detail"] == f"127.0.0.1:{store.port} refused the connection"


async def test_a_deploy_claimed_in_the_cluster_is_known_by_its_rollout(
    tmp_path: Path, certificates: Certificates
) -> None:
    account = service_account(tmp_path / "account", certificates)
    kubernetes = f"kubernetes: {{service_account: {account}}}\n"
    events = "deploy: {service: builds, environment: production, revision: abc123, stable_for: 500ms, "
    claimed = f"{events}claim: kubernetes, announce: [{{type: kubernetes-event}}]}}\n"
    async with serving(FakeCluster(), certificates) as cluster, silent() as db:
        for rollout, told, times in (
            ("7", "announced", 2),
            ("7", "deploy is known", 1),
            ("8", "announced", 2),
        ):
            cluster.rollout = rollout
            async with running(
                tmp_path, checks(db), sections=f"{kubernetes}{claimed}", env=cluster.environ
            ) as sidecar:
                await sidecar.until_logged_times(told, times)
                await sidecar.until("/readyz", 200)
                await asyncio.sleep(2)  # in which nothing more is told
                await sidecar.stop()

    reasons = [event["reason"] for event in cluster.events.values()]
    assert reasons == ["DeployStarted", "DeploySucceeded"] * 2
    assert len(cluster.leases) == 2


async def test_fifty_processes_at_once_announce_each_event_once(redis_server: RedisServer) -> None:
    redis_server.command("FLUSHALL")
    async with WebhookStandIn() as hook:
        config = section(
            f"claim: redis, redis: {{url: '{redis_server.url}'}}, "
            f"announce: [{{type: webhook, url: '{hook.hook_url}', secret: {SIGNING_SECRET}}}]"
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.deploys.replicas_of", config, str(REPLICAS)),
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()

    assert (process.returncode, b"Traceback" in errors) == (0, False), errors
    assert ([each["type"] for each in hook.accepted], hook.repeated) == (
        ["deploy.started", "deploy.succeeded"],
        0,
    )
