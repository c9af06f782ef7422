"""Where copies of messages may be looked at, and what they show: frozen facts in, findings out."""

from collections.abc import Sequence
from typing import Final

import pytest

from sidecar.checks._broker import Binding, Exchange, Facts, Queue, Unknown
from sidecar.checks._sample import Tally, Way, judge_sample, ways
from sidecar.checks.rabbitmq_delivery import DeliveryConfig
from sidecar.core.check import Reason
from sidecar.core.finding import Finding, Standing
from sidecar.core.sample import Identifier, Message, Sample
from tests.checks.contract import load_one

HELD, VIOLATED, UNVERIFIABLE = Standing.HELD, Standing.VIOLATED, Standing.UNVERIFIABLE
NO_RIGHT: Final = Unknown(Reason.FORBIDDEN, "the broker says 'no'")
BOUND: Final = (
    Binding(destination="work", routing_key="other"),
    Binding(destination="work", routing_key="a.*"),
)
WAY: Final = Way("ev", "a.*", "work")
SAMPLE: Final = Sample(count=20, seconds=5.0)


def found(
    exchange: Exchange | Unknown | None,
    bindings: tuple[Binding, ...] | Unknown = BOUND,
    queue: Queue | None = None,
    name: str = "ev",
) -> Way | str:
    """Return the way to look at, or why it is not looked at."""
    wanted = {"exchange": name, "queue": "work", "routing_key": "a.b"}
    config = load_one({"type": "rabbitmq-delivery", "url": "amqp://r", "bindings": [wanted]}).checks[0]
    assert isinstance(config, DeliveryConfig)
    facts = Facts(exchanges={name: exchange}, bindings={(name, "work"): bindings}, queues={"work": queue})
    (way,) = ways(config, facts)
    if isinstance(way, Way):
        return way
    assert (way.standing, way.rule) == (UNVERIFIABLE, "sample")
    subject = f"messages from exchange {name} to queue work are not looked at: "
    assert way.sentence.startswith(subject)
    return way.sentence.removeprefix(subject)


@pytest.mark.parametrize("kind", ["direct", "fanout", "topic"])
def test_a_copy_is_had_beside_a_binding_that_was_verified(kind: str) -> None:
    bindings = BOUND if kind == "topic" else (Binding(destination="work", routing_key="a.b"),)
    way = found(Exchange(name="ev", type=kind), bindings)

    assert way == Way("ev", bindings[-1].routing_key, "work")


def test_a_queue_that_keeps_all_on_disk_is_known() -> None:
    exchange = Exchange(name="ev", type="topic")

    assert [found(exchange, queue=Queue(name="work", type=kind)) for kind in ("classic", "quorum")] == [
        WAY,
        Way("ev", "a.*", "work", keeps_all=True),
    ]


@pytest.mark.parametrize("kind", ["headers", "x-consistent-hash", "x-random", "x-delayed-message"])
def test_an_exchange_that_may_hand_a_share_away_is_refused(kind: str) -> None:
    assert found(Exchange(name="ev", type=kind)) == (
        f"another queue on an exchange of type {kind} could take messages away"
    )


def test_an_alternate_exchange_is_refused_by_argument_and_by_policy() -> None:
    alternate = Exchange(name="ev", type="topic", arguments={"alternate-exchange": "last"})

    assert found(alternate) == "it has the alternate exchange last, which another binding could starve"
    assert found(Exchange(name="ev", type="topic", has_policy=True)) == (
        "a policy may give it an alternate exchange, which another binding could starve"
    )


def test_the_default_exchange_is_refused() -> None:
    for name in ("amq.default", ""):
        assert (
            found(Exchange(name=name), name="amq.default") == "nothing can be bound to the default exchange"
        )


def test_what_was_not_verified_is_refused() -> None:
    topic = Exchange(name="ev", type="topic")

    assert found(None) == "the exchange does not exist"
    assert found(NO_RIGHT) == found(topic, NO_RIGHT) == "the broker says 'no'"
    assert found(topic, BOUND[:1]) == found(topic, ()) == "the queue is not bound so"


def test_without_bindings_there_is_nothing_to_look_at() -> None:
    config = load_one({"type": "rabbitmq-delivery", "url": "amqp://r"}).checks[0]
    assert isinstance(config, DeliveryConfig)

    assert [
        (each.standing, each.sentence) for each in ways(config, Facts()) if isinstance(each, Finding)
    ] == [(UNVERIFIABLE, "no binding is listed beside which messages could be looked at")]


def judged(messages: Sequence[Message], way: Way = WAY) -> list[tuple[str, Standing, str]]:
    tally = Tally(Identifier())
    for each in messages:
        tally.take(each)
    return [(each.rule, each.standing, each.sentence) for each in judge_sample(way, tally, SAMPLE)]


def good(*identifiers: str) -> list[Message]:
    return [Message(is_persistent=True, message_id=each) for each in identifiers]


WHERE: Final = "from exchange ev to queue work"


def test_good_messages_hold_every_rule() -> None:
    assert judged(good("a", "b", "c")) == [
        ("messages", HELD, f"each of 3 messages {WHERE} is persistent"),
        ("identifier", HELD, f"each of 3 messages {WHERE} has a message_id"),
        ("identifier", HELD, f"no two of 3 messages {WHERE} have the same message_id"),
    ]


def test_one_message_says_nothing_of_uniqueness() -> None:
    assert [each[0] for each in judged(good("a"))] == ["messages", "identifier"]


def test_bad_messages_are_counted() -> None:
    messages = [*good("a", "b", "a", "a"), Message(message_id="c"), Message(is_persistent=True)]

    assert judged(messages) == [
        ("messages", VIOLATED, f"1 of 6 messages {WHERE} would not survive a restart of the broker"),
        ("identifier", VIOLATED, f"1 of 6 messages {WHERE} had no message_id"),
        ("identifier", VIOLATED, f"2 of 6 messages {WHERE} repeated the message_id of another"),
    ]


def test_without_identifiers_nothing_is_said_of_uniqueness() -> None:
    assert judged([Message(is_persistent=True)] * 2)[1:] == [
        ("identifier", VIOLATED, f"2 of 2 messages {WHERE} had no message_id")
    ]


def test_what_a_queue_keeps_on_disk_need_not_be_persistent() -> None:
    assert judged([Message(message_id="a")], Way("ev", "a.*", "work", keeps_all=True))[0] == (
        "messages",
        HELD,
        "queue work keeps every message on disk",
    )


def test_no_message_is_no_pass() -> None:
    assert judged([]) == [
        (
            "sample",
            UNVERIFIABLE,
            f"no message went {WHERE} within 5s: neither persistence nor identifiers can be verified",
        )
    ]


def test_of_identifiers_only_hashes_are_kept_and_no_two_tallies_have_the_same() -> None:
    tallies = [Tally(Identifier()) for _ in range(2)]
    for each in tallies:
        each.take(Message(message_id="order-4711", body=b"a body"))
    kept = [repr({key: value for key, value in vars(each).items() if key != "_key"}) for each in tallies]

    assert "order-4711" not in "".join(kept)
    assert "a body" not in "".join(kept)
    assert kept[0] != kept[1]
