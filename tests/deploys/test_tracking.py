"""Our deploy, followed in compressed time: every path, many processes, a store or services that misbehave."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sidecar.core.announcement import BUDGET
from sidecar.core.check import Reason
from sidecar.core.deploy import LEASE, DeployEvent, Progress
from sidecar.core.phase import Phase
from sidecar.deploys._service import DeliveryError
from sidecar.deploys.claims.memory import MemoryClaim
from sidecar.deploys.tracking.tracker import RENEW_EVERY, SILENT_AFTER
from sidecar.runtime.clock import Clock
from tests.deploys.records import DEPLOY
from tests.deploys.replicas import KnowingService, Replica, Service, Store, World
from tests.runtime.fakes import EPOCH, now

pytestmark = pytest.mark.looptime

STABLE, DEADLINE, HOPELESS = 30.0, 600.0, 60.0
MOMENT = 5.0
"""Seconds in which all that is due is done."""
UNREACHABLE = DeliveryError("https://slack did not answer within 10s")
NO = DeliveryError("https://slack answered 403", is_final=True)


@asynccontextmanager
async def world(*services: Service, **others: Service) -> AsyncIterator[World]:
    named = {f"slack-{number}" if number else "slack": each for number, each in enumerate(services)}
    made = World({**named, **others})
    try:
        yield made
    finally:
        await made.end()


async def test_a_deploy_that_comes_up_is_started_and_live_when_it_has_been_ready_for_30s() -> None:
    slack = Service()
    async with world(slack) as deploy:
        pod = deploy.replica()
        await asyncio.sleep(10)
        assert slack.events == ["started"]
        pod.say()
        ready_at = now()
        await asyncio.sleep(STABLE - 1)
        assert slack.events == ["started"]
        await asyncio.sleep(MOMENT)

    assert slack.events == ["started", "succeeded"]
    assert slack.told[1].pod == "builds-0"
    assert STABLE <= slack.told[1].time - EPOCH - ready_at <= STABLE + 3
    assert pod.outcomes == {("started", "delivered"): 1, ("succeeded", "delivered"): 1}


async def test_a_break_in_readiness_begins_the_30s_anew() -> None:
    slack = Service()
    async with world(slack) as deploy:
        pod = deploy.replica()
        pod.say()
        await asyncio.sleep(20)
        pod.say(Reason.REFUSED)
        await asyncio.sleep(1)
        pod.say()
        again_at = now()
        await asyncio.sleep(STABLE + MOMENT)

    assert slack.told[-1].time - EPOCH - again_at >= STABLE


async def test_a_pod_that_drains_is_not_ready() -> None:
    slack = Service()
    async with world(slack) as deploy:
        pod = deploy.replica()
        pod.say()
        await asyncio.sleep(STABLE - MOMENT)
        pod.board.drain(keeps_ready=True)
        await asyncio.sleep(STABLE)

    assert slack.events == ["started"]


async def test_what_waiting_does_not_cure_fails_the_deploy_after_60s_with_check_reason_and_message() -> None:
    slack = Service()
    async with world(slack) as deploy:
        pod = deploy.replica(redact=lambda text: text.replace("hunter2", "***"))
        pod.say(Reason.AUTH, "db:5432 refused hunter2")
        await asyncio.sleep(HOPELESS - 2)
        assert slack.events == ["started"]
        await asyncio.sleep(MOMENT)

    failed = slack.told[-1]
    assert (failed.event, failed.is_recovery) == (DeployEvent.FAILED, False)
    assert [(each.name, each.reason, each.message) for each in failed.failures] == [
        ("db", "auth", "db:5432 refused ***")
    ]


async def test_another_reason_in_between_begins_the_60s_anew() -> None:
    slack = Service()
    async with world(slack) as deploy:
        pod = deploy.replica()
        for _ in range(5):
            pod.say(Reason.AUTH)
            await asyncio.sleep(50)
            pod.say(Reason.REFUSED)

    assert slack.events == ["started"]


async def test_a_deploy_that_failed_may_recover() -> None:
    slack = Service()
    async with world(slack) as deploy:
        pod = deploy.replica()
        pod.say(Reason.AUTH)
        await asyncio.sleep(HOPELESS + MOMENT)
        pod.say()
        await asyncio.sleep(STABLE + MOMENT)

    assert [(each.event, each.is_recovery) for each in slack.told] == [
        (DeployEvent.STARTED, False),
        (DeployEvent.FAILED, False),
        (DeployEvent.SUCCEEDED, True),
    ]


async def test_a_deploy_that_waits_in_vain_times_out_at_the_deadline_of_its_claim_and_may_recover() -> None:
    slack = Service()
    async with world(slack) as deploy:
        first = deploy.replica()
        first.say(Reason.REFUSED, "db:5432 refused the connection")
        await asyncio.sleep(DEADLINE - 100)
        first.kill()
        second = deploy.replica()
        second.say(Reason.REFUSED, "db:5432 refused the connection")
        await asyncio.sleep(99)
        assert slack.events == ["started"]
        await asyncio.sleep(MOMENT)
        assert slack.events == ["started", "timed_out"]
        second.say()
        await asyncio.sleep(STABLE + MOMENT)

    assert slack.events == ["started", "timed_out", "succeeded"]
    assert (slack.told[1].pod, slack.told[1].failures[0].name) == ("builds-1", "db")


async def test_a_deploy_that_failed_does_not_time_out_as_well() -> None:
    slack = Service()
    async with world(slack) as deploy:
        deploy.replica().say(Reason.AUTH)
        await asyncio.sleep(2 * DEADLINE)

    assert slack.events == ["started", "failed"]


async def test_while_one_pod_is_live_no_other_fails_the_deploy() -> None:
    slack = Service()
    async with world(slack) as deploy:
        good, bad = deploy.replica(), deploy.replica()
        good.say()
        bad.say(Reason.AUTH)
        await asyncio.sleep(2 * DEADLINE)

    assert slack.events == ["started", "succeeded"]


async def test_who_was_told_to_stop_times_nobody_out() -> None:
    slack = Service()
    async with world(slack) as deploy:
        pod = deploy.replica()
        pod.say(Reason.REFUSED)
        await asyncio.sleep(DEADLINE - 10)
        pod.board.drain(keeps_ready=False)
        await asyncio.sleep(60)
        await pod.stop()

    assert slack.events == ["started"]


async def test_a_start_that_is_given_up_is_announced_at_its_end() -> None:
    slack = Service()
    async with world(slack) as deploy:
        pod = deploy.replica(fail_fast=10.0)
        await asyncio.sleep(1)
        pod.say(Reason.AUTH)
        await asyncio.sleep(9.5)
        assert slack.events == ["started"]
        await asyncio.sleep(0.5)
        pod.board.enter(Phase.STOPPED)
        await pod.tracking.aclose(has_given_up=True)

    assert slack.events == ["started", "failed"]


@pytest.mark.parametrize("why", ["restart", "reschedule", "scale-up"])
async def test_a_deploy_that_was_announced_is_announced_to_nobody_again(why: str) -> None:
    slack = Service()
    async with world(slack) as deploy:
        first = deploy.replica()
        first.say()
        await asyncio.sleep(STABLE + MOMENT)
        if why != "scale-up":
            first.kill()
        await asyncio.sleep(1000)
        second = deploy.replica("builds-0" if why == "restart" else "")
        second.say(Reason.AUTH)
        await asyncio.sleep(DEADLINE)
        second.say()
        await asyncio.sleep(DEADLINE)

    assert slack.events == ["started", "succeeded"]
    assert second.outcomes == {}


async def test_fifty_processes_at_once_announce_each_event_once() -> None:
    slack, sentry = Service(), Service()
    async with world(slack, sentry=sentry) as deploy:
        pods = [deploy.replica() for _ in range(50)]
        await asyncio.sleep(1)
        for pod in pods:
            pod.say()
        await asyncio.sleep(STABLE + MOMENT)

    assert (slack.events, sentry.events) == (["started", "succeeded"],) * 2


async def test_two_revisions_side_by_side_are_two_deploys_whose_restarts_are_silent() -> None:
    slack = Service()
    old, new = (replace(DEPLOY, revision=revision, id=revision) for revision in ("v1", "v2"))
    stores = {each.id: Store(MemoryClaim(each)) for each in (old, new)}
    async with world(slack) as deploy:

        def replica(of: str) -> Replica:
            deploy.store = stores[of]
            pod = deploy.replica()
            pod.say()
            return pod

        before = replica("v1")
        await asyncio.sleep(STABLE + MOMENT)
        replica("v2")
        await asyncio.sleep(10)
        before.kill()
        replica("v1")
        await asyncio.sleep(2 * DEADLINE)

    assert [(each.deploy.revision, each.event) for each in slack.told] == [
        ("v1", DeployEvent.STARTED),
        ("v1", DeployEvent.SUCCEEDED),
        ("v2", DeployEvent.STARTED),
        ("v2", DeployEvent.SUCCEEDED),
    ]


async def test_a_rollback_is_a_deploy_of_its_own() -> None:
    slack = Service()
    async with world(slack) as deploy:
        for id_, revision in (("1", "v1"), ("2", "v2"), ("3", "v1")):
            identity = replace(DEPLOY, revision=revision, id=id_)
            deploy.store = Store(MemoryClaim(identity))
            pod = deploy.replica()
            pod.say()
            await asyncio.sleep(STABLE + MOMENT)
            pod.kill()

    assert [each.deploy.revision for each in slack.told if each.event is DeployEvent.SUCCEEDED] == [
        "v1",
        "v2",
        "v1",
    ]


async def test_what_one_announced_is_updated_by_another() -> None:
    slack = Service()
    async with world(slack) as deploy:
        first = deploy.replica()
        await asyncio.sleep(1)
        first.kill()
        deploy.replica().say()
        await asyncio.sleep(STABLE + MOMENT)

    assert slack.receipts == [{}, {"number": "1"}]


async def test_a_service_that_hangs_holds_up_neither_another_nor_what_follows() -> None:
    slack, sentry = Service(hangs=True), Service()
    async with world(slack, sentry=sentry) as deploy:
        pod = deploy.replica()
        pod.say()
        await asyncio.sleep(STABLE + MOMENT)
        assert pod.board.queued_announcements == 2

    assert (sentry.events, slack.events) == (["started", "succeeded"], [])


async def test_a_service_is_tried_again_with_pauses_that_double() -> None:
    slack = Service(errors=[UNREACHABLE] * 4)
    async with world(slack) as deploy:
        deploy.replica()
        await asyncio.sleep(30)

    assert [round(each) for each in slack.attempts] == [0, 1, 3, 7, 15]
    assert slack.events == ["started"]


async def test_trouble_is_logged_with_the_first_attempt(caplog: pytest.LogCaptureFixture) -> None:
    async with world(Service(errors=[UNREACHABLE] * 4)) as deploy:
        deploy.replica()
        await asyncio.sleep(30)

    told = [(line.message, line.__dict__["detail"]) for line in caplog.records]
    assert told == [("cannot announce yet", UNREACHABLE.sentence)]


async def test_what_is_left_behind_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with world(Service(hangs=True), sentry=Service(errors=[UNREACHABLE] * 9), hook=Service()) as deploy:
        pod = deploy.replica()
        await asyncio.sleep(0.5)
        await pod.stop()

    [line] = [line for line in caplog.records if line.message == "announcements are left behind"]
    assert line.__dict__["announcements"] == "sentry started; slack started"


async def test_a_service_that_asks_to_be_left_alone_is() -> None:
    slack = Service(errors=[DeliveryError("https://slack answered 429", retry_after=40.0)])
    async with world(slack) as deploy:
        deploy.replica()
        await asyncio.sleep(60)

    assert [round(each) for each in slack.attempts] == [0, 40]


async def test_what_is_in_vain_is_given_up_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    never, no = Service(errors=[UNREACHABLE] * 99), Service(errors=[NO])
    async with world(never, no) as deploy:
        pod = deploy.replica()
        await asyncio.sleep(BUDGET + 60)
        record = await deploy.store.record()

    assert (len(no.attempts), max(never.attempts) <= BUDGET, len(never.attempts) > 5) == (1, True, True)
    assert pod.outcomes == {("started", "given_up"): 2}
    assert {each.progress for each in record.deliveries} == {Progress.GIVEN_UP}
    given_up = [line for line in caplog.records if line.message == "announcement given up"]
    assert {line.__dict__["detail"] for line in given_up} == {UNREACHABLE.sentence, NO.sentence}


async def test_a_bug_of_a_service_is_told_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Buggy(Service):
        async def tell(self, *_: object) -> dict[str, str]:
            raise KeyError("bug")

    other = Service()
    async with world(Buggy(), other) as deploy:
        deploy.replica().say()
        await asyncio.sleep(STABLE + MOMENT)

    assert other.events == ["started", "succeeded"]
    assert "announcing crashed" in caplog.text


async def test_a_service_that_knows_already_is_not_told_again() -> None:
    sentry = KnowingService()
    async with world(sentry=sentry) as deploy:
        deploy.replica()
        await asyncio.sleep(1)
        deploy.store = Store()  # another claim, as of processes that claim nothing
        second = deploy.replica()
        await asyncio.sleep(1)

    assert (sentry.events, second.outcomes) == (["started"], {("started", "suppressed"): 1})


async def test_who_delivers_renews_the_lease_as_long_as_it_takes() -> None:
    slack = Service(takes=4 * LEASE)
    async with world(slack) as deploy:
        deploy.replica()
        await asyncio.sleep(1)
        other = deploy.replica()
        await asyncio.sleep(5 * LEASE)

    assert (len(slack.attempts), slack.events, other.outcomes) == (1, ["started"], {})


async def test_who_dies_before_it_has_delivered_is_relieved_after_the_lease_time() -> None:
    slack = Service(hangs=True)
    async with world(slack) as deploy:
        first = deploy.replica()
        await asyncio.sleep(1)
        deploy.replica()
        first.kill()
        slack.hangs = False
        await asyncio.sleep(LEASE - 2)
        assert slack.events == []
        await asyncio.sleep(10)

    assert slack.events == ["started"]


async def test_who_was_relieved_while_it_slept_leaves_the_work_to_its_successor() -> None:
    slack = Service(takes=2 * LEASE)
    async with world(slack) as deploy:
        deploy.replica()
        await asyncio.sleep(1)
        for _ in range(10):
            held = await deploy.store.claim.read()
            assert held is not None
            another = replace(held.record, courier="another", courier_until=EPOCH + now() + LEASE)
            await deploy.store.claim.replace(another, held)
            await asyncio.sleep(LEASE / 3)

    assert (len(slack.attempts), slack.events) == (1, [])


async def test_at_its_end_a_process_tries_once_more_and_leaves_the_rest_to_others_at_once() -> None:
    slack = Service(errors=[DeliveryError("https://slack answered 429", retry_after=40.0)] * 2)
    async with world(slack) as deploy:
        first = deploy.replica()
        await asyncio.sleep(0.5)
        ending = now()
        await first.stop()
        ended = now()
        assert (await deploy.store.record()).courier == ""
        second = deploy.replica()
        await asyncio.sleep(1)

    assert (len(slack.attempts), slack.events, ended - ending < 1.0) == (3, ["started"], True)
    assert second.outcomes == {("started", "delivered"): 1}


async def test_a_service_that_hangs_at_the_end_holds_it_up_for_a_second() -> None:
    slack = Service(hangs=True)
    async with world(slack) as deploy:
        pod = deploy.replica()
        await asyncio.sleep(1)
        ending = now()
        await pod.stop()
        assert now() - ending <= 1.5
        assert (await deploy.store.record()).courier == ""


async def test_a_store_that_hangs_at_the_end_holds_it_up_for_two_seconds() -> None:
    slack = Service(hangs=True)
    async with world(slack) as deploy:
        pod = deploy.replica()
        pod.say(Reason.AUTH)
        await asyncio.sleep(HOPELESS - 1)
        deploy.store.is_silent = True
        await asyncio.sleep(1.5)
        ending = now()
        await pod.stop()

        assert now() - ending <= 2.0


class TestSilentStore:
    """The store may be what is broken."""

    async def test_good_news_wait_for_it(self) -> None:
        slack = Service()
        async with world(slack) as deploy:
            deploy.store.is_silent = True
            deploy.replica().say()
            await asyncio.sleep(300)
            assert slack.events == []
            deploy.store.is_silent = False
            await asyncio.sleep(30)

        assert slack.events == ["started", "succeeded"]
        assert not any(each.is_unclaimed for each in slack.told)

    @pytest.mark.parametrize(
        ("reason", "seconds", "event"),
        [(Reason.AUTH, HOPELESS, DeployEvent.FAILED), (Reason.REFUSED, DEADLINE, DeployEvent.TIMED_OUT)],
    )
    async def test_bad_news_do_not_and_go_out_once_per_process_marked_unclaimed(
        self, reason: Reason, seconds: float, event: DeployEvent
    ) -> None:
        slack = Service()
        async with world(slack) as deploy:
            deploy.store.is_silent = True
            for pod in [deploy.replica() for _ in range(3)]:
                pod.say(reason)
            await asyncio.sleep(seconds - 1)
            assert slack.events == []
            await asyncio.sleep(25 + DEADLINE)

        assert [(each.event, each.is_unclaimed) for each in slack.told] == [(event, True)] * 3
        assert {each.pod for each in slack.told} == {"builds-0", "builds-1", "builds-2"}

    async def test_bad_news_are_held_back_for_30s_of_silence(self) -> None:
        slack = Service()
        async with world(slack) as deploy:
            pod = deploy.replica()
            pod.say(Reason.AUTH)
            await asyncio.sleep(HOPELESS - 2)
            deploy.store.is_silent = True
            await asyncio.sleep(SILENT_AFTER - 5)
            assert slack.events == ["started"]
            await asyncio.sleep(30)

        assert [(each.event, each.is_unclaimed) for each in slack.told] == [
            (DeployEvent.STARTED, False),
            (DeployEvent.FAILED, True),
        ]

    async def test_what_was_announced_without_it_is_written_down_later_and_not_repeated(self) -> None:
        slack, sentry = Service(), Service(errors=[NO])
        async with world(slack, sentry=sentry) as deploy:
            deploy.store.is_silent = True
            deploy.replica().say(Reason.AUTH)
            await asyncio.sleep(HOPELESS + 60)
            deploy.store.is_silent = False
            await asyncio.sleep(60)
            record = await deploy.store.record()

        assert slack.events == ["failed"]
        assert [fact.event for fact in record.facts] == ["started", "failed"]
        assert (record.started_at, record.facts[1].time) == (EPOCH, slack.told[0].time + 0.0)
        assert {(each.service, each.event, each.progress) for each in record.deliveries} == {
            ("slack", DeployEvent.FAILED, Progress.DELIVERED),
            ("sentry", DeployEvent.FAILED, Progress.GIVEN_UP),
        }

    async def test_a_recovery_after_its_silence_is_one_and_says_how_long_it_took(self) -> None:
        slack = Service()
        async with world(slack) as deploy:
            deploy.store.is_silent = True
            pod = deploy.replica()
            pod.say(Reason.AUTH)
            await asyncio.sleep(HOPELESS + 60)
            deploy.store.is_silent = False
            pod.say()
            await asyncio.sleep(STABLE + 60)

        assert [(each.event, each.is_recovery) for each in slack.told] == [
            (DeployEvent.FAILED, False),
            (DeployEvent.SUCCEEDED, True),
        ]
        assert slack.told[1].lasted > HOPELESS + 60 + STABLE

    async def test_what_one_announced_without_it_another_does_not_repeat(self) -> None:
        slack = Service()
        async with world(slack) as deploy:
            deploy.store.is_silent = True
            deploy.replica().say(Reason.AUTH)
            await asyncio.sleep(HOPELESS + 20)
            second = deploy.replica()
            deploy.store.is_silent = False
            await asyncio.sleep(20)
            second.say(Reason.AUTH)
            await asyncio.sleep(2 * DEADLINE)

        assert slack.events.count("failed") == 1

    async def test_what_was_delivered_meanwhile_is_not_delivered_again(self) -> None:
        slack = Service(takes=3.0)
        async with world(slack) as deploy:
            deploy.replica()
            await asyncio.sleep(1)
            deploy.store.is_silent = True
            await asyncio.sleep(3 * LEASE)
            deploy.store.is_silent = False
            await asyncio.sleep(3 * LEASE)
            record = await deploy.store.record()

        assert slack.events == ["started"]
        assert (record.pending, record.courier) == ((), "")

    async def test_silence_is_logged_once_and_so_is_its_end(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        async with world() as deploy:
            deploy.store.is_silent = True
            deploy.replica()
            await asyncio.sleep(120)
            deploy.store.is_silent = False
            await asyncio.sleep(30)

        told = [line.message for line in caplog.records if "record can" in line.message]
        assert told == ["the deploy's record cannot be kept", "the deploy's record can be kept again"]

    async def test_one_that_lost_its_record_is_given_it_back(self) -> None:
        slack = Service()
        async with world(slack) as deploy:
            deploy.replica().say()
            await asyncio.sleep(STABLE + MOMENT)
            before = await deploy.store.record()
            deploy.store.claim._record = None  # noqa: SLF001 - as FLUSHALL does
            await asyncio.sleep(2 * RENEW_EVERY)

            assert (slack.events, await deploy.store.record()) == (["started", "succeeded"], before)

    async def test_one_that_refuses_is_asked_again_with_pauses_whatever_is_due(self) -> None:
        looks: list[float] = []

        async def note(_what: str) -> None:
            looks.append(now())

        async with world(Service()) as deploy:
            pod = deploy.replica(step=note)
            pod.say(Reason.AUTH)
            await asyncio.sleep(1)
            deploy.store.refuses = True
            looks.clear()
            await asyncio.sleep(HOPELESS + 300)

        assert 300 / 20 < len(looks) < 300 / 10

    async def test_only_bad_news_are_told_without_it_and_not_what_another_delivers(self) -> None:
        slack = Service(takes=200.0)
        async with world(slack) as deploy:
            deploy.replica()
            await asyncio.sleep(1)
            second = deploy.replica()
            second.say(Reason.AUTH)
            await asyncio.sleep(1)
            deploy.store.is_silent = True
            await asyncio.sleep(HOPELESS + 250)

        assert [(each.event, each.pod) for each in slack.told] == [
            (DeployEvent.STARTED, "builds-0"),
            (DeployEvent.FAILED, "builds-1"),
        ]

    async def test_what_it_does_not_know_yet_is_updated_all_the_same(self) -> None:
        slack = Service(takes=3.0)
        async with world(slack) as deploy:
            deploy.replica().say(Reason.AUTH)
            await asyncio.sleep(1)
            deploy.store.is_silent = True
            await asyncio.sleep(HOPELESS + 60)

        assert (slack.events, slack.receipts) == (["started", "failed"], [{}, {"number": "1"}])

    async def test_bad_news_without_it_are_logged_once(self, caplog: pytest.LogCaptureFixture) -> None:
        async with world(Service()) as deploy:
            deploy.store.is_silent = True
            deploy.replica().say(Reason.AUTH)
            await asyncio.sleep(HOPELESS + 300)

        assert [line.message for line in caplog.records if line.message.startswith("deploy ")] == [
            "deploy failed"
        ]


async def test_the_deploy_of_another_revision_is_left_alone_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slack = Service()
    async with world(slack) as deploy:
        deploy.replica().kill()
        await asyncio.sleep(1)
        deploy.store = Store(MemoryClaim(DEPLOY))
        first = deploy.replica()
        await asyncio.sleep(1)
        first.kill()
        slack.told.clear()
        deploy.plan = replace(deploy.plan, deploy=replace(DEPLOY, revision="def456"))
        deploy.store.claim._deploy = deploy.plan.deploy  # noqa: SLF001 - its configuration's, under the same id
        deploy.replica().say()
        await asyncio.sleep(2 * DEADLINE)

    assert slack.told == []
    [line] = [line for line in caplog.records if line.levelname == "ERROR"]
    assert (line.message, line.__dict__["detail"]) == (
        "deploy.id is taken",
        "it is that of the revision abc123; write another one for each deploy",
    )


async def test_what_one_cannot_deliver_is_left_to_who_can() -> None:
    old, new = Service(hangs=True), Service()
    async with world(old=old) as deploy:
        first = deploy.replica()
        await asyncio.sleep(1)
        first.kill()
        deploy.services = {"new": new}
        second = deploy.replica()
        second.say()
        await asyncio.sleep(2 * LEASE)
        deploy.services, old.hangs = {"old": old}, False
        deploy.replica()
        await asyncio.sleep(2 * LEASE)

    assert (new.events, old.events) == (["succeeded"], ["started"])


async def test_a_settled_deploy_is_looked_at_every_ten_minutes() -> None:
    looks: list[float] = []

    async def note(what: str) -> None:
        if what == "read":
            looks.append(now())

    async with world(Service()) as deploy:
        deploy.replica(step=note).say()
        await asyncio.sleep(STABLE + MOMENT)
        looks.clear()
        await asyncio.sleep(10 * RENEW_EVERY + MOMENT)

    assert len(looks) == 10


async def test_at_its_end_a_process_asks_the_store_nothing_where_all_is_settled() -> None:
    asked: list[str] = []

    async def note(what: str) -> None:
        asked.append(what)

    async with world(Service()) as deploy:
        pod = deploy.replica(step=note)
        pod.say()
        await asyncio.sleep(STABLE + MOMENT)
        asked.clear()
        await pod.stop()

    assert asked == []


async def test_the_board_says_what_has_become_of_us() -> None:
    async with world(Service()) as deploy:
        pod = deploy.replica()
        before = pod.board.deploy_phase
        await asyncio.sleep(1)
        started = pod.board.deploy_phase
        pod.say()
        await asyncio.sleep(STABLE + MOMENT)

    assert (before, started, pod.board.deploy_phase) == (None, DeployEvent.STARTED, DeployEvent.SUCCEEDED)


async def test_a_wall_clock_that_jumps_neither_times_out_nor_fails_a_deploy() -> None:
    slack, shift = Service(), 0.0
    loop = asyncio.get_running_loop()
    clock = Clock(monotonic=loop.time, wall=lambda: EPOCH + loop.time() + shift)
    async with world(slack) as deploy:
        pod = deploy.replica()
        pod.tracking._tracker._clock = clock  # noqa: SLF001 - the one loop that reads it
        pod.say(Reason.REFUSED)
        await asyncio.sleep(10)
        for shift in (3600.0, -3600.0):  # noqa: B007 - read by the clock
            pod.say(Reason.TIMEOUT)
            await asyncio.sleep(50)
            pod.say(Reason.REFUSED)
            await asyncio.sleep(50)

    assert slack.events == ["started"]


async def test_what_happens_is_one_line_each_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with world(Service()) as deploy:
        pod = deploy.replica()
        pod.say(Reason.AUTH, "db:5432 refused the password")
        await asyncio.sleep(HOPELESS + MOMENT)
        late = deploy.replica()
        late.say()
        await asyncio.sleep(STABLE + MOMENT)

    told = [(line.levelname, line.message, line.__dict__.get("checks")) for line in caplog.records]
    assert [each for each in told if each[1].startswith("deploy ")] == [
        ("INFO", "deploy started", None),
        ("ERROR", "deploy failed", "db: auth: db:5432 refused the password"),
        ("INFO", "deploy is known", None),
        ("INFO", "deploy succeeded", None),
    ]
