"""Telling services once: side by side, with few attempts, and an end to all of it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from sidecar.config.deploy import ServiceConfig
from sidecar.config.kinds.secret import Secret
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import Deploy, DeployEvent, Receipt
from sidecar.deploys._once import Ending, Patience, Rehearsal, Teller, Told
from sidecar.deploys._service import Answer, DeliveryError, Request, Send
from sidecar.support.text import Redactor
from tests.deploys.services import TYPES, ListenerConfig

pytestmark = pytest.mark.looptime

SENT = Answer(200, b'{"times": "1"}')
DEPLOY = Deploy(service="web", environment="production", revision="abc123", id="7")


def listener(**keys: Any) -> ListenerConfig:
    return ListenerConfig(**{"type": "listener", "token": Secret("hidden-token"), **keys})


class Post:
    """Answers each request with the next word: an answer, what to raise, or seconds of silence."""

    def __init__(self, *words: Answer | DeliveryError | float) -> None:
        self._words = list(words)
        self.requests: list[tuple[float, Request]] = []

    async def send(self, request: Request) -> Answer:
        now = asyncio.get_running_loop().time()
        self.requests.append((now, request))
        word = self._words.pop(0)
        if isinstance(word, float):
            await asyncio.sleep(word)
            raise DeliveryError("is slow")
        if isinstance(word, DeliveryError):
            raise word
        return word

    @property
    def methods(self) -> list[str]:
        return [request.method for _, request in self.requests]

    @property
    def times(self) -> list[float]:
        return [at - self.requests[0][0] for at, _ in self.requests]


def teller(
    sends: Mapping[str, Send],
    event: DeployEvent = DeployEvent.STARTED,
    receipts: Mapping[str, Receipt] | None = None,
    patience: Patience | None = None,
) -> Teller:
    announcement = Announcement(event=event, deploy=DEPLOY, started_at=0.0, time=0.0)
    return Teller(
        announcement,
        receipts or {},
        send_for=lambda service: sends[service.label],
        redact=Redactor(["hidden-token"]),
        patience=patience,
        draw=lambda _low, _high: 1.0,
    )


async def tell_one(post: Post, service: ServiceConfig | None = None, **options: Any) -> Told:
    config = service or listener()
    (told,) = await teller({config.label: post.send}, **options).tell([config], TYPES)
    return told


def delays(*seconds: float) -> Any:
    return pytest.approx(list(seconds), abs=0.01)


async def test_what_is_delivered_returns_its_receipt() -> None:
    config = listener()

    assert await tell_one(Post(SENT), config) == Told(config, Ending.DELIVERED, receipt={"times": "1"})


async def test_a_service_is_given_the_receipt_of_its_last_announcement() -> None:
    post = Post(SENT)

    await tell_one(post, receipts={"listener": {"thread": "9"}, "other": {"thread": "8"}})

    assert json.loads(post.requests[0][1].body or b"") == {
        "event": "started",
        "revision": "abc123",
        "thread": "9",
    }


async def test_attempts_that_fail_are_repeated_after_longer_and_longer_pauses() -> None:
    post = Post(*(DeliveryError("is away") for _ in range(3)), SENT)

    told = await tell_one(post)

    assert (told.ending, post.times) == (Ending.DELIVERED, delays(0.0, 1.0, 3.0, 7.0))


async def test_after_five_attempts_it_is_given_up() -> None:
    post = Post(*(DeliveryError(f"is away for the {number}th time") for number in range(1, 6)))

    told = await tell_one(post)

    assert (told.ending, told.sentence, len(post.requests)) == (
        Ending.GIVEN_UP,
        "is away for the 5th time",
        5,
    )


async def test_what_is_refused_for_good_is_not_tried_again() -> None:
    post = Post(DeliveryError("answered 401", is_final=True))

    told = await tell_one(post)

    assert (told.ending, told.sentence, len(post.requests)) == (Ending.GIVEN_UP, "answered 401", 1)


async def test_a_service_is_left_alone_for_as_long_as_it_asks() -> None:
    post = Post(DeliveryError("answered 429", retry_after=12.0), SENT)

    told = await tell_one(post)

    assert (told.ending, post.times) == (Ending.DELIVERED, delays(0.0, 12.0))


async def test_nobody_waits_for_a_service_that_asks_for_more_time_than_there_is() -> None:
    began = asyncio.get_running_loop().time()

    told = await tell_one(Post(DeliveryError("answered 429", retry_after=60.0)))

    assert (told.ending, told.sentence) == (Ending.GIVEN_UP, "answered 429")
    assert asyncio.get_running_loop().time() - began < 0.01


async def test_an_attempt_is_broken_off_when_the_time_is_over() -> None:
    began = asyncio.get_running_loop().time()

    told = await tell_one(Post(10.0, 10.0, 10.0))

    assert (told.ending, told.sentence) == (Ending.GIVEN_UP, "is slow")
    assert asyncio.get_running_loop().time() - began == pytest.approx(30.0, abs=0.01)


async def test_what_was_answered_last_is_told_where_time_runs_out_in_an_attempt() -> None:
    away = [DeliveryError("answered 503") for _ in range(4)]

    told = await tell_one(Post(*away, 60.0))

    assert (told.ending, told.sentence) == (Ending.GIVEN_UP, "answered 503")


async def test_a_service_that_never_answered_is_said_to_be_silent() -> None:
    told = await tell_one(Post(60.0))

    assert (told.ending, told.sentence) == (Ending.GIVEN_UP, "did not answer within 30s")


async def test_a_service_that_hangs_delays_no_other() -> None:
    hung, well = listener(name="hung"), listener(name="well")
    post = Post(SENT)

    told = await teller({"hung": Post(60.0).send, "well": post.send}).tell([hung, well], TYPES)

    assert [(each.service.label, each.ending) for each in told] == [
        ("hung", Ending.GIVEN_UP),
        ("well", Ending.DELIVERED),
    ]
    assert post.times == [0.0]


async def test_a_service_that_can_tell_is_asked_before_it_is_told() -> None:
    finder = listener(type="finder")
    knows = Post(Answer(200, b'{"id": 1}'))
    knows_not = Post(Answer(200, b"{}"), SENT)
    says_not = Post(DeliveryError("answered 403", is_final=True), SENT)
    has_heard = Post(Answer(200, b"{}"), 10.0, Answer(200, b'{"id": 1}'))

    told = [await tell_one(post, finder) for post in (knows, knows_not, says_not, has_heard)]

    assert [each.receipt for each in told] == [
        {"found": "yes"},
        {"times": "1"},
        {"times": "1"},
        {"found": "yes"},
    ]
    assert [post.methods for post in (knows, knows_not, says_not, has_heard)] == [
        ["GET"],
        ["GET", "POST"],
        ["GET", "POST"],
        ["GET", "POST", "GET"],
    ]


async def test_who_does_not_want_the_event_or_cannot_take_it_is_not_told() -> None:
    deaf = listener(name="deaf", events=frozenset({DeployEvent.SUCCEEDED}))
    pessimist = listener(type="pessimist")

    assert await teller({}).tell([deaf, pessimist], TYPES) == []


async def test_what_only_a_pod_can_tell_is_skipped() -> None:
    cluster = listener(type="cluster")

    assert await teller({}).tell([cluster], TYPES) == [
        Told(cluster, Ending.SKIPPED, "only a pod can tell it")
    ]


async def test_a_bug_in_a_service_is_its_own_ending(caplog: pytest.LogCaptureFixture) -> None:
    well = listener(name="well")
    sends: Mapping[str, Send] = {"listener": Post().send, "well": Post(SENT).send}

    told = await teller(sends).tell([listener(), well], TYPES)

    assert [(each.ending, each.sentence) for each in told] == [
        (Ending.GIVEN_UP, "unexpected IndexError, a bug in the sidecar"),
        (Ending.DELIVERED, ""),
    ]
    assert [each.getMessage() for each in caplog.records] == ["announcing crashed"]


async def test_a_rehearsal_sends_nothing_and_keeps_what_would_be_sent() -> None:
    rehearsal = Rehearsal()

    (told,) = await teller({"listener": rehearsal.send}).tell([listener()], TYPES)

    assert (told.ending, [each.url for each in rehearsal.requests]) == (
        Ending.DELIVERED,
        ["http://listener.test/"],
    )


async def test_patience_can_be_shorter() -> None:
    post = Post(DeliveryError("is away"), DeliveryError("is still away"))

    told = await tell_one(post, patience=Patience(attempts=2, seconds=5.0))

    assert (told.sentence, post.times) == ("is still away", delays(0.0, 1.0))
