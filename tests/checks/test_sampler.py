"""A look at copies of real messages, against a real broker: what it shows, and that nothing is left of it."""

import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiormq
import pytest
from aiormq.abc import AbstractChannel
from pamqp.base import Frame

from sidecar.checks import InstalledTypes
from sidecar.checks._sampler import BYTES, NOWHERE
from sidecar.core.check import Reason
from sidecar.core.finding import Finding, Standing
from sidecar.core.sample import Identifier, Sample
from sidecar.runtime.explanation import explain
from tests.checks.contract import SECRET, Keys, load_one
from tests.checks.rabbit_clients import connected, until
from tests.checks.rabbit_fake import overhearing
from tests.network import Address, Proxy
from tools.servers import QUICK_STATISTICS, Permissions, RabbitServer

HELD, VIOLATED, UNVERIFIABLE = Standing.HELD, Standing.VIOLATED, Standing.UNVERIFIABLE
LOOKER: Final = Permissions(configure=r"^amq\.gen-.*$", write=r"^amq\.gen-.*$", read=r"^(amq\.gen-.*|s-ev)$")
"""The permissions of the documentation, for the exchange `s-ev`."""
BODY: Final = b'{"order": 4711, "card": "a body that nobody may see"}'
SECRET_IN_URL: Final = quote(SECRET, safe="")
WAY: Final = "from exchange s-ev to queue s-work"

Told = list[tuple[Standing, str]]


@pytest.fixture(scope="module")
def rabbit_config() -> Sequence[str]:
    return QUICK_STATISTICS


@pytest.fixture
def rabbit(breakable_rabbit: RabbitServer) -> RabbitServer:
    breakable_rabbit.add_user("looker", SECRET, tags="management", vhosts={"/": LOOKER})
    return breakable_rabbit


@pytest.fixture
async def channel(rabbit: RabbitServer) -> AsyncIterator[AbstractChannel]:
    """Yield a channel of production's, which has an exchange, a queue and a binding."""
    async with connected(rabbit, "production") as connection:
        channel = await connection.channel()
        await declare(channel)
        yield channel
        await channel.queue_delete("s-work")
        await channel.exchange_delete("s-ev")


async def declare(channel: AbstractChannel, kind: str = "topic", **arguments: Any) -> None:
    await channel.exchange_delete("s-ev")
    await channel.exchange_declare("s-ev", exchange_type=kind, durable=True, arguments=arguments)
    await channel.queue_declare("s-work", durable=True)
    await channel.queue_bind("s-work", "s-ev", "a.*" if kind == "topic" else "a.b")


def keys(rabbit: RabbitServer, **more: object) -> Keys:
    return {
        "type": "rabbitmq-delivery",
        "url": rabbit.url_for("looker", SECRET),
        "management_url": rabbit.management_url,
        "bindings": [{"exchange": "s-ev", "queue": "s-work", "routing_key": "a.b"}],
        "timeout": "3s",
        **more,
    }


async def findings(
    keys: Keys, *, count: int = 3, seconds: float = 10.0, where: str = "message_id"
) -> Sequence[Finding]:
    """Return what a look adds to what the check finds without it."""
    (check,) = load_one(keys).checks
    check_type = InstalledTypes().find(check.type)
    assert check_type is not None
    sample = Sample(count=count, seconds=seconds, identifier=Identifier.parse(where))
    (told,) = await explain([check], find=lambda _: check_type, redact=str, sample=sample)
    return [each for each in told.findings if each.rule not in ("node", "binding")]


async def look(keys: Keys, **options: Any) -> Told:
    return [(each.standing, each.sentence) for each in await findings(keys, **options)]


async def looking(rabbit: RabbitServer) -> dict[str, Any]:
    """Return the private queue as soon as it is bound to production's exchange."""
    await until(lambda: [each for each in bindings(rabbit) if each["destination"] != "s-work"])
    (queue,) = [each for each in rabbit.api("GET", "/queues") if each["name"].startswith("amq.gen-")]
    found: dict[str, Any] = queue
    return found


def bindings(rabbit: RabbitServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rabbit.api("GET", "/exchanges/%2F/s-ev/bindings/source")
    return found


async def nothing_is_left(rabbit: RabbitServer) -> None:
    """Return when all that is there is production's."""

    def is_so() -> bool:
        names = {
            each["client_properties"].get("connection_name") for each in rabbit.api("GET", "/connections")
        }
        queues = {each["name"] for each in rabbit.api("GET", "/queues")}
        bound = {(each["destination"], each["routing_key"]) for each in bindings(rabbit)}
        consumers = [each["queue"]["name"] for each in rabbit.api("GET", "/consumers")]
        return (names, queues, len(bound), consumers) == ({"production"}, {"s-work"}, 1, [])

    await until(is_so)


async def publish(
    channel: AbstractChannel,
    *identifiers: str,
    headers: dict[str, Any] | None = None,
) -> None:
    for each in identifiers:
        properties = aiormq.spec.Basic.Properties(message_id=each, delivery_mode=2, headers=headers)
        confirmed = await channel.basic_publish(
            BODY, exchange="s-ev", routing_key="a.b", properties=properties, mandatory=True
        )
        assert isinstance(confirmed, aiormq.spec.Basic.Ack)


def publish_bare(rabbit: RabbitServer, properties: dict[str, Any]) -> None:
    """Publish a message that is not persistent and has no message_id, which aiormq gives to each."""
    message = {"routing_key": "a.b", "payload": "no JSON", "payload_encoding": "string"}
    rabbit.api("POST", "/exchanges/%2F/s-ev/publish", {**message, "properties": properties})


@pytest.mark.parametrize("kind", ["topic", "direct", "fanout"])
async def test_good_messages_are_copied_and_production_gets_each_of_them(
    rabbit: RabbitServer, channel: AbstractChannel, kind: str
) -> None:
    await declare(channel, kind)
    asking = asyncio.create_task(look(keys(rabbit), count=3))
    private = await looking(rabbit)
    await publish(channel, "one", "two", "three", "four")

    told = await asking
    await nothing_is_left(rabbit)
    left = await channel.queue_purge("s-work")

    assert told == [
        (HELD, f"each of 3 messages {WAY} is persistent"),
        (HELD, f"each of 3 messages {WAY} has a message_id"),
        (HELD, f"no two of 3 messages {WAY} have the same message_id"),
    ]
    assert left.message_count == 4
    assert (private["exclusive"], private["auto_delete"], private["durable"], private["arguments"]) == (
        True,
        True,
        False,
        {
            "x-queue-type": "classic",
            "x-max-length": 3,
            "x-max-length-bytes": BYTES,
            "x-overflow": "drop-head",
            "x-message-ttl": 10_000,
            "x-expires": 60_000,
            "x-dead-letter-exchange": NOWHERE,
        },
    )


@pytest.mark.parametrize(
    ("where", "word", "bad", "good"),
    [
        ("message_id", "message_id", {}, {}),
        ("header:x-id", "header x-id", {"headers": {"x-id": ""}}, {"headers": {"x-id": "same"}}),
        ("json:/order", "value at /order", {}, {}),
    ],
)
async def test_bad_messages_are_told_wherever_their_identifier_is(
    rabbit: RabbitServer,
    channel: AbstractChannel,
    where: str,
    word: str,
    bad: dict[str, Any],
    good: dict[str, Any],
) -> None:
    asking = asyncio.create_task(look(keys(rabbit), count=4, where=where))
    await looking(rabbit)
    publish_bare(rabbit, bad)
    await publish(channel, "same", "same", "same", **good)

    told = await asking
    await channel.queue_purge("s-work")

    assert told == [
        (VIOLATED, f"1 of 4 messages {WAY} would not survive a restart of the broker"),
        (VIOLATED, f"1 of 4 messages {WAY} had no {word}"),
        (VIOLATED, f"2 of 4 messages {WAY} repeated the {word} of another"),
    ]


@pytest.mark.usefixtures("channel")
async def test_without_messages_a_look_ends_in_time_and_verifies_nothing(rabbit: RabbitServer) -> None:
    told = await look(keys(rabbit), seconds=0.3)
    await nothing_is_left(rabbit)

    assert told == [
        (
            UNVERIFIABLE,
            f"no message went {WAY} within 0.3s: neither persistence nor identifiers can be verified",
        )
    ]


async def test_what_may_not_be_looked_at_is_said_and_the_broker_is_not_even_dialled(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    async def refused(where: str = "s-ev", **more: object) -> str:
        wanted = {"exchange": where, "queue": "s-work", "routing_key": "s-work" if where != "s-ev" else "a.b"}
        [(standing, sentence)] = await look(
            keys(rabbit, bindings=[wanted], url="amqp://nobody.invalid:1", **more)
        )
        assert standing is UNVERIFIABLE
        subject = f"messages from exchange {where} to queue s-work are not looked at: "
        assert sentence.startswith(subject)
        return sentence.removeprefix(subject)

    more = {"management_url": f"http://looker:{SECRET_IN_URL}@{rabbit.host}:{rabbit.management_port}"}
    told = [await refused("amq.default", **more)]
    await channel.queue_unbind("s-work", "s-ev", "a.*")
    told.append(await refused(**more))
    await declare(channel, "headers")
    told.append(await refused(**more))
    await declare(channel, "topic", **{"alternate-exchange": "amq.fanout"})
    told.append(await refused(**more))
    await declare(channel)
    rabbit.api(
        "PUT",
        "/policies/%2F/s",
        {"pattern": "^s-ev$", "definition": {"alternate-exchange": "amq.fanout"}, "apply-to": "exchanges"},
    )
    told.append(await refused(**more))
    rabbit.api("DELETE", "/policies/%2F/s")

    assert told == [
        "nothing can be bound to the default exchange",
        "the queue is not bound so",
        "another queue on an exchange of type headers could take messages away",
        "it has the alternate exchange amq.fanout, which another binding could starve",
        "a policy may give it an alternate exchange, which another binding could starve",
    ]


async def test_a_look_says_no_more_on_the_wire_than_it_must(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    async with overhearing(Address(rabbit.host, rabbit.port)) as (address, frames):
        url = f"amqp://looker:{SECRET_IN_URL}@{address}/"
        asking = asyncio.create_task(look(keys(rabbit, url=url), count=1))
        await looking(rabbit)
        await publish(channel, "one")
        await asking
        said = [each for each in frames if isinstance(each, Frame)]
    await channel.queue_purge("s-work")
    opened = [each.name for each in said].index("Channel.Open")
    private = {name for each in said if (name := getattr(each, "queue", ""))}

    assert [each.name for each in said[opened:]] == [
        *("Channel.Open", "Basic.Qos", "Queue.Declare", "Basic.Consume", "Queue.Bind"),
        *("Queue.Unbind", "Basic.Cancel", "Queue.Delete", "Connection.Close"),
    ]
    assert [each[:8] for each in private] == ["amq.gen-"]
    (asked,) = [each for each in said if each.name == "Basic.Qos"]
    (consumed,) = [each for each in said if each.name == "Basic.Consume"]
    (bound,) = [each for each in said if each.name == "Queue.Bind"]
    assert (asked["prefetch_count"], consumed["no_ack"]) == (1, False)
    assert (bound["exchange"], bound["routing_key"]) == ("s-ev", "a.*")


async def test_policies_for_every_queue_do_not_reach_the_private_one(
    rabbit: RabbitServer, channel: AbstractChannel
) -> None:
    await channel.queue_declare("s-dead", durable=True)
    await channel.queue_bind("s-dead", "amq.fanout")
    definition = {"dead-letter-exchange": "amq.fanout", "overflow": "reject-publish", "message-ttl": 1}
    rabbit.api(
        "PUT", "/policies/%2F/all", {"pattern": "^amq", "definition": definition, "apply-to": "queues"}
    )
    await channel.queue_bind("s-work", "s-ev", "b.*")
    ways = [{"exchange": "s-ev", "queue": "s-work", "routing_key": key} for key in ("a.b", "b.c")]
    asking = asyncio.create_task(look(keys(rabbit, bindings=ways), count=1, seconds=2.0))
    await until(lambda: len(bindings(rabbit)) == 4)
    await publish(channel, *map(str, range(200)))

    told = await asking
    rabbit.api("DELETE", "/policies/%2F/all")
    dead = await channel.queue_delete("s-dead")
    left = await channel.queue_purge("s-work")

    assert told[:2] == [
        (HELD, f"each of 1 message {WAY} is persistent"),
        (HELD, f"each of 1 message {WAY} has a message_id"),
    ]
    assert (dead.message_count, left.message_count) == (0, 200)


@pytest.mark.usefixtures("channel")
async def test_a_missing_permission_is_named_and_leaves_nothing(rabbit: RabbitServer) -> None:
    lacking = [
        Permissions(configure="^$", write=LOOKER.write, read=LOOKER.read),
        Permissions(configure=LOOKER.configure, write="^$", read=LOOKER.read),
        Permissions(configure=LOOKER.configure, write=LOOKER.write, read=r"^amq\.gen-.*$"),
    ]
    told = []
    for each in lacking:
        rabbit.set_permissions("looker", each)
        [finding] = await findings(keys(rabbit))
        told.append((finding.standing, finding.reason, "ACCESS_REFUSED" in finding.sentence))
    await nothing_is_left(rabbit)

    assert told == [(UNVERIFIABLE, Reason.FORBIDDEN, True)] * 3


def ours(rabbit: RabbitServer) -> list[str]:
    """Return the broker's names of the connections that look."""
    connections = rabbit.api("GET", "/connections")
    return [each["name"] for each in connections if each.get("user_provided_name") == "sidecar/it"]


@pytest.mark.usefixtures("channel")
async def test_a_connection_that_is_closed_or_hangs_amid_a_look_is_told_in_time(rabbit: RabbitServer) -> None:
    asking = asyncio.create_task(findings(keys(rabbit)))
    await looking(rabbit)
    await until(lambda: ours(rabbit))
    (name,) = ours(rabbit)
    rabbit.api("DELETE", f"/connections/{quote(name)}")
    [ended] = await asyncio.wait_for(asking, 5)
    await nothing_is_left(rabbit)
    asking = asyncio.create_task(findings(keys(rabbit, timeout="1s"), seconds=1.0))
    await looking(rabbit)
    rabbit.pause()
    [hung] = await asyncio.wait_for(asking, 5)
    rabbit.resume()
    await nothing_is_left(rabbit)

    assert (ended.standing, ended.reason) == (UNVERIFIABLE, Reason.UNAVAILABLE)
    assert (hung.standing, hung.reason) == (UNVERIFIABLE, Reason.TIMEOUT)


@pytest.mark.usefixtures("channel")
async def test_a_network_that_refuses_or_breaks_is_told(rabbit: RabbitServer) -> None:
    async with Proxy(Address(rabbit.host, rabbit.port)) as proxy:
        url = f"amqp://looker:{SECRET_IN_URL}@{proxy.address}/"
        asking = asyncio.create_task(findings(keys(rabbit, url=url)))
        await looking(rabbit)
        proxy.cut()
        [cut] = await asyncio.wait_for(asking, 5)
        with proxy.fault("silent"):
            [silent] = await findings(keys(rabbit, url=url, timeout="500ms"), seconds=0.1)
    [refused] = await findings(keys(rabbit, url=url))
    await nothing_is_left(rabbit)

    told = [(each.standing, each.reason) for each in (cut, silent, refused)]
    assert told == [
        (UNVERIFIABLE, Reason.UNAVAILABLE),
        (UNVERIFIABLE, Reason.TIMEOUT),
        (UNVERIFIABLE, Reason.REFUSED),
    ]


@asynccontextmanager
async def explaining(folder: Path, rabbit: RabbitServer) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the real command, which looks for a minute."""
    path = folder / "config.yaml"
    check = {"name": "delivery", "gates": "none", **keys(rabbit)}
    path.write_text(json.dumps({"ungated": True, "checks": [check]}))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar", "explain", "delivery", "--config", str(path)),
        *("--sample", "20", "--sample-for", "1m"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_a_look_that_is_interrupted_or_killed_leaves_nothing(
    rabbit: RabbitServer, channel: AbstractChannel, tmp_path: Path, number: signal.Signals
) -> None:
    async with explaining(tmp_path, rabbit) as process:
        await looking(rabbit)
        await publish(channel, "order-identifier")
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), 5)

    await nothing_is_left(rabbit)
    left = await channel.queue_purge("s-work")
    assert process.returncode == (-signal.SIGKILL if number is signal.SIGKILL else 128 + number)
    assert (out, err) == (b"", b"")
    assert left.message_count == 1


async def test_nothing_of_a_message_and_no_secret_is_ever_told(
    rabbit: RabbitServer, channel: AbstractChannel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="sidecar")
    asking = asyncio.create_task(findings(keys(rabbit), count=2, where="json:/card"))
    await looking(rabbit)
    await publish(channel, "order-identifier", "order-identifier", headers={"x": "a header"})
    told = repr(await asking) + caplog.text
    await channel.queue_purge("s-work")

    assert "repeated the value at /card" in told
    for private in ("nobody may see", "order-identifier", "a header", SECRET):
        assert private not in told
