"""The check type `rabbitmq`, against a real broker and against what a real one does in trouble."""

import asyncio
import gc
import logging
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import pamqp.commands as spec
import pytest
from pamqp.base import Frame
from pamqp.frame import marshal
from pamqp.header import ContentHeader, ProtocolHeader

from sidecar.checks import InstalledTypes
from sidecar.checks.rabbitmq import RabbitmqCheck, RabbitmqConfig
from sidecar.config.load import load
from sidecar.config.problems import ConfigError
from sidecar.config.source import Source
from sidecar.core.check import CheckFailed, Reason
from sidecar.core.result import Result
from tests.checks.contract import (
    SECRET,
    SUCCESS,
    CheckContract,
    Keys,
    assert_held,
    checked,
    ending,
    held,
    load_one,
    mounted,
    names_from,
    run_once,
    turn_the_loop,
)
from tests.checks.mutation import mutated
from tests.checks.rabbit_fake import CHANNEL, OPEN_OK, START, TUNE, fake_broker, overhearing
from tests.network import Address, FakeDns, Proxy
from tests.network.tls import Certificates
from tools.servers import Permissions, RabbitServer

ODD: Final = "a:b@c/d%e f?#[é"
PRIVATE_QUEUE: Final = Permissions(configure=r"^amq\.gen-.*$", write=r"^amq\.default$", read=r"^amq\.gen-.*$")
"""Those of the documentation."""
NONE: Final = "^$"
HANDSHAKE: Final = (ProtocolHeader, spec.Connection.StartOk, spec.Connection.TuneOk, spec.Connection.Open)
PROC_NET: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
ESTABLISHED, CLOSE_WAIT = "01", "08"


class TestContract(CheckContract):
    reasons_amid = MappingProxyType({"refused": Reason.UNAVAILABLE})  # the kept connection is reset first

    def keys(self, address: Address) -> Keys:
        url = f"amqp://contract:{quote(SECRET, safe='')}@{address}/"
        return {"type": "rabbitmq", "url": url, "round_trip": True, "exchanges": ["amq.topic"]}

    @pytest.fixture
    async def up(self, breakable_rabbit: RabbitServer) -> Address:
        breakable_rabbit.add_user("contract", SECRET, vhosts={"/": Permissions()})
        return Address(breakable_rabbit.host, breakable_rabbit.port)


def keys(server: RabbitServer, **more: object) -> Keys:
    return {"type": "rabbitmq", "url": server.url, **more}


def user_of(server: RabbitServer, name: str, permissions: Permissions | None = None) -> str:
    """Return the URL of a user of its own."""
    server.add_user(name, "pw", vhosts={"/": permissions or Permissions()})
    return server.url_for(name, "pw")


async def connections_of(server: RabbitServer, user: str) -> list[str]:
    """Return the number of channels of each connection of a user."""
    listed = await asyncio.to_thread(server.control, "list_connections", "user", "channels")
    rows = [row.split() for row in listed.splitlines()]
    return [row[1] for row in rows if row[0] == user]


def private_queues(server: RabbitServer) -> list[dict[str, object]]:
    """Return what the broker knows of each private queue but for its name."""
    queues = server.api("GET", "/queues?columns=name,exclusive,auto_delete,durable,arguments")
    return [queue for queue in queues if queue.pop("name").startswith("amq.gen-")]


def sockets(server: RabbitServer) -> int:
    """Count the clients whose connections the broker has not closed (proc(5), /proc/net/tcp)."""
    rows = [row.split() for path in PROC_NET for row in path.read_text().splitlines()[1:]]
    ours = [state for _, local, _, state, *_ in rows if local.endswith(f":{server.port:04X}")]
    return sum(state in (ESTABLISHED, CLOSE_WAIT) for state in ours)


async def wait_until_nothing_is_left(server: RabbitServer) -> None:
    async with asyncio.timeout(20):
        while sockets(server) or private_queues(server):  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.02)


async def test_a_hundred_runs_use_one_connection(
    breakable_rabbit: RabbitServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    url = user_of(breakable_rabbit, "hundred")
    async with mounted(keys(breakable_rabbit, url=url, round_trip=True)) as runner:
        results = [await runner.run() for _ in range(100)]

        assert [ending(result) for result in results] == [SUCCESS] * 100
        assert [result.connections_opened for result in results] == [1] + [0] * 99
        assert await connections_of(breakable_rabbit, "hundred") == ["1"]
        bounds = {"x-expires": 60_000, "x-max-length": 10, "x-message-ttl": 10_000}
        assert private_queues(breakable_rabbit) == [
            {"exclusive": True, "auto_delete": True, "durable": False, "arguments": bounds}
        ]

    await wait_until_nothing_is_left(breakable_rabbit)
    assert caplog.messages == []


async def test_sends_as_careful_a_message_as_it_promises(breakable_rabbit: RabbitServer) -> None:
    broker = Address(breakable_rabbit.host, breakable_rabbit.port)
    async with (
        overhearing(broker) as (address, frames),
        mounted({"type": "rabbitmq", "url": f"amqp://{address}", "round_trip": True}) as runner,
    ):
        results = [await runner.run() for _ in range(3)]

    assert [ending(result) for result in results] == [SUCCESS] * 3
    _, second, third = (n for n, frame in enumerate(frames) if isinstance(frame, spec.Basic.Publish))
    publish, header, acknowledged, closed, opened, confirming = frames[second:third]
    assert isinstance(publish, spec.Basic.Publish)
    assert (publish.exchange, publish.mandatory) == ("", True)
    assert isinstance(header, ContentHeader)
    assert (header.properties.delivery_mode, len(header.properties.message_id or "")) == (2, 32)
    assert isinstance(acknowledged, spec.Basic.Ack)
    assert isinstance(closed, spec.Channel.Close)
    assert isinstance(opened, spec.Channel.Open)
    assert isinstance(confirming, spec.Confirm.Select)


async def test_asks_one_question_a_run_on_a_channel_that_it_keeps(breakable_rabbit: RabbitServer) -> None:
    broker = Address(breakable_rabbit.host, breakable_rabbit.port)
    async with (
        overhearing(broker) as (address, frames),
        mounted({"type": "rabbitmq", "url": f"amqp://{address}"}) as runner,
    ):
        results = [await runner.run() for _ in range(3)]
        asked = [type(frame) for frame in frames if not isinstance(frame, HANDSHAKE)]

    assert [ending(result) for result in results] == [SUCCESS] * 3
    assert asked == [spec.Channel.Open, spec.Basic.Qos, spec.Basic.Qos, spec.Basic.Qos]


async def test_replaces_a_channel_that_the_broker_closed_between_runs() -> None:
    asked = b"".join(
        marshal(frame, 1) for frame in (spec.Basic.QosOk(), spec.Channel.Close(541, "broken", 0, 0))
    )
    again = [marshal(frame, 1) for frame in (spec.Channel.OpenOk(), spec.Basic.QosOk())]
    async with (
        fake_broker(START, TUNE, OPEN_OK, again[0], asked, b"", *again) as address,
        mounted({"type": "rabbitmq", "url": f"amqp://{address}"}) as runner,
    ):
        before = await runner.run()
        await turn_the_loop(20)
        after = await runner.run()

    assert [ending(result) for result in (before, after)] == [SUCCESS, SUCCESS]
    assert [result.connections_opened for result in (before, after)] == [1, 0]


async def test_replaces_a_connection_that_ended_between_runs(breakable_rabbit: RabbitServer) -> None:
    broker = Address(breakable_rabbit.host, breakable_rabbit.port)
    async with (
        Proxy(broker) as proxy,
        mounted(keys(breakable_rabbit, url=f"amqp://{proxy.address}")) as runner,
    ):
        await runner.run()
        proxy.cut()
        await proxy.address.emptied()
        await turn_the_loop(20)
        result = await runner.run()

    assert (ending(result), result.connections_opened) == (SUCCESS, 1)


async def test_runs_keep_no_memory(breakable_rabbit: RabbitServer) -> None:
    """aio-pika, for one, keeps 33 objects of each channel that it closed."""
    async with checked(keys(breakable_rabbit, round_trip=True, exchanges=["amq.topic"])) as check:
        assert isinstance(check, RabbitmqCheck)

        async def objects_after(runs: int) -> int:
            for _ in range(runs):
                await check.run()
                lost = asyncio.create_task(check.lost())
                await turn_the_loop(2)
                lost.cancel()
                await asyncio.wait({lost})
            gc.collect()
            return len(gc.get_objects())

        before = await objects_after(20)

        grown = await objects_after(200) - before
        assert grown < 100, grown


async def test_tells_the_broker_who_it_is(breakable_rabbit: RabbitServer) -> None:
    async with checked(keys(breakable_rabbit)) as check:
        await check.run()
        listed = await asyncio.to_thread(breakable_rabbit.control, "list_connections", "client_properties")

    assert '"connection_name","sidecar/it"' in listed


async def test_follows_a_broker_that_is_killed_and_comes_back(breakable_rabbit: RabbitServer) -> None:
    async with mounted(keys(breakable_rabbit, round_trip=True)) as runner:
        assert isinstance(runner.check, RabbitmqCheck)
        results = [await runner.run()]
        lost = asyncio.create_task(runner.check.lost())
        await asyncio.to_thread(breakable_rabbit.kill)
        await asyncio.wait({lost}, timeout=0.1)
        assert lost.done()

        results += [await runner.run(), await runner.run()]
        await asyncio.to_thread(breakable_rabbit.start)
        results += [await runner.run(), await runner.run()]

    assert [result.reason for result in results] == [None, Reason.REFUSED, Reason.REFUSED, None, None]
    assert results[1].message == f"127.0.0.1:{breakable_rabbit.port} refused the connection"
    assert [result.connections_opened for result in results] == [1, 0, 0, 1, 0]


async def test_follows_a_broker_that_hangs_and_goes_on(breakable_rabbit: RabbitServer) -> None:
    before = held()
    url = user_of(breakable_rabbit, "patient")
    async with mounted(keys(breakable_rabbit, url=url, round_trip=True)) as runner:
        first = await runner.run()
        breakable_rabbit.pause()
        runner.timeout = 0.2
        hung = [await runner.run() for _ in range(4)]
        await assert_held(before)
        breakable_rabbit.resume()
        runner.timeout = 5
        last = await runner.run()

        assert (ending(first), ending(last)) == (SUCCESS, SUCCESS)
        assert {result.reason for result in hung} == {Reason.TIMEOUT}
        assert hung[0].message == f"127.0.0.1:{breakable_rabbit.port}: gave no answer within 200ms"
        assert max(result.duration for result in hung) < 1

    await wait_until_nothing_is_left(breakable_rabbit)


async def test_tells_what_is_wrong_with_a_login(breakable_rabbit: RabbitServer) -> None:
    breakable_rabbit.add_user("outsider", "pw")
    address = f"127.0.0.1:{breakable_rabbit.port}"

    wrong = await run_once(keys(breakable_rabbit, url=breakable_rabbit.url_for("guest", "wrong")))
    absent = await run_once(
        keys(breakable_rabbit, url=breakable_rabbit.url_for("guest", "guest", vhost="no"))
    )
    outside = await run_once(keys(breakable_rabbit, url=breakable_rabbit.url_for("outsider", "pw")))

    assert (wrong.reason, absent.reason, outside.reason) == (Reason.AUTH, Reason.NOT_FOUND, Reason.FORBIDDEN)
    assert wrong.message.startswith(f"{address} closed the connection: ACCESS_REFUSED - Login was refused")
    assert absent.message == f"{address} closed the connection: NOT_ALLOWED - vhost no not found"
    assert outside.message == (
        f"{address} closed the connection: NOT_ALLOWED - access to vhost '/' refused for user 'outsider'"
    )


async def test_a_virtual_host_without_room_is_unavailable(breakable_rabbit: RabbitServer) -> None:
    breakable_rabbit.add_vhost("full")
    breakable_rabbit.set_permissions("guest", Permissions(), vhost="full")
    limits = '{"max-connections": 0}'
    await asyncio.to_thread(breakable_rabbit.control, "set_vhost_limits", "-p", "full", limits)

    result = await run_once(
        keys(breakable_rabbit, url=breakable_rabbit.url_for("guest", "guest", vhost="full"))
    )

    assert result.reason is Reason.UNAVAILABLE
    assert result.message.endswith("connection limit (0) is reached")


async def test_needs_no_more_permissions_than_documented(breakable_rabbit: RabbitServer) -> None:
    none = user_of(breakable_rabbit, "bare", Permissions(NONE, NONE, NONE))
    least = user_of(breakable_rabbit, "least", PRIVATE_QUEUE)

    connects = await run_once(keys(breakable_rabbit, url=none, exchanges=["amq.topic"]))
    sends = await run_once(keys(breakable_rabbit, url=least, round_trip=True))

    assert (ending(connects), ending(sends)) == (SUCCESS, SUCCESS)


@pytest.mark.parametrize(
    ("permissions", "told"),
    [
        (Permissions(NONE, PRIVATE_QUEUE.write, PRIVATE_QUEUE.read), "access to queue 'amq.gen-"),
        (Permissions(PRIVATE_QUEUE.configure, NONE, PRIVATE_QUEUE.read), "access to exchange 'amq.default'"),
        (Permissions(PRIVATE_QUEUE.configure, PRIVATE_QUEUE.write, NONE), "access to queue 'amq.gen-"),
    ],
    ids=["configure", "write", "read"],
)
async def test_names_a_missing_permission(
    permissions: Permissions, told: str, breakable_rabbit: RabbitServer
) -> None:
    url = user_of(breakable_rabbit, "lacking", permissions)

    result = await run_once(keys(breakable_rabbit, url=url, round_trip=True))

    assert result.reason is Reason.FORBIDDEN
    assert f"answered ACCESS_REFUSED - {told}" in result.message


async def test_names_every_queue_and_exchange_that_is_missing(breakable_rabbit: RabbitServer) -> None:
    breakable_rabbit.api("PUT", "/queues/%2F/builds", {"durable": True})
    wanted = {"queues": ["one", "builds", "two"], "exchanges": ["amq.topic", "three"]}

    some = await run_once(keys(breakable_rabbit, **wanted))
    none = await run_once(keys(breakable_rabbit, queues=["builds"], exchanges=["amq.topic", "amq.direct"]))

    assert (some.reason, some.message) == (
        Reason.NOT_FOUND,
        f"127.0.0.1:{breakable_rabbit.port} has no queue one, no queue two, no exchange three",
    )
    assert ending(none) == SUCCESS


async def test_follows_a_queue_that_is_deleted_and_made_again(breakable_rabbit: RabbitServer) -> None:
    async with mounted(keys(breakable_rabbit, queues=["brief"])) as runner:
        results = []
        for method in ("PUT", "DELETE", "PUT"):
            await asyncio.to_thread(breakable_rabbit.api, method, "/queues/%2F/brief", {"durable": True})
            results.append(await runner.run())

    assert [result.reason for result in results] == [None, Reason.NOT_FOUND, None]


async def test_a_queue_that_is_exclusive_to_others_is_forbidden(breakable_rabbit: RabbitServer) -> None:
    async with checked(keys(breakable_rabbit, round_trip=True)) as owner:
        assert isinstance(owner, RabbitmqCheck)
        await owner.run()
        [theirs] = [queue["name"] for queue in breakable_rabbit.api("GET", "/queues") if queue["exclusive"]]

        result = await run_once(keys(breakable_rabbit, queues=[theirs]))

    assert result.reason is Reason.FORBIDDEN
    assert "answered RESOURCE_LOCKED" in result.message


async def test_only_a_round_trip_sees_a_broker_that_blocks_publishers(breakable_rabbit: RabbitServer) -> None:
    """A blocked connection is kept, is reported without waiting, and is replaced when the alarm is over."""
    round_trip = keys(breakable_rabbit, url=user_of(breakable_rabbit, "blocked"), round_trip=True)
    async with (
        mounted(keys(breakable_rabbit, exchanges=["amq.topic"])) as plain,
        mounted(round_trip) as new,
        mounted(round_trip) as seasoned,
    ):
        assert ending(await seasoned.run()) == SUCCESS
        await asyncio.to_thread(breakable_rabbit.raise_alarm)
        try:
            unaware = await plain.run()
            blocked = [await runner.run() for runner in (new, seasoned) for _ in range(5)]
            async with mounted(round_trip) as short:
                blocked.append(await short.run())
        finally:
            await asyncio.to_thread(breakable_rabbit.clear_alarm)
        noticed = [await new.lost_within(2), await seasoned.lost_within(2)]
        after = [await new.run(), await seasoned.run()]

    why = f"127.0.0.1:{breakable_rabbit.port} blocks those who publish: low on memory"
    assert ending(unaware) == SUCCESS
    assert {(result.reason, result.message) for result in blocked} == {(Reason.UNAVAILABLE, why)}
    assert [result.connections_opened for result in blocked] == [1, 0, 0, 0, 0] + [0] * 5 + [1]
    assert max(result.duration for result in blocked) < 1
    assert noticed == [True, True]
    assert [ending(result) for result in after] == [SUCCESS, SUCCESS]
    await wait_until_nothing_is_left(breakable_rabbit)


async def test_a_connection_that_an_operator_closes_is_noticed(breakable_rabbit: RabbitServer) -> None:
    url = user_of(breakable_rabbit, "closed")
    async with checked(keys(breakable_rabbit, url=url)) as check:
        assert isinstance(check, RabbitmqCheck)
        await check.run()
        lost = asyncio.create_task(check.lost())
        await asyncio.to_thread(breakable_rabbit.disconnect, "closed")
        await asyncio.wait_for(lost, 1)
        await check.run()

        assert check.connections_opened == 2


async def test_a_private_queue_that_an_operator_deletes_is_made_anew(breakable_rabbit: RabbitServer) -> None:
    async with mounted(keys(breakable_rabbit, round_trip=True)) as runner:
        before = await runner.run()
        [ours] = [queue["name"] for queue in breakable_rabbit.api("GET", "/queues") if queue["exclusive"]]
        await asyncio.to_thread(breakable_rabbit.control, "delete_queue", ours)
        without = await runner.run()
        after = await runner.run()

    assert (ending(before), ending(after)) == (SUCCESS, SUCCESS)
    assert without.reason is Reason.PROTOCOL
    assert without.message.endswith("did not route a message to our private queue")


async def test_a_virtual_host_that_is_deleted_is_not_found(breakable_rabbit: RabbitServer) -> None:
    breakable_rabbit.add_vhost("brief")
    breakable_rabbit.set_permissions("guest", Permissions(), vhost="brief")
    url = breakable_rabbit.url_for("guest", "guest", vhost="brief")
    async with mounted(keys(breakable_rabbit, url=url)) as runner:
        before = await runner.run()
        await asyncio.to_thread(breakable_rabbit.api, "DELETE", "/vhosts/brief")
        assert await runner.lost_within(5)
        after = await runner.run()

    assert (before.reason, after.reason) == (None, Reason.NOT_FOUND)


async def test_takes_no_message_for_its_own_but_its_own(
    breakable_rabbit: RabbitServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with mounted(keys(breakable_rabbit, round_trip=True)) as runner:
        before = await runner.run()
        [ours] = [queue["name"] for queue in breakable_rabbit.api("GET", "/queues") if queue["exclusive"]]
        stray = {"properties": {}, "routing_key": ours, "payload": "stray", "payload_encoding": "string"}
        for _ in range(2):
            await asyncio.to_thread(breakable_rabbit.api, "POST", "/exchanges/%2F/amq.default/publish", stray)
        mistaken = await runner.run()
        after = await runner.run()

    assert (ending(before), ending(after)) == (SUCCESS, SUCCESS)
    assert mistaken.reason is Reason.PROTOCOL
    assert mistaken.message.endswith("delivered another message than ours")
    assert caplog.messages == []


async def test_a_message_that_is_not_confirmed_is_a_failure(breakable_rabbit: RabbitServer) -> None:
    refuse = {"pattern": r"^amq\.gen-", "definition": {"max-length": 0, "overflow": "reject-publish"}}
    breakable_rabbit.add_vhost("refusing")
    breakable_rabbit.set_permissions("guest", Permissions(), vhost="refusing")
    breakable_rabbit.api("PUT", "/policies/refusing/refuse", refuse)
    url = breakable_rabbit.url_for("guest", "guest", vhost="refusing")

    result = await run_once(keys(breakable_rabbit, url=url, round_trip=True))

    assert result.reason is Reason.PROTOCOL
    assert result.message.endswith("did not confirm a message to our private queue")


async def test_takes_any_character_in_credentials_and_virtual_host(
    breakable_rabbit: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, vhost = ODD, "a/b c%2Fd"
    breakable_rabbit.add_vhost(vhost)
    breakable_rabbit.add_user(user, ODD, vhosts={vhost: Permissions()})
    monkeypatch.setenv("ODD", ODD)
    where = f"{breakable_rabbit.host}:{breakable_rabbit.port}/{quote(vhost, safe='')}"

    results = [
        await run_once(keys(breakable_rabbit, url=breakable_rabbit.url_for(user, ODD, vhost=vhost))),
        await run_once(keys(breakable_rabbit, url=f"amqp://${{ODD}}:${{ODD}}@{where}")),
        await run_once(keys(breakable_rabbit, url=f"amqp://{where}", username=user, password=ODD)),
    ]

    assert [ending(result) for result in results] == [SUCCESS] * 3


async def test_trusts_and_names_as_the_tls_block_says(
    start_rabbit: Callable[..., RabbitServer], certificates: Certificates
) -> None:
    server, ca = start_rabbit(tls=certificates.good), str(certificates.ca)

    async def run(**tls: object) -> Result:
        wanted = {"url": server.tls_url, "tls": tls, "round_trip": True}
        return await run_once(keys(server, **wanted))

    assert ending(await run(ca=ca)) == SUCCESS
    assert ending(await run(insecure=True)) == SUCCESS
    assert (await run()).reason is Reason.TLS
    assert (await run(ca=ca, server_name="elsewhere.test")).reason is Reason.TLS


async def test_waits_for_no_loss_while_there_is_no_connection(breakable_rabbit: RabbitServer) -> None:
    async with checked(keys(breakable_rabbit)) as check:
        assert isinstance(check, RabbitmqCheck)
        lost = asyncio.create_task(check.lost())
        done, _ = await asyncio.wait({lost}, timeout=0.05)
        lost.cancel()

        assert not done


async def test_waiting_for_a_loss_costs_no_answer(breakable_rabbit: RabbitServer) -> None:
    async with checked(keys(breakable_rabbit, round_trip=True)) as check:
        assert isinstance(check, RabbitmqCheck)
        for turns in range(100):
            await check.run()
            lost = asyncio.create_task(check.lost())
            for _ in range(turns % 5):
                await asyncio.sleep(0)
            lost.cancel()
            await asyncio.wait({lost})

        assert check.connections_opened == 1


async def test_a_run_that_is_cancelled_at_any_moment_leaves_nothing(
    breakable_rabbit: RabbitServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    dice = random.Random(1)  # noqa: S311 - reproducible, not secret
    before = held()
    url = user_of(breakable_rabbit, "hasty")
    wanted = keys(breakable_rabbit, url=url, round_trip=True, queues=[], exchanges=["amq.topic"])
    async with checked(wanted) as check:
        for _ in range(200):
            run = asyncio.create_task(check.run())
            await asyncio.wait({run}, timeout=dice.random() * 0.04)
            run.cancel()
            await asyncio.wait({run}, timeout=0.15)
            assert run.done()
            assert run.cancelled() or run.exception() is None
        await check.run()

    await assert_held(before)
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []
    await wait_until_nothing_is_left(breakable_rabbit)


def closing(code: int, text: str) -> Frame:
    return spec.Connection.Close(code, text, 10, 40)


@pytest.mark.parametrize(
    ("frames", "reason", "told"),
    [
        ((START, TUNE), Reason.TIMEOUT, "gave no answer within 300ms"),
        ((START, TUNE, OPEN_OK), Reason.TIMEOUT, "gave no answer within 300ms"),
        ((b"AMQP\x00\x00\x09\x01",), Reason.PROTOCOL, "does not speak AMQP"),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), Reason.PROTOCOL, "does not speak AMQP"),
        ((START, TUNE, TUNE), Reason.PROTOCOL, "does not speak AMQP"),
        ((spec.Connection.Start(mechanisms="EXTERNAL"),), Reason.AUTH, "answered"),
        (
            (START, closing(403, "ACCESS_REFUSED - no")),
            Reason.AUTH,
            "closed the connection: ACCESS_REFUSED - no",
        ),
        ((START, TUNE, closing(530, "vhost x not found")), Reason.NOT_FOUND, "vhost x not found"),
        ((START, TUNE, closing(530, "vhost 'x' is down")), Reason.UNAVAILABLE, "vhost 'x' is down"),
        (
            (START, TUNE, closing(530, "refused for 'not found x'")),
            Reason.FORBIDDEN,
            "refused for 'not found x'",
        ),
        ((START, TUNE, OPEN_OK, closing(320, "forced")), Reason.UNAVAILABLE, "closed the connection: forced"),
        ((START, TUNE, OPEN_OK, closing(541, "broken")), Reason.UNAVAILABLE, "closed the connection: broken"),
        ((START, TUNE, OPEN_OK, closing(501, "frame")), Reason.PROTOCOL, "closed the connection: frame"),
    ],
)
async def test_names_what_a_broker_says_of_the_connection(
    frames: tuple[Frame | bytes, ...], reason: Reason, told: str
) -> None:
    async with fake_broker(*frames) as address:
        result = await run_once({"type": "rabbitmq", "url": f"amqp://{address}"}, deadline="300ms")

    assert result.reason is reason
    assert told in result.message
    assert str(address) in result.message


async def test_a_run_whose_check_is_closed_meanwhile_fails() -> None:
    async with (
        fake_broker(START, TUNE, OPEN_OK) as address,
        checked({"type": "rabbitmq", "url": f"amqp://{address}"}) as check,
    ):
        run = asyncio.create_task(check.run())
        await asyncio.wait({run}, timeout=0.1)
        await check.aclose()

        with pytest.raises(CheckFailed) as failed:
            await run

    assert failed.value.reason is Reason.UNAVAILABLE


async def test_no_answer_makes_it_crash() -> None:
    dice = random.Random(1)  # noqa: S311 - reproducible, not secret
    frames = [marshal(frame, 0) for frame in (START, TUNE, OPEN_OK)]
    answers = b"".join([*frames, *(marshal(frame, 1) for frame in CHANNEL)])
    before = held()
    found = set()
    for _ in range(150):
        async with fake_broker(mutated(answers, dice)) as address:
            result = await run_once({"type": "rabbitmq", "url": f"amqp://{address}"}, deadline="60ms")
            found.add(result.reason)

    assert found <= {None, Reason.PROTOCOL, Reason.TIMEOUT, Reason.UNAVAILABLE, Reason.AUTH}
    await assert_held(before)


async def test_a_name_that_does_not_exist() -> None:
    async with FakeDns() as dns:
        names_from(dns)
        result = await run_once({"type": "rabbitmq", "url": "amqp://absent.test"})

    assert (result.reason, result.message) == (Reason.DNS, "absent.test:5672: the name does not exist")


def config(**more: object) -> RabbitmqConfig:
    only = load_one({"type": "rabbitmq", **more}).checks[0]
    assert isinstance(only, RabbitmqConfig)
    return only


@pytest.mark.parametrize(
    ("url", "vhost"),
    [
        ("amqp://r", "/"),
        ("amqp://r/", "/"),
        ("amqp://r/%2F", "/"),
        ("amqp://r/ci", "ci"),
        ("amqps://r/a%2Fb%20c?heartbeat=3", "a/b c"),
    ],
)
def test_reads_the_virtual_host_from_the_url(url: str, vhost: str) -> None:
    assert config(url=url).vhost == vhost


def test_refuses_tls_settings_without_tls() -> None:
    with pytest.raises(ConfigError) as refused:
        config(url="amqp://r", tls={})

    assert "checks.it.tls: has no use without TLS; write the URL with amqps://" in str(refused.value)


def test_the_file_imports_without_its_driver() -> None:
    program = (
        "import sys; from sidecar.checks import InstalledTypes; found = InstalledTypes().find('rabbitmq');"
        "print(found.config.__name__, {'aiormq', 'aio_pika', 'pamqp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "RabbitmqConfig set()\n"


def test_the_example_of_the_documentation_loads() -> None:
    document = sys.modules[RabbitmqConfig.__module__].__doc__ or ""
    example = document.partition("```yaml\n")[2].partition("```")[0]

    checks = load(Source("example", example.encode()), InstalledTypes(), {"RABBITMQ_PASSWORD": "pw"}).checks
    assert [type(check) for check in checks] == [RabbitmqConfig]
