"""The check type `rabbitmq-delivery`, against a real broker and its management API."""

import asyncio
import json
import re
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final
from urllib.parse import quote, unquote

import aiormq
import pytest
from aiormq.abc import AbstractChannel

from sidecar.checks._broker import Facts, Unknown
from sidecar.checks._delivery import CONNECTION_LIMIT, survey
from sidecar.checks._management import REQUEST_LIMIT, Management
from sidecar.checks.rabbitmq_delivery import DeliveryConfig
from sidecar.config.problems import ConfigError
from sidecar.core.check import Reason
from sidecar.core.result import Outcome, Result
from sidecar.runtime.runner import CANCEL_GRACE
from tests.checks.contract import (
    SECRET,
    SLACK,
    SUCCESS,
    CheckContract,
    Keys,
    ending,
    load_one,
    mounted,
    run_once,
)
from tests.checks.rabbit_clients import connected, until
from tests.network import Address, Connection, Fake, silent, talking
from tests.network.fakes import first_of
from tests.network.tls import Certificates, server_context
from tools.servers import QUICK_STATISTICS, Permissions, RabbitServer

NOTHING: Final = Permissions("^$", "^$", "^$")
"""All the permissions that the check needs."""
ODD: Final = "a:b@c/d%e f?#[é"
WHERE: Final = "where the dead letters of queue {} go cannot be verified:"
Act = Callable[[], Awaitable[object]]


@pytest.fixture(scope="module")
def rabbit_config() -> Sequence[str]:
    return QUICK_STATISTICS


@pytest.fixture
def rabbit(breakable_rabbit: RabbitServer) -> RabbitServer:
    """Return the broker, with a user that may see everything in its virtual host and touch nothing."""
    breakable_rabbit.add_user("reader", "pw", tags="management", vhosts={"/": NOTHING})
    return breakable_rabbit


@pytest.fixture
async def channel(rabbit: RabbitServer) -> AsyncIterator[AbstractChannel]:
    """Yield a channel of the application's, with whose end everything transient goes."""
    async with connected(rabbit) as connection:
        yield await connection.channel()


class TestContract(CheckContract):
    def keys(self, address: Address) -> Keys:
        login = f"contract:{quote(SECRET, safe='')}"
        return {
            "type": "rabbitmq-delivery",
            "url": f"amqp://{login}@amqp.test/",
            "management_url": f"http://{login}@{address}",
            "exchanges": [{"name": "amq.topic"}],
        }

    @pytest.fixture
    async def up(self, breakable_rabbit: RabbitServer) -> Address:
        breakable_rabbit.add_user("contract", SECRET, tags="management", vhosts={"/": NOTHING})
        return api_of(breakable_rabbit)


def api_of(server: RabbitServer) -> Address:
    return Address(server.host, server.management_port)


def keys(server: RabbitServer, **more: object) -> Keys:
    return {
        "type": "rabbitmq-delivery",
        "url": server.url_for("reader", "pw"),
        "management_url": server.management_url,
        **more,
    }


async def counted(server: RabbitServer, queue: str, **expected: object) -> None:
    """Return when the statistics of a queue are as expected."""

    def is_so() -> bool:
        answer = server.api("GET", f"/queues/%2F/{queue}")
        whole = [each for each in answer["consumer_details"] if each["channel_details"]]
        found = {"consumers": len(whole), **answer.get("message_stats", {})}
        return "messages" in answer and expected.items() <= {**answer, **found}.items()

    await until(is_so)


async def declare(channel: AbstractChannel, *queues: str, **arguments: Any) -> None:
    """Declare durable queues."""
    for queue in queues:
        await channel.queue_declare(queue, durable=True, arguments=arguments)


async def publish(channel: AbstractChannel, queue: str, *, mode: int, exchange: str = "") -> None:
    properties = aiormq.spec.Basic.Properties(delivery_mode=mode)
    await channel.basic_publish(b"", exchange=exchange, routing_key=queue, properties=properties)


def wanted(*queues: str) -> list[dict[str, str]]:
    return [{"name": queue} for queue in queues]


def told(result: Result) -> tuple[Outcome, Reason | None, list[str]]:
    return result.outcome, result.reason, result.message.split("; ")


async def test_a_durable_topology_holds(rabbit: RabbitServer, channel: AbstractChannel) -> None:
    await channel.exchange_declare("t-builds", exchange_type="topic", durable=True)
    await channel.exchange_declare("t-dead", exchange_type="fanout", durable=True)
    await declare(channel, "t-run", **{"x-dead-letter-exchange": "t-dead", "x-max-length": 9})
    await declare(channel, "t-quorum", **{"x-queue-type": "quorum", "x-dead-letter-exchange": "t-dead"})
    await declare(channel, "t-graveyard")
    await channel.queue_bind("t-run", "t-builds", "build.*")
    await channel.queue_bind("t-graveyard", "t-dead")
    await counted(rabbit, "t-run")

    result = await run_once(
        keys(
            rabbit,
            exchanges=[{"name": "t-builds", "type": "topic", "internal": False}],
            queues=[
                {"name": "t-run", "type": "classic", "arguments": {"x-max-length": 9}},
                {"name": "t-quorum", "type": "quorum"},
            ],
            bindings=[
                {"exchange": "t-builds", "queue": "t-run", "routing_key": "build.requested"},
                {"exchange": "amq.default", "queue": "t-quorum"},
            ],
            dead_letter="t-dead",
            strict=True,
        )
    )

    assert ending(result) == SUCCESS


async def test_one_run_reports_every_rule_of_topology_that_is_violated(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    await channel.exchange_declare("v-ex", exchange_type="direct", durable=False, auto_delete=True)
    await channel.queue_declare("v-brief", durable=False, auto_delete=True, exclusive=True)
    await declare(channel, "v-run", **{"x-max-length": 9})
    await channel.queue_bind("v-run", "v-ex", "a")
    bindings = [{"exchange": "v-ex", "queue": "v-run", "routing_key": "b"}]

    results = [
        await run_once(keys(rabbit, exchanges=[{"name": "v-ex", "type": "topic", "internal": True}])),
        await run_once(keys(rabbit, queues=[{"name": "v-brief", "type": "quorum"}])),
        await run_once(keys(rabbit, queues=wanted("v-none"), exchanges=wanted("v-nothing"))),
    ]
    await counted(rabbit, "v-run")
    last = await run_once(keys(rabbit, queues=wanted("v-run"), bindings=bindings, dead_letter="required"))
    await channel.queue_delete("v-run")  # and the transient exchange with it

    failure = Outcome.FAILURE
    assert told(results[0]) == (
        failure,
        Reason.CONTRACT,
        [
            "exchange v-ex is not durable",
            "exchange v-ex is auto-delete",
            "exchange v-ex is not internal",
            "exchange v-ex is of type direct, not topic",
        ],
    )
    assert told(results[1]) == (
        failure,
        Reason.CONTRACT,
        [
            "queue v-brief is not durable",
            "queue v-brief is auto-delete",
            "queue v-brief is exclusive",
            "queue v-brief is of type classic, not quorum",
        ],
    )
    assert told(results[2]) == (
        failure,
        Reason.NOT_FOUND,
        ["exchange v-nothing does not exist", "queue v-none does not exist"],
    )
    assert told(last) == (
        failure,
        Reason.CONTRACT,
        [
            "queue v-run is not bound to exchange v-ex for b",
            "queue v-run has no dead-letter exchange",
        ],
    )


async def test_the_arguments_of_a_queue_are_compared(rabbit: RabbitServer, channel: AbstractChannel) -> None:
    await declare(channel, "g-run", **{"x-max-length": 9})
    await counted(rabbit, "g-run")
    arguments = {"x-max-length": 10, "x-overflow": "drop-head"}

    result = await run_once(keys(rabbit, queues=[{"name": "g-run", "arguments": arguments}]))

    assert told(result) == (
        Outcome.FAILURE,
        Reason.CONTRACT,
        ["queue g-run has x-max-length 9, not 10", "queue g-run has no x-overflow"],
    )


async def test_policies_count_as_arguments_do(rabbit: RabbitServer, channel: AbstractChannel) -> None:
    await declare(channel, "p-run", "p-graveyard")
    definition = {"dead-letter-exchange": "amq.fanout", "max-length": 5}
    rabbit.api("PUT", "/policies/%2F/p", {"pattern": "^p-run$", "definition": definition})
    await channel.queue_bind("p-graveyard", "amq.fanout")
    await until(lambda: rabbit.api("GET", "/queues/%2F/p-run").get("policy") == "p")

    async def run(**more: object) -> Result:
        queue = {"name": "p-run", "arguments": {"x-max-length": 5}}
        return await run_once(keys(rabbit, queues=[queue], dead_letter="amq.fanout", **more))

    held = await run()
    await channel.queue_unbind("p-graveyard", "amq.fanout")
    violated = await run()

    assert ending(held) == SUCCESS
    assert told(violated) == (
        Outcome.FAILURE,
        Reason.CONTRACT,
        ["dead letters of queue p-run reach no other queue through exchange amq.fanout"],
    )


@pytest.mark.parametrize(
    ("name", "arguments", "fault"),
    [
        ("key", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "d-graveyard"}, None),
        (
            "nokey",
            {"x-dead-letter-exchange": ""},
            f"{WHERE.format('d-nokey')} no bindings in the configuration say which routing keys they have",
        ),
        (
            "self",
            {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "d-self"},
            "dead letters of queue d-self reach no other queue through exchange amq.default",
        ),
        ("through", {"x-dead-letter-exchange": "d-first", "x-dead-letter-routing-key": "ok"}, None),
        ("alternate", {"x-dead-letter-exchange": "d-first", "x-dead-letter-routing-key": "no"}, None),
        (
            "transient",
            {"x-dead-letter-exchange": "d-first", "x-dead-letter-routing-key": "brief"},
            "dead letters of queue d-transient reach d-brief, which is not durable",
        ),
        (
            "loop",
            {"x-dead-letter-exchange": "d-loop"},
            "dead letters of queue d-loop reach no other queue through exchange d-loop",
        ),
        (
            "missing",
            {"x-dead-letter-exchange": "d-nowhere"},
            "the dead-letter exchange d-nowhere of queue d-missing does not exist",
        ),
    ],
)
async def test_dead_letters_are_followed_to_their_end(
    rabbit: RabbitServer,
    channel: AbstractChannel,
    name: str,
    arguments: dict[str, str],
    fault: str | None,
) -> None:
    first: dict[str, Any] = {"alternate-exchange": "d-last"}
    await channel.exchange_declare("d-first", exchange_type="direct", durable=True, arguments=first)
    await channel.exchange_declare("d-second", exchange_type="topic", durable=True)
    await channel.exchange_declare("d-last", exchange_type="fanout", durable=True)
    await channel.exchange_declare("d-loop", exchange_type="fanout", durable=True)
    await channel.exchange_bind("d-second", "d-first", "ok")
    await channel.exchange_bind("d-loop", "d-loop")
    await declare(channel, "d-graveyard")
    await channel.queue_declare("d-brief", exclusive=True)
    await channel.queue_bind("d-graveyard", "d-second", "#")
    await channel.queue_bind("d-graveyard", "d-last")
    await channel.queue_bind("d-brief", "d-first", "brief")
    await declare(channel, f"d-{name}", **arguments)

    result = await run_once(keys(rabbit, queues=wanted(f"d-{name}"), dead_letter="required"))

    is_unknown = name == "nokey"
    expected = (Outcome.WARNING, None) if is_unknown else (Outcome.FAILURE, Reason.CONTRACT)
    assert ending(result) == (SUCCESS if fault is None else (*expected, fault))


async def test_dead_letters_that_keep_their_routing_key_follow_the_bindings(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    await channel.exchange_declare("k-dead", exchange_type="direct", durable=True)
    await declare(channel, "k-run", **{"x-dead-letter-exchange": "k-dead"})
    await declare(channel, "k-graveyard")
    await channel.queue_bind("k-run", "amq.topic", "build.*")
    await channel.queue_bind("k-graveyard", "k-dead", "build.done")

    async def run(routing_key: str) -> Result:
        bindings = [{"exchange": "amq.topic", "queue": "k-run", "routing_key": routing_key}]
        wishes = {"queues": wanted("k-run"), "bindings": bindings, "dead_letter": "required"}
        return await run_once(keys(rabbit, **wishes))

    assert ending(await run("build.done")) == SUCCESS
    assert (await run("build.lost")).message == (
        "dead letters of queue k-run reach no other queue through exchange k-dead"
    )


async def test_a_policy_may_give_dead_letters_another_way(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    await channel.exchange_declare("a-dead", exchange_type="fanout", durable=True)
    await declare(channel, "a-run", **{"x-dead-letter-exchange": "a-dead"})
    policy = {"pattern": "^a-dead$", "apply-to": "exchanges"}
    rabbit.api("PUT", "/policies/%2F/a", {**policy, "definition": {"alternate-exchange": "amq.fanout"}})

    result = await run_once(keys(rabbit, queues=wanted("a-run"), dead_letter="required"))

    assert (result.outcome, result.message) == (
        Outcome.WARNING,
        f"{WHERE.format('a-run')} a policy may give exchange a-dead an alternate exchange",
    )


async def test_an_alarm_is_told(rabbit: RabbitServer) -> None:
    await asyncio.to_thread(rabbit.raise_alarm)
    try:
        result = await run_once(keys(rabbit, queues=wanted("absent")))
    finally:
        await asyncio.to_thread(rabbit.clear_alarm)
    after = await run_once(keys(rabbit))

    assert result.reason is Reason.CONTRACT  # two reasons: an alarm, and no queue
    assert result.message.startswith("the broker takes no messages: ")
    assert result.message.endswith("; queue absent does not exist")
    assert ending(after) == SUCCESS


async def test_consumers_are_judged_and_only_warned_of(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    await declare(channel, "c-good", "c-bad", "c-idle")
    await channel.basic_qos(prefetch_count=20)
    await channel.basic_consume("c-good", ignore)
    await channel.basic_consume("c-bad", ignore, no_ack=True)
    await channel.basic_consume("c-bad", ignore)
    for queue, consumers in (("c-good", 1), ("c-bad", 2), ("c-idle", 0)):
        await counted(rabbit, queue, consumers=consumers)

    async def run(queue: str, **consumers: object) -> Result:
        return await run_once(keys(rabbit, queues=wanted(queue), consumers=consumers, strict=True))

    good = await run("c-good", prefetch={"min": 20, "max": 20})
    bad = await run("c-bad", min=3, prefetch={"max": 19})
    idle = await run("c-idle")

    assert ending(good) == SUCCESS
    assert told(bad) == (
        Outcome.WARNING,
        None,
        [
            "queue c-bad has 2 consumers of this pod, fewer than 3",
            "1 of 2 consumers of this pod of queue c-bad acknowledge automatically",
            "consumers of this pod of queue c-bad have a prefetch of 20, not 1 to 19",
        ],
    )
    assert told(idle) == (
        Outcome.WARNING,
        None,
        ["queue c-idle has no consumer", "how consumers of queue c-idle acknowledge cannot be verified"],
    )


async def ignore(message: object) -> None:
    """Take a message, and never acknowledge it."""


async def test_this_pods_consumers_are_told_by_tag_and_by_connection(rabbit: RabbitServer) -> None:
    rabbit.add_user("monitor", "pw", tags="monitoring", vhosts={"/": NOTHING})
    async with connected(rabbit, "pod-a") as ours, connected(rabbit, "pod-b") as theirs:
        mine, other = await ours.channel(), await theirs.channel()
        await declare(mine, "o-run")
        await mine.basic_consume("o-run", ignore, consumer_tag="a-1")
        await other.basic_consume("o-run", ignore, no_ack=True, consumer_tag="b-1")
        await counted(rabbit, "o-run", consumers=2)

        async def run(user: str, **own: str) -> Result:
            url = rabbit.url_for(user, "pw")
            wishes = {"queues": wanted("o-run"), "consumers": {}, "own": own}
            return await run_once(keys(rabbit, url=url, **wishes))

        await until(lambda: all("user_provided_name" in each for each in rabbit.api("GET", "/connections")))
        results = [
            await run("reader", consumer_tag_prefix="a-"),
            await run("reader", consumer_tag_prefix="b-"),
            await run("reader", consumer_tag_prefix="c-"),
            await run("monitor", connection_name="pod-a"),
            await run("monitor", connection_name="pod-b"),
            await run("reader", connection_name="pod-a"),
        ]

    unknown = "how consumers of this pod of queue o-run acknowledge cannot be verified"
    careless = "1 of 1 consumer of this pod of queue o-run acknowledge automatically"
    assert [result.message for result in results] == [
        "",
        careless,
        f"queue o-run has no consumer of this pod; {unknown}",
        "",
        careless,
        "1 of 2 consumers of queue o-run acknowledge automatically",
    ]


async def test_the_consumers_of_other_addresses_are_judged_where_this_pod_has_none(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    async def from_elsewhere(client: Connection) -> None:
        """Pass everything to the broker from another address than ours."""
        reader, writer = await asyncio.open_connection(rabbit.host, rabbit.port, local_addr=("127.0.0.2", 0))
        await first_of(_copy(client.read, writer), _send(reader, client))
        writer.transport.abort()

    await declare(channel, "x-run")
    async with talking(from_elsewhere) as address:
        connection = aiormq.Connection(f"amqp://guest:guest@{address}/")
        await connection.connect()
        theirs = await connection.channel()
        await theirs.basic_consume("x-run", ignore, no_ack=True)
        await counted(rabbit, "x-run", consumers=1)
        alone = await run_once(keys(rabbit, queues=wanted("x-run"), consumers={}))
        await channel.basic_consume("x-run", ignore)
        await counted(rabbit, "x-run", consumers=2)
        beside = await run_once(keys(rabbit, queues=wanted("x-run"), consumers={}))
        await connection.close()

    assert alone.message == "1 of 1 consumer of queue x-run acknowledge automatically"
    assert ending(beside) == SUCCESS


async def _copy(read: Callable[[], Awaitable[bytes]], writer: asyncio.StreamWriter) -> None:
    while data := await read():
        writer.write(data)


async def _send(reader: asyncio.StreamReader, client: Connection) -> None:
    while data := await reader.read(65536):
        await client.send(data)


async def test_deliveries_without_acknowledgement_are_told_of_the_time_since_the_last_run(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    await declare(channel, "l-run")
    async with mounted(keys(rabbit, queues=wanted("l-run"), consumers={"min": 0})) as runner:
        await counted(rabbit, "l-run", consumers=0)
        before = await runner.run()
        tag = await channel.basic_consume("l-run", ignore, no_ack=True)
        await publish(channel, "l-run", mode=2)
        await counted(rabbit, "l-run", deliver_no_ack=1)
        await channel.basic_cancel(tag.consumer_tag or "")
        await counted(rabbit, "l-run", consumers=0, deliver_no_ack=1)
        during = await runner.run()
        after = await runner.run()

    unknown = "how consumers of queue l-run acknowledge cannot be verified"
    assert [result.message for result in (before, during, after)] == [
        unknown,
        "1 message of queue l-run went to consumers that acknowledge automatically since the last run",
        unknown,
    ]


async def test_messages_that_a_restart_would_lose_are_told(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    await declare(channel, "m-good", "m-bad", "m-empty")
    await declare(channel, "m-quorum", **{"x-queue-type": "quorum"})
    await publish(channel, "m-good", mode=2)
    await publish(channel, "m-bad", mode=2)
    await publish(channel, "m-bad", mode=1)
    await publish(channel, "m-quorum", mode=1)
    for queue, messages in (("m-good", 1), ("m-bad", 2), ("m-empty", 0), ("m-quorum", 1)):
        await counted(rabbit, queue, messages=messages)

    async def run(*queues: str) -> Result:
        return await run_once(keys(rabbit, queues=wanted(*queues), messages={}))

    assert ending(await run("m-good", "m-quorum")) == SUCCESS
    assert told(await run("m-empty", "m-bad")) == (
        Outcome.WARNING,
        None,
        [
            "1 of 2 messages in queue m-bad would not survive a restart of the broker",
            "queue m-empty is empty: persistence of messages cannot be verified",
        ],
    )


async def test_messages_that_pile_up_are_told(rabbit: RabbitServer, channel: AbstractChannel) -> None:
    await declare(channel, "b-run")
    await channel.basic_qos(prefetch_count=1)
    await channel.basic_consume("b-run", ignore)
    for _ in range(3):
        await publish(channel, "b-run", mode=2)
    await counted(rabbit, "b-run", messages_ready=2, messages_unacknowledged=1)

    async def run(ready: int, unacked: int) -> Result:
        backlog = {"max_ready": ready, "max_unacked": unacked}
        return await run_once(keys(rabbit, queues=wanted("b-run"), backlog=backlog))

    assert ending(await run(2, 1)) == SUCCESS
    assert told(await run(1, 0)) == (
        Outcome.WARNING,
        None,
        ["queue b-run has 2 ready, more than 1", "queue b-run has 1 unacked, more than 0"],
    )


async def test_messages_that_no_queue_gets_are_told_since_the_last_run(rabbit: RabbitServer) -> None:
    rabbit.add_vhost("void")
    for user, permissions in (("reader", NOTHING), ("guest", Permissions())):
        rabbit.set_permissions(user, permissions, vhost="void")
    url = rabbit.url_for("reader", "pw", vhost="void")

    def published(number: int) -> Callable[[], bool]:
        def is_so() -> bool:
            [found] = [each for each in rabbit.api("GET", "/vhosts") if each["name"] == "void"]
            return bool(found.get("message_stats", {}).get("publish") == number)

        return is_so

    connection = aiormq.Connection(rabbit.url_for("guest", "guest", vhost="void"))
    await connection.connect()
    async with mounted(keys(rabbit, url=url, unroutable="forbid")) as runner:
        channel = await connection.channel()
        await declare(channel, "w-run")
        nothing = await runner.run()
        await publish(channel, "w-run", mode=2)
        await until(published(1))
        good = await runner.run()
        await publish(channel, "w-nowhere", mode=2)
        with pytest.raises(aiormq.PublishError):
            await channel.basic_publish(b"", routing_key="w-nowhere", mandatory=True)
        await until(published(3))
        bad = await runner.run()
        quiet = await runner.run()
        first = await run_once(keys(rabbit, url=url, unroutable="forbid"))
    await connection.close()

    where = "in virtual host void"
    unknown = f"no message was counted {where} {{}}: unroutable cannot be verified"
    assert [(each.outcome, each.message) for each in (nothing, good, bad, quiet, first)] == [
        (Outcome.WARNING, unknown.format("since the broker began to count")),
        (Outcome.SUCCESS, ""),
        (Outcome.WARNING, f"2 messages {where} found no queue since the last run"),
        (Outcome.WARNING, unknown.format("since the last run")),
        (Outcome.WARNING, f"2 messages {where} found no queue since the broker began to count"),
    ]


async def test_without_a_right_everything_is_unverifiable_and_never_passes(rabbit: RabbitServer) -> None:
    rabbit.add_user("nobody", "pw", vhosts={"/": Permissions()})
    rabbit.add_user("stranger", "pw", tags="management")
    wishes = {"queues": wanted("r-run"), "unroutable": "forbid"}

    async def run(user: str, **more: object) -> Result:
        return await run_once(keys(rabbit, url=rabbit.url_for(user, "pw"), **wishes, **more))

    nobody, stranger, strict = await run("nobody"), await run("stranger"), await run("stranger", strict=True)

    said = "cannot be verified: the broker says"
    assert told(nobody) == (
        Outcome.WARNING,
        None,
        [
            f"whether the broker takes messages {said} 'Not management user'",
            f"queue r-run {said} 'Not management user'",
            f"whether messages are unroutable in virtual host / {said} 'Not management user'",
        ],
    )
    unseen = "'User not authorised to access virtual host'"
    expected = [
        f"queue r-run {said} {unseen}",
        f"whether messages are unroutable in virtual host / {said} {unseen}",
    ]
    assert told(stranger) == (Outcome.WARNING, None, expected)
    assert told(strict) == (Outcome.FAILURE, Reason.FORBIDDEN, expected)


async def test_a_login_and_a_virtual_host_that_are_wrong_are_failures(rabbit: RabbitServer) -> None:
    wrong = await run_once(keys(rabbit, url=rabbit.url_for("reader", "no")))
    absent = await run_once(keys(rabbit, url=rabbit.url_for("reader", "pw", vhost="absent")))
    elsewhere = await run_once(keys(rabbit, management_url=f"{rabbit.management_url}/elsewhere"))

    assert (wrong.reason, wrong.message) == (
        Reason.AUTH,
        f"127.0.0.1:{rabbit.management_port} refused the login: Login failed",
    )
    assert (absent.reason, absent.message) == (
        Reason.NOT_FOUND,
        f"127.0.0.1:{rabbit.management_port} has no virtual host absent",
    )
    assert (elsewhere.reason, elsewhere.message) == (
        Reason.CONTRACT,
        f"127.0.0.1:{rabbit.management_port} answered 400, and not as a management API does",
    )


async def test_a_broker_without_statistics_is_honest(start_rabbit: Callable[..., RabbitServer]) -> None:
    server = start_rabbit(config=("management_agent.disable_metrics_collector = true",))
    server.add_user("reader", "pw", tags="management", vhosts={"/": NOTHING})
    async with connected(server) as connection:
        channel = await connection.channel()
        await declare(channel, "s-run")
        await channel.basic_consume("s-run", ignore)
        wishes: dict[str, object] = {"queues": wanted("s-run"), "dead_letter": "required"}
        plain = await run_once(keys(server, **wishes))
        strict = await run_once(keys(server, **wishes, strict=True))
        behaviour = await run_once(keys(server, queues=wanted("s-run"), consumers={}, messages={}))

    unknown = "queue s-run: no policy is known that may name a dead-letter exchange"
    assert ending(plain) == (Outcome.WARNING, None, unknown)
    assert ending(strict) == (Outcome.FAILURE, Reason.UNAVAILABLE, unknown)
    assert told(behaviour) == (
        Outcome.WARNING,
        None,
        [
            f"queue s-run has no statistics, or none yet: {rule} cannot be verified"
            for rule in ("consumers", "messages")
        ],
    )


EVERYTHING: Final[dict[str, object]] = {
    "exchanges": [{"name": "amq.topic", "type": "topic"}],
    "queues": [{"name": "e-run"}, {"name": "e-other"}],
    "bindings": [{"exchange": "amq.topic", "queue": "e-run", "routing_key": "run"}],
    "dead_letter": "required",
    "consumers": {"prefetch": {"max": 10}},
    "messages": {},
    "unroutable": "forbid",
    "backlog": {"max_ready": 5},
    "own": {"connection_name": "pod"},
}


async def everything(channel: AbstractChannel, rabbit: RabbitServer) -> None:
    """Make what a contract with every key is about."""
    await declare(channel, "e-run", **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "e-dead"})
    await declare(channel, "e-other", **{"x-dead-letter-exchange": "amq.fanout"})
    await declare(channel, "e-dead")
    await channel.queue_bind("e-run", "amq.topic", "#")
    await channel.queue_bind("e-dead", "amq.fanout")
    await channel.basic_consume("e-run", ignore)
    for queue in ("e-run", "e-other", "e-dead"):
        await counted(rabbit, queue)
    await counted(rabbit, "e-run", consumers=1)


class Overheard:
    """What was asked of an HTTP server, and the connections over which."""

    def __init__(self) -> None:
        self.said = b""
        self.connections = 0

    @property
    def requests(self) -> list[str]:
        return [line.decode() for line in re.findall(rb"^(\S+ \S+) HTTP/1.1\r$", self.said, re.MULTILINE)]


@asynccontextmanager
async def overhearing(
    target: Address, *, tls: ssl.SSLContext | None = None, at: int = 0, act: Act | None = None
) -> AsyncIterator[tuple[Fake, Overheard]]:
    """Pass everything to a server and back; before the request number `at` is passed on, `act`."""
    heard = Overheard()

    async def script(client: Connection) -> None:
        heard.connections += 1
        reader, writer = await asyncio.open_connection(target.host, target.port)

        async def answer() -> None:
            await _send(reader, client)
            client.reset()

        answering = asyncio.create_task(answer())
        try:
            while data := await client.read():
                heard.said += data
                if act is not None and len(heard.requests) == at:
                    await act()
                writer.write(data)
        finally:
            answering.cancel()
            writer.transport.abort()

    async with talking(script, tls=tls) as address:
        yield address, heard


async def test_it_sends_nothing_but_get_and_opens_no_amqp_connection(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    await everything(channel, rabbit)
    [connection] = [each["name"] for each in rabbit.api("GET", "/connections")]
    async with overhearing(api_of(rabbit)) as (address, heard), silent() as broker:
        urls = {"url": f"amqp://reader:pw@{broker}/", "management_url": f"http://{address}/api/"}
        async with mounted({"type": "rabbitmq-delivery", **urls, **EVERYTHING}) as runner:
            result = await runner.run()

        assert broker.connections == 0

    assert result.outcome is Outcome.WARNING
    assert result.connections_opened == heard.connections == 1
    assert {request.partition(" ")[0] for request in heard.requests} == {"GET"}
    exchanges = "/api/exchanges/%2F?columns=name,type,durable,auto_delete,internal,arguments,policy"
    page = f"{exchanges}&page=1&page_size=1&use_regex=true&name=%5E"
    asked = [request.partition(" ")[2] for request in heard.requests]
    assert [
        each.removeprefix(page) if each.startswith(page) else each.partition("?")[0] for each in asked
    ] == [
        "/api/health/checks/alarms",
        "%24",
        "amq%5C.topic%24",
        "/api/queues/%2F/e-run",
        "/api/queues/%2F/e-other",
        "/api/bindings/%2F/e/amq.topic/q/e-run",
        "/api/queues/%2F/e-dead",
        "amq%5C.fanout%24",
        "/api/exchanges/%2F/amq.fanout/bindings/source",
        "/api/vhosts",
        f"/api/connections/{quote(connection, safe='')}",
    ]


def left_in(rabbit: RabbitServer) -> dict[str, list[str]]:
    """Return what the broker holds, by the names that it gives."""
    return {
        sort: sorted(
            str(each.get("name") or each.get("consumer_tag")) for each in rabbit.api("GET", f"/{sort}")
        )
        for sort in ("queues", "exchanges", "connections", "channels", "consumers")
    }


@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("kill", Reason.UNAVAILABLE),
        ("pause", Reason.TIMEOUT),
        ("reset", Reason.UNAVAILABLE),
        ("lock", Reason.AUTH),
    ],
)
async def test_a_broker_that_goes_away_in_mid_run_is_told_in_time_and_nothing_is_left(
    breakable_rabbit: RabbitServer, at: int, fault: str, reason: Reason
) -> None:
    """Killed, paused, its connections reset and further ones refused, the user locked out."""
    server = breakable_rabbit
    server.add_user("reader", "pw", tags="management", vhosts={"/": NOTHING})
    server.api("PUT", "/queues/%2F/f-run", {"durable": True})
    before = await asyncio.to_thread(left_in, server)

    async def strike() -> None:
        if fault == "reset":
            address.shut()
            raise ConnectionResetError
        if fault == "lock":
            await asyncio.to_thread(server.add_user, "reader", "another", tags="management")
        else:
            await asyncio.to_thread(getattr(server, fault))

    wishes = {"queues": wanted("f-run"), "dead_letter": "required", "exchanges": wanted("amq.topic")}
    async with overhearing(api_of(server), at=at, act=strike) as (address, heard):
        struck = {**keys(server, **wishes), "management_url": f"http://{address}"}
        result = await run_once(struck, deadline="1s")
    server.resume()
    await asyncio.to_thread(server.start)
    server.add_user("reader", "pw", tags="management", vhosts={"/": NOTHING})
    after = await run_once(keys(server, **wishes))

    assert result.reason is reason, result.message
    assert result.duration < 1 + CANCEL_GRACE + SLACK
    assert (len(heard.requests), heard.connections) == (at, 1)
    assert after.message in (
        "queue f-run has no dead-letter exchange",
        "queue f-run: no policy is known that may name a dead-letter exchange",
    )
    assert await asyncio.to_thread(left_in, server) == before


async def test_the_api_is_asked_over_tls_as_the_tls_block_says(
    rabbit: RabbitServer, certificates: Certificates
) -> None:
    ca = str(certificates.ca)
    async with overhearing(api_of(rabbit), tls=server_context(certificates.good)) as (address, heard):

        async def run(**tls: object) -> Result:
            url = {"url": "amqps://reader:pw@r", "management_url": f"https://{address}"}
            return await run_once({"type": "rabbitmq-delivery", **url, "tls": tls})

        assert ending(await run(ca=ca)) == SUCCESS
        assert ending(await run(insecure=True)) == SUCCESS
        assert (await run()).reason is Reason.TLS
        assert (await run(ca=ca, server_name="elsewhere.test")).reason is Reason.TLS
        assert heard.connections == 2


async def test_takes_any_character_in_names_and_credentials(
    rabbit: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vhost, user = "a/b c%2Fd", ODD.replace(":", "")
    rabbit.add_vhost(vhost)
    rabbit.add_user(user, ODD, tags="management", vhosts={vhost: NOTHING})
    rabbit.set_permissions("guest", Permissions(), vhost=vhost)
    path = quote(vhost, safe="")
    for sort, more in (("exchanges", {"type": "topic"}), ("queues", {})):
        rabbit.api("PUT", f"/{sort}/{path}/{quote(ODD, safe='')}", {"durable": True, **more})
    binding = f"/bindings/{path}/e/{quote(ODD, safe='')}/q/{quote(ODD, safe='')}"
    rabbit.api("POST", binding, {"routing_key": ODD})
    monkeypatch.setenv("ODD", ODD)
    monkeypatch.setenv("LOGIN", user)
    wishes = {
        "type": "rabbitmq-delivery",
        "queues": wanted(ODD),
        "exchanges": wanted(ODD),
        "bindings": [{"exchange": ODD, "queue": ODD, "routing_key": ODD}],
    }
    api = f"127.0.0.1:{rabbit.management_port}"

    results = [
        await run_once(
            {**wishes, "url": f"amqp://r/{path}", "management_url": f"http://${{LOGIN}}:${{ODD}}@{api}"}
        ),
        await run_once(
            {**wishes, "url": f"amqp://${{LOGIN}}:${{ODD}}@r/{path}", "management_url": f"http://{api}"}
        ),
    ]

    assert [ending(result) for result in results] == [SUCCESS] * 2


def answering(*answers: bytes) -> AbstractAsyncContextManager[Address]:
    """Answer each request with the next of these, the last one again and again."""

    async def script(connection: Connection) -> None:
        left = list(answers)
        while await connection.read():
            await connection.send(left.pop(0) if len(left) > 1 else left[0])

    return talking(script)


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""])
    return head.encode() + body


WELL: Final = answer(b'{"status":"ok"}')
LOGIN: Final = answer(
    b'{"error":"not_authorized","reason":"no"}', "401 Unauthorized", 'WWW-Authenticate: Basic realm="R"'
)
NOT_FROM_HERE: Final = answer(
    b'{"error":"not_authorised","reason":"User can only log in via localhost"}', "401 Unauthorized"
)
DEFAULT: Final = answer(
    b'{"items":[{"name":"","type":"direct","durable":true,"auto_delete":false,"internal":false,"arguments":{}}]}'
)
GONE: Final = answer(b'{"error":"Object Not Found","reason":"Not Found"}', "404 Not Found")


@pytest.mark.parametrize(
    ("answers", "reason", "said"),
    [
        ([answer(b"<html>")], Reason.PROTOCOL, "answered 200, and not as a management API does"),
        ([answer(b"[" * 50_000)], Reason.PROTOCOL, "answered 200, and not as a management API does"),
        ([answer(b"[]")], Reason.PROTOCOL, "answered 200, and not as a management API does"),
        ([answer(b'{"status":"failed"}')], Reason.PROTOCOL, "answered 200, and not as a management API"),
        ([answer(b"x" * 2_000_000)], Reason.PROTOCOL, "answered 200, and not as a management API does"),
        ([answer(b"", "503 No")], Reason.UNAVAILABLE, "answered 503, and not as a management API does"),
        ([answer(b"", "404 No")], Reason.NOT_FOUND, "answered 404, and not as a management API does"),
        ([answer(b"", "403 No")], Reason.FORBIDDEN, "answered 403, and not as a management API does"),
        ([answer(b"", "302 No", "Location: /login")], Reason.CONTRACT, "answered 302"),
        ([answer(b"", "401 No")], Reason.AUTH, "refused the login: status 401"),
        ([LOGIN], Reason.AUTH, "refused the login: no"),
        ([NOT_FROM_HERE], Reason.AUTH, "refused the login: User can only log in via localhost"),
        ([WELL, answer(b"[]")], Reason.NOT_FOUND, "has no virtual host /"),
        ([WELL, GONE], Reason.NOT_FOUND, "has no virtual host /"),
        ([WELL, answer(b'{"items":[{"name":"x"}]}')], Reason.PROTOCOL, "answered 200, and not as a"),
        ([WELL, answer(b'{"items":[{"name":""}]}')], Reason.PROTOCOL, "answered without the type"),
        ([WELL, DEFAULT, answer(b"[]")], Reason.PROTOCOL, "answered without the name"),
        ([WELL, DEFAULT, GONE], Reason.NOT_FOUND, "queue x does not exist"),
        ([WELL, DEFAULT, answer(b"", "500 No")], Reason.UNAVAILABLE, "answered 500"),
    ],
)
async def test_names_what_is_no_management_api(answers: list[bytes], reason: Reason, said: str) -> None:
    async with answering(*answers) as address:
        result = await run_once(
            {
                "type": "rabbitmq-delivery",
                "url": "amqp://r",
                "management_url": f"http://{address}",
                "queues": wanted("x"),
            }
        )

    assert result.reason is reason, result.message
    assert said in result.message


@pytest.mark.parametrize("shift", range(0, 80, 7))
async def test_tells_no_part_of_a_login_that_an_answer_repeats(shift: int) -> None:
    login = b64encode(f"reader:{SECRET}".encode()).decode()
    repeated = json.dumps({"error": "no", "reason": f"{'x' * shift} {SECRET} {login} log in"}).encode()
    async with answering(answer(repeated, "401 Unauthorized")) as address:
        result = await run_once(
            {
                "type": "rabbitmq-delivery",
                "url": f"amqp://reader:{quote(SECRET, safe='')}@r",
                "management_url": f"http://{address}",
            }
        )

    assert not [form for form in (SECRET, login) if form[:4] in result.message], result.message


async def test_what_is_no_text_in_an_answer_is_asked_for_all_the_same() -> None:
    to_nowhere = answer(
        b'[{"destination":"\\ud800","destination_type":"queue","routing_key":"","arguments":{}}]'
    )
    queue = {
        "name": "x", "durable": True, "auto_delete": False, "exclusive": False, "type": "classic",
        "arguments": {"x-dead-letter-exchange": "d"}, "effective_policy_definition": {},
    }  # fmt: skip
    exchange = answer(DEFAULT.partition(b"\r\n\r\n")[2].replace(b'"name":""', b'"name":"d"'))
    answers = [WELL, DEFAULT, answer(json.dumps(queue).encode()), exchange, to_nowhere, GONE]
    async with answering(*answers) as address:
        result = await run_once(
            {
                "type": "rabbitmq-delivery",
                "url": "amqp://r",
                "management_url": f"http://{address}",
                "queues": wanted("x"),
                "dead_letter": "required",
            }
        )

    assert result.reason is not Reason.UNEXPECTED, result.message


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (
            [GONE, DEFAULT],
            "whether the broker takes messages cannot be verified: the broker has no health check alarms",
        ),
        (
            [WELL, DEFAULT, answer(b"x" * 2_000_000)],
            "queue x cannot be verified: the answer is longer than 1024 KiB",
        ),
    ],
)
async def test_what_a_broker_cannot_tell_is_no_failure(answers: list[bytes], said: str) -> None:
    wishes = {"queues": wanted("x")} if len(answers) == 3 else {}
    async with answering(*answers) as address:
        url = {"url": "amqp://r", "management_url": f"http://{address}"}
        result = await run_once({"type": "rabbitmq-delivery", **url, **wishes})

    assert (result.outcome, result.message) == (Outcome.WARNING, said)


async def survey_of(consumers: Sequence[str]) -> tuple[list[str], Facts]:
    """Return what is asked, and found, of a queue whose consumers have these connections."""
    details = [
        {
            "consumer_tag": "a",
            "ack_required": True,
            "prefetch_count": 1,
            "channel_details": {"connection_name": name} if name else [],
        }
        for name in consumers
    ]
    counts = {"messages": 0, "messages_ready": 0, "messages_unacknowledged": 0}
    queue = {"name": "x", "type": "classic", "durable": True, "auto_delete": False, "exclusive": False}
    asked: list[str] = []

    async def script(connection: Connection) -> None:
        while said := await connection.read():
            asked.append(unquote(said.split(b" ")[1].decode()).partition("?")[0])
            is_named = asked[-1].startswith("/api/connections/")
            whole = {**queue, **counts, "consumer_details": details}
            named = {"user_provided_name": "pod" if asked[-1].endswith("c0") else "other"}
            others = {"/api/health/checks/alarms": WELL, "/api/exchanges//": DEFAULT}
            await connection.send(
                others.get(asked[-1]) or answer(json.dumps(named if is_named else whole).encode())
            )

    async with talking(script) as address:
        url = {"url": "amqp://r", "management_url": f"http://{address}"}
        own = {"consumers": {}, "own": {"connection_name": "pod"}, "queues": wanted("x")}
        only = config(**url, **own)
        async with Management(only.access).visit() as visit:
            facts = await survey(visit, only, "/")
    return [path for path in asked if "connections" in path], facts


async def test_connections_are_asked_for_by_name_and_no_more_than_their_bound() -> None:
    few, found = await survey_of(["c0", "c1", "c0"])
    many, _ = await survey_of([f"c{number}" for number in range(CONNECTION_LIMIT)])
    too_many, untold = await survey_of([f"c{number}" for number in range(CONNECTION_LIMIT + 1)])
    young, unknown = await survey_of(["c0", ""])

    assert few == ["/api/connections/c0", "/api/connections/c1"]
    assert found.ours.connections == frozenset({"c0"})
    assert len(many) == CONNECTION_LIMIT
    assert (too_many, young) == ([], [])
    assert untold.ours.connections == Unknown(
        Reason.UNAVAILABLE, f"consumers use more than {CONNECTION_LIMIT} connections"
    )
    assert unknown.ours.connections == Unknown(
        Reason.UNAVAILABLE, "the broker does not know yet which connection a consumer has"
    )


async def test_a_run_asks_no_more_than_its_bound() -> None:
    """Dead letters that go from exchange to exchange without end."""
    number = iter(range(10_000))

    async def script(connection: Connection) -> None:
        while said := await connection.read():
            asked = unquote(said.split(b" ")[1].decode())
            requests.append(asked)
            await connection.send(_endless_answer(asked, next(number)))

    requests: list[str] = []
    async with talking(script) as address:
        url = {"url": "amqp://r", "management_url": f"http://{address}"}
        result = await run_once(
            {"type": "rabbitmq-delivery", **url, "queues": wanted("x"), "dead_letter": "required"}
        )

    assert len(requests) == REQUEST_LIMIT
    assert (result.outcome, result.message) == (
        Outcome.WARNING,
        f"{WHERE.format('x')} it would take more than {REQUEST_LIMIT} requests",
    )


def _endless_answer(asked: str, number: int) -> bytes:
    traits = {"durable": True, "auto_delete": False, "internal": False, "exclusive": False}
    if "health" in asked:
        return WELL
    if "bindings" in asked:
        way = {
            "destination": f"e{number}",
            "destination_type": "exchange",
            "routing_key": "",
            "arguments": {},
        }
        return answer(json.dumps([way]).encode())
    if "queues" in asked:
        arguments = {"x-dead-letter-exchange": "e"}
        return answer(json.dumps({"name": "x", "type": "classic", "arguments": arguments, **traits}).encode())
    name = asked.rpartition("name=^")[2].rstrip("$")
    exchange = {"name": name, "type": "fanout", "arguments": {}, **traits}
    return answer(json.dumps({"items": [exchange]}).encode())


def config(**more: object) -> DeliveryConfig:
    only = load_one({"type": "rabbitmq-delivery", **more}).checks[0]
    assert isinstance(only, DeliveryConfig)
    return only


def test_it_runs_rarely() -> None:
    only = config(url="amqp://r")

    assert (only.interval, only.timeout) == (300.0, 15.0)


@pytest.mark.parametrize(
    ("keys", "root", "login"),
    [
        ({"url": "amqp://r"}, "http://r:15672/api", ("guest", "guest")),
        ({"url": "amqps://r/ci"}, "https://r:15671/api", ("guest", "guest")),
        ({"url": "amqp://a:b@[::1]:5"}, "http://[::1]:15672/api", ("a", "b")),
        ({"url": "amqp://r", "username": "a", "password": "b"}, "http://r:15672/api", ("a", "b")),
        ({"url": "amqp://a:b@r", "management_url": "https://m"}, "https://m:443/api", ("a", "b")),
        ({"url": "amqp://a:b@r", "management_url": "http://c:d@m/x/api/"}, "http://m:80/x/api", ("c", "d")),
        ({"url": "amqp://a@r"}, "http://r:15672/api", ("a", "")),
    ],
)
def test_the_management_api_follows_from_the_url_unless_it_is_given(
    keys: dict[str, object], root: str, login: tuple[str, str]
) -> None:
    access = config(**keys).access

    assert (access.root, (access.username, access.password.reveal())) == (root, login)


def test_what_is_asked_is_the_management_api() -> None:
    only = config(url="amqp://broker/ci", management_url="http://elsewhere:8080")

    assert (only.target, only.hosts, only.port, only.vhost) == (
        "elsewhere:8080",
        ("elsewhere",),
        8080,
        "ci",
    )


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"tls": {}}, "checks.it.tls: has no use without TLS; write management_url with https://"),
        ({"queues": wanted("a", "a")}, "checks.it.queues: has 'a' twice; remove one"),
        ({"exchanges": wanted("a", "a")}, "checks.it.exchanges: has 'a' twice; remove one"),
        ({"dead_letter": "required"}, "checks.it.dead_letter: is about the queues that the check lists"),
        ({"consumers": {}}, "checks.it.consumers: is about the queues that the check lists"),
        ({"messages": {}}, "checks.it.messages: is about the queues that the check lists"),
        ({"backlog": {"max_ready": 1}}, "checks.it.backlog: is about the queues that the check lists"),
        ({"own": {"connection_name": "a"}}, "checks.it.own: has no use without consumers"),
        (
            {"queues": [{"name": "a", "type": "stream"}], "dead_letter": "x"},
            "checks.it.dead_letter: is nothing that a stream has; give a another check",
        ),
        (
            {"queues": [{"name": "a", "type": "quorum", "durable": False}]},
            "checks.it.queues[0].type: quorum queues are always durable",
        ),
        (
            {"queues": [{"name": "a", "type": "stream", "exclusive": True}]},
            "checks.it.queues[0].type: stream queues are always durable",
        ),
        (
            {"queues": wanted("a"), "consumers": {"prefetch": {"min": 5, "max": 4}}},
            "checks.it.consumers.prefetch.max: is less than min",
        ),
        ({"queues": wanted("a"), "messages": {"persistent": False}}, "messages.persistent: asks for nothing"),
        ({"queues": wanted("a"), "backlog": {}}, "checks.it.backlog: asks for nothing"),
        ({"queues": wanted("a"), "consumers": {}, "own": {}}, "checks.it.own: says nothing"),
        ({"unroutable": "allow"}, "unknown choice 'allow'"),
        ({"username": "a:b"}, "checks.it.username: has a user name with a colon, which HTTP does not"),
        ({"url": "amqp://a%3Ab:c@r"}, "checks.it.url: has a user name with a colon, which HTTP does not"),
        (
            {"management_url": "http://a%3Ab:c@r"},
            "checks.it.management_url: has a user name with a colon, which HTTP does not carry",
        ),
        (
            {"queues": wanted(*(f"q{number}" for number in range(51)))},
            "checks.it: has 51 exchanges, queues and bindings, each of them a request",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(keys: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config(**{"url": "amqp://r", **keys})

    assert sentence in str(refused.value)


def test_fifty_objects_are_not_too_many() -> None:
    assert len(config(url="amqp://r", queues=wanted(*(f"q{number}" for number in range(50)))).queues) == 50


def test_the_file_imports_without_its_drivers() -> None:
    program = (
        "import sys; from sidecar.checks import InstalledTypes;"
        "found = InstalledTypes().find('rabbitmq-delivery');"
        "print(found.config.__name__, {'aiohttp', 'aiormq', 'aio_pika', 'pamqp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "DeliveryConfig set()\n"
