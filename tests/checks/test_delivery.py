"""The rules of the delivery contract: frozen facts in, findings out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest

from sidecar.checks._behaviour import consumers_of_this_pod
from sidecar.checks._broker import (
    Binding,
    Consumer,
    DeadLetters,
    Exchange,
    Facts,
    Ours,
    Queue,
    Statistics,
    Traffic,
    Unknown,
    matches,
)
from sidecar.checks._contract import OwnConfig
from sidecar.checks._delivery import judge
from sidecar.checks._findings import MESSAGE_LIMIT, TOPOLOGY, Rule, conclude, joined
from sidecar.checks.rabbitmq_delivery import DeliveryConfig
from sidecar.core.check import CheckFailed, Reason
from sidecar.core.finding import Finding, Standing
from tests.checks.contract import load_one

HELD, VIOLATED, UNVERIFIABLE = Standing.HELD, Standing.VIOLATED, Standing.UNVERIFIABLE
NO_RIGHT: Final = Unknown(Reason.FORBIDDEN, "the broker says 'no'")
COUNTED: Final = Statistics(messages=3, ready=2, unacked=1, persistent=3, consumers=())
Told = list[tuple[Standing, str]]


def contract(**keys: object) -> DeliveryConfig:
    config = load_one({"type": "rabbitmq-delivery", "url": "amqp://r", **keys}).checks[0]
    assert isinstance(config, DeliveryConfig)
    return config


def told(rule: Rule, keys: Mapping[str, object], facts: Facts, before: Facts | None = None) -> Told:
    """Return how each rule of one kind stands."""
    findings = judge(contract(**keys), facts, before)
    return [(each.standing, each.sentence) for each in findings if each.rule is rule]


def of_exchange(found: Exchange | Unknown | None, **wanted: object) -> Told:
    keys = {"exchanges": [{"name": "ev", **wanted}]}
    return told(Rule.EXCHANGE, keys, Facts(exchanges={"ev": found}))


def of_queue(found: Queue | Unknown | None, **wanted: object) -> Told:
    return told(Rule.QUEUE, {"queues": [{"name": "work", **wanted}]}, Facts(queues={"work": found}))


def broken(findings: Told) -> Told:
    return [each for each in findings if each[0] is not HELD]


@pytest.mark.parametrize("alarm", ["memory alarm"])
def test_a_broker_takes_messages_unless_it_has_an_alarm(alarm: str) -> None:
    assert told(Rule.NODE, {}, Facts()) == [(HELD, "the broker takes messages")]
    assert told(Rule.NODE, {}, Facts(alarm=alarm)) == [
        (VIOLATED, "the broker takes no messages: memory alarm")
    ]
    assert told(Rule.NODE, {}, Facts(alarm=NO_RIGHT)) == [
        (UNVERIFIABLE, "whether the broker takes messages cannot be verified: the broker says 'no'")
    ]


EXCHANGE: Final = Exchange(name="ev", type="topic")


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        (EXCHANGE, {}, []),
        (EXCHANGE, {"type": "topic", "internal": "false"}, []),
        (replace(EXCHANGE, durable=False), {}, [(VIOLATED, "exchange ev is not durable")]),
        (replace(EXCHANGE, durable=False), {"durable": "false"}, []),
        (EXCHANGE, {"durable": "false"}, [(VIOLATED, "exchange ev is durable")]),
        (replace(EXCHANGE, auto_delete=True), {}, [(VIOLATED, "exchange ev is auto-delete")]),
        (replace(EXCHANGE, auto_delete=True), {"auto_delete": "true"}, []),
        (EXCHANGE, {"type": "direct"}, [(VIOLATED, "exchange ev is of type topic, not direct")]),
        (replace(EXCHANGE, internal=True), {}, []),
        (replace(EXCHANGE, internal=True), {"internal": "false"}, [(VIOLATED, "exchange ev is internal")]),
        (EXCHANGE, {"internal": "true"}, [(VIOLATED, "exchange ev is not internal")]),
        (None, {"type": "topic"}, [(VIOLATED, "exchange ev does not exist")]),
        (NO_RIGHT, {}, [(UNVERIFIABLE, "exchange ev cannot be verified: the broker says 'no'")]),
    ],
)
def test_an_exchange_is_as_it_is_to_be(
    found: Exchange | Unknown | None, wanted: dict[str, object], expected: Told
) -> None:
    assert broken(of_exchange(found, **wanted)) == expected


QUEUE: Final = Queue(name="work")


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        (QUEUE, {"type": "classic"}, []),
        (replace(QUEUE, durable=False), {}, [(VIOLATED, "queue work is not durable")]),
        (replace(QUEUE, auto_delete=True), {}, [(VIOLATED, "queue work is auto-delete")]),
        (replace(QUEUE, exclusive=True), {}, [(VIOLATED, "queue work is exclusive")]),
        (replace(QUEUE, exclusive=True), {"exclusive": "true"}, []),
        (QUEUE, {"exclusive": "true"}, [(VIOLATED, "queue work is not exclusive")]),
        (QUEUE, {"durable": "false"}, [(VIOLATED, "queue work is durable")]),
        (QUEUE, {"auto_delete": "true"}, [(VIOLATED, "queue work is not auto-delete")]),
        (QUEUE, {"type": "quorum"}, [(VIOLATED, "queue work is of type classic, not quorum")]),
        (None, {}, [(VIOLATED, "queue work does not exist")]),
        (NO_RIGHT, {}, [(UNVERIFIABLE, "queue work cannot be verified: the broker says 'no'")]),
    ],
)
def test_a_queue_is_as_it_is_to_be(
    found: Queue | Unknown | None, wanted: dict[str, object], expected: Told
) -> None:
    assert broken(of_queue(found, **wanted)) == expected


def test_what_holds_is_told_too() -> None:
    assert of_queue(QUEUE, type="classic") == [
        (HELD, "queue work is durable"),
        (HELD, "queue work is not auto-delete"),
        (HELD, "queue work is not exclusive"),
        (HELD, "queue work is of type classic"),
    ]


@pytest.mark.parametrize(
    ("arguments", "policy", "expected"),
    [
        ({"x-max-length": 10}, {}, (HELD, "queue work has x-max-length 10")),
        ({}, {"max-length": 10}, (HELD, "queue work has x-max-length 10")),
        ({"x-max-length": 10}, {"max-length": 20}, (HELD, "queue work has x-max-length 10")),
        ({"x-max-length": 20}, {}, (VIOLATED, "queue work has x-max-length 20, not 10")),
        ({"x-max-length": 10}, {"max-length": 5}, (VIOLATED, "queue work has x-max-length 5, not 10")),
        ({}, {}, (VIOLATED, "queue work has no x-max-length")),
        ({}, None, (UNVERIFIABLE, "queue work: no policy is known that may set x-max-length")),
        (
            {"x-max-length": 10},
            None,
            (UNVERIFIABLE, "queue work: no policy is known that may set x-max-length"),
        ),
    ],
)
def test_an_argument_counts_by_declaration_and_by_policy(
    arguments: dict[str, object], policy: dict[str, object] | None, expected: tuple[Standing, str]
) -> None:
    found = replace(QUEUE, arguments=arguments, policy=policy)

    assert of_queue(found, arguments={"x-max-length": 10})[3:] == [expected]


def test_arguments_are_compared_as_they_are_written() -> None:
    found = replace(QUEUE, arguments={"x-single-active-consumer": True, "x-overflow": "drop-head"})
    wanted = {"x-single-active-consumer": "true", "x-overflow": "reject-publish"}

    assert broken(of_queue(found, arguments=wanted)) == [
        (VIOLATED, "queue work has x-overflow drop-head, not reject-publish")
    ]


def test_where_no_numbers_are_compared_the_queues_own_argument_counts() -> None:
    arguments = {"x-overflow": "drop-head", "x-single-active-consumer": True}
    wanted = {"x-overflow": "drop-head", "x-single-active-consumer": "true"}
    policy = {"overflow": "reject-publish", "single-active-consumer": False}

    for known in (policy, None):
        found = replace(QUEUE, arguments=arguments, policy=known)
        assert broken(of_queue(found, arguments=wanted)) == []


TRAITS: Final = {"durable": True, "auto_delete": False, "exclusive": False, "type": "classic"}


@pytest.mark.parametrize(
    ("told_of_policy", "policy"),
    [
        ({}, None),
        ({"effective_policy_definition": {"max-length": 5}}, {"max-length": 5}),
        ({"effective_policy_definition": {}}, {}),
        ({"effective_policy_definition": []}, {}),
    ],
)
def test_a_policy_that_is_not_told_is_not_taken_for_none(
    told_of_policy: dict[str, object], policy: dict[str, object] | None
) -> None:
    queue = Queue.read({"name": "work", "arguments": [], **TRAITS, **told_of_policy})

    assert queue == replace(QUEUE, policy=policy)


def test_an_empty_list_of_consumers_before_there_are_statistics_means_nothing() -> None:
    young = {"name": "work", "arguments": {}, **TRAITS, "consumer_details": []}
    counts = {"messages": 3, "messages_ready": 2, "messages_unacknowledged": 1, "messages_persistent": 3}

    assert Queue.read(young).statistics is None
    assert Queue.read({**young, **counts}).statistics == COUNTED


def test_a_consumer_whose_channel_is_gone_has_no_connection() -> None:
    gone = {"consumer_tag": "a", "ack_required": True, "prefetch_count": 3, "channel_details": []}

    assert Consumer.read(gone) == Consumer(tag="a", prefetch=3)


def of_binding(kind: str, bindings: tuple[Binding, ...] | Unknown, **wanted: object) -> Told:
    facts = Facts(exchanges={"ev": Exchange(name="ev", type=kind)}, bindings={("ev", "work"): bindings})
    return told(Rule.BINDING, {"bindings": [{"exchange": "ev", "queue": "work", **wanted}]}, facts)


@pytest.mark.parametrize(
    ("kind", "bound", "wanted", "standing"),
    [
        ("direct", "a", "a", HELD),
        ("direct", "a.*", "a.b", VIOLATED),
        ("topic", "a.*", "a.b", HELD),
        ("topic", "a.*", "b.a", VIOLATED),
        ("fanout", "", "a", HELD),
        ("headers", "", "a", HELD),
        ("x-consistent-hash", "10", "a", HELD),
    ],
)
def test_a_message_reaches_the_queue_as_the_type_of_the_exchange_routes(
    kind: str, bound: str, wanted: str, standing: Standing
) -> None:
    word = "is bound" if standing is HELD else "is not bound"

    assert of_binding(kind, (Binding(destination="work", routing_key=bound),), routing_key=wanted) == [
        (standing, f"queue work {word} to exchange ev for {wanted}")
    ]


def test_a_binding_without_a_routing_key_is_any_binding() -> None:
    binding = Binding(destination="work", routing_key="x", arguments={"format": "pdf", "x-match": "all"})

    assert of_binding("direct", (binding,)) == [(HELD, "queue work is bound to exchange ev")]
    assert of_binding("direct", ()) == [(VIOLATED, "queue work is not bound to exchange ev")]
    assert of_binding("headers", (binding,), arguments={"format": "pdf"})[0][0] is HELD
    assert of_binding("headers", (binding,), arguments={"format": "pdf", "type": "log"})[0][0] is VIOLATED
    assert of_binding("direct", NO_RIGHT) == [
        (
            UNVERIFIABLE,
            "whether queue work is bound to exchange ev cannot be verified: the broker says 'no'",
        )
    ]


def test_a_binding_to_an_exchange_that_is_not_there_is_none() -> None:
    keys = {"bindings": [{"exchange": "ev", "queue": "work"}]}
    facts = Facts(exchanges={"ev": None}, bindings={("ev", "work"): ()})

    assert told(Rule.BINDING, keys, facts) == [(VIOLATED, "exchange ev does not exist")]


@pytest.mark.parametrize(
    ("pattern", "key", "is_match"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.b.c", False),
        ("a.b", "a", False),
        ("*", "a", True),
        ("*", "a.b", False),
        ("*", "", False),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("a.#", "b", False),
        ("#.c", "a.b.c", True),
        ("#.c", "a.b", False),
        ("a.#.c", "a.c", True),
        ("a.#.c", "a.b.b.c", True),
        ("a.*.#", "a", False),
        ("a.*.#", "a.b", True),
        ("", "", True),
        ("", "a", False),
        ("a.*", "a.*", True),
        ("a.#", "a.#", True),
        ("#.#.#.#.a", "b.b.b.a", True),
    ],
)
def test_topic_exchanges_match_word_by_word(pattern: str, key: str, is_match: bool) -> None:
    assert matches(pattern, key) is is_match


def test_many_wildcards_take_no_time() -> None:
    assert matches(".".join(["#"] * 120), ".".join(["a"] * 120))
    assert not matches(".".join(["#", "a"] * 60), ".".join(["b"] * 120))


DLX: Final = Exchange(name="dlx", type="fanout")
DEAD: Final = Queue(name="dead")


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (
            "required",
            DeadLetters(exchange="dlx", found=DLX, queues=(DEAD,)),
            (HELD, "dead letters of queue work reach dead through exchange dlx"),
        ),
        (
            "dlx",
            DeadLetters(exchange="dlx", found=DLX, queues=(replace(DEAD, name="t", durable=False), DEAD)),
            (HELD, "dead letters of queue work reach dead through exchange dlx"),
        ),
        (
            "other",
            DeadLetters(exchange="dlx", found=DLX, queues=(DEAD,)),
            (VIOLATED, "queue work has the dead-letter exchange dlx, not other"),
        ),
        (
            "required",
            DeadLetters(exchange="dlx", found=None),
            (VIOLATED, "the dead-letter exchange dlx of queue work does not exist"),
        ),
        (
            "required",
            DeadLetters(exchange="dlx", found=replace(DLX, durable=False), queues=(DEAD,)),
            (VIOLATED, "the dead-letter exchange dlx of queue work is not durable"),
        ),
        (
            "required",
            DeadLetters(exchange="dlx", found=DLX),
            (VIOLATED, "dead letters of queue work reach no other queue through exchange dlx"),
        ),
        (
            "required",
            DeadLetters(exchange="dlx", found=DLX, queues=(replace(DEAD, durable=False),)),
            (VIOLATED, "dead letters of queue work reach dead, which is not durable"),
        ),
        (
            "required",
            NO_RIGHT,
            (
                UNVERIFIABLE,
                "where the dead letters of queue work go cannot be verified: the broker says 'no'",
            ),
        ),
        ("required", None, (VIOLATED, "queue work has no dead-letter exchange")),
    ],
)
def test_dead_letters_have_somewhere_to_go(
    wanted: str, found: DeadLetters | Unknown | None, expected: tuple[Standing, str]
) -> None:
    keys = {"queues": [{"name": "work"}], "dead_letter": wanted}
    facts = Facts(queues={"work": QUEUE}, dead_letters={"work": found} if found else {})

    assert told(Rule.DEAD_LETTER, keys, facts) == [expected]


def test_without_knowing_the_policy_nobody_can_say_that_there_is_no_dead_letter_exchange() -> None:
    keys = {"queues": [{"name": "work"}], "dead_letter": "required"}
    facts = Facts(queues={"work": replace(QUEUE, policy=None)})

    assert told(Rule.DEAD_LETTER, keys, facts) == [
        (UNVERIFIABLE, "queue work: no policy is known that may name a dead-letter exchange")
    ]


def with_consumers(*consumers: Consumer, without_ack: int = 0, **ours: object) -> Facts:
    statistics = replace(COUNTED, consumers=consumers, without_ack=without_ack)
    return Facts(queues={"work": replace(QUEUE, statistics=statistics)}, ours=Ours(**ours))  # type: ignore[arg-type]


def of_consumers(wanted: Mapping[str, object], facts: Facts, before: Facts | None = None) -> Told:
    keys = {"queues": [{"name": "work"}], "consumers": wanted}
    return told(Rule.CONSUMERS, keys, facts, before)


BY_HAND: Final = "consumers of queue work acknowledge by hand"
CAREFUL: Final = Consumer(tag="a", prefetch=10, peer="10.0.0.1")
CARELESS: Final = Consumer(tag="b", acks=False, peer="10.0.0.2")
NO_ONE_KNOWS_HOW: Final = (
    UNVERIFIABLE,
    "how consumers of queue work acknowledge cannot be verified",
)


@pytest.mark.parametrize(
    ("wanted", "consumers", "expected"),
    [
        ({}, [CAREFUL], [(HELD, "queue work has 1 consumer"), (HELD, BY_HAND)]),
        ({"min": 2}, [CAREFUL] * 2, [(HELD, "queue work has 2 consumers"), (HELD, BY_HAND)]),
        (
            {"min": 2},
            [CAREFUL],
            [(VIOLATED, "queue work has 1 consumer, fewer than 2"), (HELD, BY_HAND)],
        ),
        ({}, [], [(VIOLATED, "queue work has no consumer"), NO_ONE_KNOWS_HOW]),
        ({"min": 0}, [], [(HELD, "queue work has no consumer"), NO_ONE_KNOWS_HOW]),
        ({"min": 0, "manual_ack": "false"}, [], [(HELD, "queue work has no consumer")]),
        (
            {"min": 0, "manual_ack": "false", "prefetch": {}},
            [],
            [(HELD, "queue work has no consumer"), NO_ONE_KNOWS_HOW],
        ),
        (
            {},
            [CAREFUL, CARELESS],
            [
                (HELD, "queue work has 2 consumers"),
                (VIOLATED, "1 of 2 consumers of queue work acknowledge automatically"),
            ],
        ),
        ({"manual_ack": "false"}, [CARELESS], [(HELD, "queue work has 1 consumer")]),
    ],
)
def test_consumers_exist_and_acknowledge_by_hand(
    wanted: Mapping[str, object], consumers: list[Consumer], expected: Told
) -> None:
    assert of_consumers(wanted, with_consumers(*consumers)) == expected


@pytest.mark.parametrize(
    ("wanted", "prefetch", "standing"),
    [
        ({"min": 5, "max": 10}, 5, HELD),
        ({"min": 5, "max": 10}, 10, HELD),
        ({"min": 5, "max": 10}, 4, VIOLATED),
        ({"min": 5, "max": 10}, 11, VIOLATED),
        ({"max": 10}, 0, VIOLATED),
        ({"min": 5}, 0, HELD),
        ({"min": 5}, 4, VIOLATED),
        ({"min": 5}, 10000, HELD),
    ],
)
def test_the_prefetch_is_within_its_bounds(
    wanted: Mapping[str, int], prefetch: int, standing: Standing
) -> None:
    consumers = with_consumers(replace(CAREFUL, prefetch=prefetch), replace(CARELESS, prefetch=7777))
    bounds = f"{wanted.get('min', 1)} to {wanted.get('max', 'any number')}"
    expected = f"consumers of queue work have a prefetch of {prefetch}"

    found = of_consumers({"manual_ack": "false", "prefetch": wanted}, consumers)[1:]

    assert found == [(standing, expected if standing is HELD else f"{expected}, not {bounds}")]


def test_automatic_acknowledgement_is_told_by_its_deliveries_since_the_last_run() -> None:
    before, after = with_consumers(without_ack=5), with_consumers(CAREFUL, without_ack=8)
    gone = with_consumers(without_ack=6)

    assert of_consumers({}, after)[1:] == [(HELD, BY_HAND)]
    assert of_consumers({}, after, after)[1:] == [(HELD, BY_HAND)]
    assert of_consumers({}, after, before)[1:] == [
        (
            VIOLATED,
            "3 messages of queue work went to consumers that acknowledge automatically since the last run",
        )
    ]
    assert of_consumers({}, gone, before)[1:] == [
        (
            VIOLATED,
            "1 message of queue work went to consumers that acknowledge automatically since the last run",
        )
    ]
    assert of_consumers({}, before, after)[1:] == [NO_ONE_KNOWS_HOW]


def test_the_deliveries_of_others_are_not_held_against_this_pod() -> None:
    ours = {"addresses": frozenset({"10.0.0.1"})}
    before = with_consumers(without_ack=5, **ours)
    after = with_consumers(CAREFUL, CARELESS, without_ack=8, **ours)

    assert of_consumers({}, after, before) == [
        (HELD, "queue work has 1 consumer of this pod"),
        (HELD, "consumers of this pod of queue work acknowledge by hand"),
    ]


@pytest.mark.parametrize(
    ("own", "ours", "expected"),
    [
        (None, Ours(addresses=frozenset({"10.0.0.2"})), (CARELESS,)),
        (None, Ours(addresses=frozenset({"10.0.0.9"})), None),
        (None, Ours(), None),
        (OwnConfig(consumer_tag_prefix="a"), Ours(addresses=frozenset({"10.0.0.2"})), (CAREFUL,)),
        (OwnConfig(consumer_tag_prefix="z"), Ours(), ()),
        (OwnConfig(connection_name="pod"), Ours(connections=frozenset({"c1"})), (CAREFUL,)),
        (OwnConfig(connection_name="pod"), Ours(), ()),
        (OwnConfig(connection_name="pod"), Ours(connections=NO_RIGHT), None),
        (
            OwnConfig(connection_name="pod", consumer_tag_prefix="b"),
            Ours(connections=frozenset({"c1", "c2"})),
            (CARELESS,),
        ),
    ],
)
def test_the_consumers_of_this_pod_are_told_from_others_where_they_can_be(
    own: OwnConfig | None, ours: Ours, expected: tuple[Consumer, ...] | None
) -> None:
    consumers = [replace(CAREFUL, connection="c1"), replace(CARELESS, connection="c2")]
    found = consumers_of_this_pod(own, ours, consumers)

    assert found == (
        None
        if expected is None
        else tuple(replace(e, connection=f"c{'ab'.index(e.tag) + 1}") for e in expected)
    )


@pytest.mark.parametrize(
    ("kind", "messages", "persistent", "expected"),
    [
        ("classic", 3, 3, (HELD, "messages in queue work are persistent")),
        (
            "classic",
            3,
            2,
            (VIOLATED, "1 of 3 messages in queue work would not survive a restart of the broker"),
        ),
        ("classic", 3, 4, (HELD, "messages in queue work are persistent")),
        (
            "classic",
            0,
            0,
            (UNVERIFIABLE, "queue work is empty: persistence of messages cannot be verified"),
        ),
        (
            "classic",
            3,
            None,
            (UNVERIFIABLE, "queue work has no statistics, or none yet: messages cannot be verified"),
        ),
        ("quorum", 3, 0, (HELD, "queue work keeps every message on disk")),
        ("stream", 0, None, (HELD, "queue work keeps every message on disk")),
    ],
)
def test_messages_are_persistent(
    kind: str, messages: int, persistent: int | None, expected: tuple[Standing, str]
) -> None:
    statistics = replace(COUNTED, messages=messages, persistent=persistent)
    facts = Facts(queues={"work": replace(QUEUE, type=kind, statistics=statistics)})

    assert told(Rule.MESSAGES, {"queues": [{"name": "work"}], "messages": {}}, facts) == [expected]


def test_nothing_piles_up() -> None:
    facts = Facts(queues={"work": replace(QUEUE, statistics=COUNTED)})

    def of_backlog(**limits: int) -> Told:
        return told(Rule.BACKLOG, {"queues": [{"name": "work"}], "backlog": limits}, facts)

    assert of_backlog(max_ready=2, max_unacked=1) == [
        (HELD, "queue work has 2 ready"),
        (HELD, "queue work has 1 unacked"),
    ]
    assert of_backlog(max_ready=3) == [(HELD, "queue work has 2 ready")]
    assert of_backlog(max_ready=1) == [(VIOLATED, "queue work has 2 ready, more than 1")]
    assert of_backlog(max_unacked=0) == [(VIOLATED, "queue work has 1 unacked, more than 0")]


def test_without_statistics_no_behaviour_can_be_verified() -> None:
    keys = {
        "queues": [{"name": "work"}],
        "consumers": {},
        "messages": {},
        "backlog": {"max_ready": 1},
    }
    findings = judge(contract(**keys), Facts(queues={"work": QUEUE}))

    assert [(each.standing, each.sentence) for each in findings if each.rule not in TOPOLOGY] == [
        (UNVERIFIABLE, f"queue work has no statistics, or none yet: {rule} cannot be verified")
        for rule in ("consumers", "messages", "backlog")
    ]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, Traffic(published=5, unroutable=0), (HELD, "every message {} found a queue {began}")),
        (None, Traffic(published=5, unroutable=2), (VIOLATED, "2 messages {} found no queue {began}")),
        (
            None,
            Traffic(published=0, unroutable=0),
            (UNVERIFIABLE, "no message was counted {} {began}: unroutable cannot be verified"),
        ),
        (None, None, (UNVERIFIABLE, "no message was counted {} {began}: unroutable cannot be verified")),
        (
            Traffic(published=5, unroutable=2),
            Traffic(published=6, unroutable=2),
            (HELD, "every message {} found a queue since the last run"),
        ),
        (
            Traffic(published=5, unroutable=2),
            Traffic(published=6, unroutable=3),
            (VIOLATED, "1 message {} found no queue since the last run"),
        ),
        (
            Traffic(published=5, unroutable=2),
            Traffic(published=5, unroutable=2),
            (UNVERIFIABLE, "no message was counted {} since the last run: unroutable cannot be verified"),
        ),
        (
            Traffic(published=500, unroutable=2),
            Traffic(published=4, unroutable=3),
            (VIOLATED, "3 messages {} found no queue since the last run"),
        ),
        (
            Traffic(published=5, unroutable=9),
            Traffic(published=6, unroutable=3),
            (VIOLATED, "3 messages {} found no queue since the last run"),
        ),
        (
            None,
            NO_RIGHT,
            (UNVERIFIABLE, "whether messages are unroutable {} cannot be verified: the broker says 'no'"),
        ),
    ],
)
def test_publishers_do_not_shout_into_the_void(
    before: Traffic | None, now: Traffic | Unknown | None, expected: tuple[Standing, str]
) -> None:
    earlier = Facts(vhost="ci", traffic=before) if before else None
    standing, sentence = expected
    told_of = told(Rule.UNROUTABLE, {"unroutable": "forbid"}, Facts(vhost="ci", traffic=now), earlier)

    assert told_of == [
        (standing, sentence.format("in virtual host ci", began="since the broker began to count"))
    ]


def test_only_topology_may_gate() -> None:
    assert {"node", "exchange", "queue", "binding", "dead_letter"} == TOPOLOGY


def finding(rule: Rule, standing: Standing, reason: Reason = Reason.CONTRACT) -> Finding:
    return Finding(rule, standing, f"{rule} {standing}", reason)


def ended(*findings: Finding, strict: bool = False) -> tuple[Reason | None, str | None]:
    try:
        return None, conclude(findings, strict=strict)
    except CheckFailed as failed:
        return failed.reason, failed.message


@pytest.mark.parametrize("rule", Rule)
def test_a_violated_rule_fails_the_run_where_it_may_gate_and_is_a_warning_elsewhere(rule: Rule) -> None:
    reason = Reason.CONTRACT if rule in TOPOLOGY else None

    for strict in (False, True):
        assert ended(finding(rule, VIOLATED), strict=strict) == (reason, f"{rule} violated")


@pytest.mark.parametrize("rule", Rule)
def test_an_unverifiable_rule_is_a_warning_and_with_strict_a_failure_where_it_may_gate(rule: Rule) -> None:
    found = finding(rule, UNVERIFIABLE, Reason.FORBIDDEN)

    assert ended(found) == (None, f"{rule} unverifiable")
    assert ended(found, strict=True) == (
        Reason.FORBIDDEN if rule in TOPOLOGY else None,
        f"{rule} unverifiable",
    )


def test_what_holds_says_nothing() -> None:
    assert ended(*(finding(rule, HELD) for rule in Rule), strict=True) == (None, None)


def test_one_run_reports_every_rule_the_fatal_ones_first() -> None:
    found = (
        finding(Rule.BACKLOG, UNVERIFIABLE),
        finding(Rule.CONSUMERS, VIOLATED),
        finding(Rule.QUEUE, VIOLATED),
        finding(Rule.NODE, HELD),
        finding(Rule.BINDING, VIOLATED),
    )

    assert ended(*found) == (
        Reason.CONTRACT,
        "queue violated; binding violated; consumers violated; backlog unverifiable",
    )


def test_the_reason_is_the_common_one_of_what_is_fatal() -> None:
    missing = finding(Rule.QUEUE, VIOLATED, Reason.NOT_FOUND)
    other = finding(Rule.EXCHANGE, VIOLATED)
    unseen = finding(Rule.BINDING, UNVERIFIABLE, Reason.FORBIDDEN)

    assert ended(missing, missing)[0] is Reason.NOT_FOUND
    assert ended(missing, unseen)[0] is Reason.NOT_FOUND
    assert ended(missing, other)[0] is Reason.CONTRACT


def test_a_long_message_says_how_much_it_leaves_out() -> None:
    sentences = [f"queue number-{number:02} is not durable" for number in range(20)]
    message = joined(sentences)
    shown = message.count("not durable")

    assert len(message) <= MESSAGE_LIMIT
    assert message == "; ".join([*sentences[:shown], f"and {20 - shown} more"])
    assert len(message) > MESSAGE_LIMIT - 2 * len(sentences[0])


def test_a_message_that_just_fits_is_whole() -> None:
    first, second = "a" * 100, "b" * (MESSAGE_LIMIT - 102)

    assert joined([first, second]) == f"{first}; {second}"
    assert joined([first, second + "b"]) == f"{first}; and 1 more"
    assert joined(["a" * 500, "b"]) == "a" * 500 + "; and 1 more"
    assert joined([]) == ""
