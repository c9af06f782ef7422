"""The check type `rabbitmq-inflight`, against a real broker whose counts are a second old."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

import pytest

from sidecar.checks import rabbitmq_inflight
from sidecar.checks.rabbitmq_inflight import APART, Reading
from sidecar.config.problems import ConfigError
from sidecar.core.check import Reason
from sidecar.runtime.runner import Runner
from tests.checks.contract import SECRET, SUCCESS, CheckContract, Keys, ending, load_one, mounted, run_once
from tests.checks.rabbit_clients import working
from tests.network import Address
from tests.network.fakes import Connection, talking
from tools.servers import Permissions, RabbitServer

COUNTS: Final = (
    "collect_statistics_interval = 500",
    *(f"management.sample_retention_policies.{each}.minute = 1" for each in ("global", "basic", "detailed")),
)
"""Has the broker count every second; by default it does every 5."""
ANSWERS: Final[Mapping[str, object]] = {
    "whoami": {"tags": ["monitoring"]},
    "page of exchanges/%2F": {"items": [{"name": ""}]},
    "page of channels": {"items": []},
}
"""What a broker at rest says, by path."""
LAG: Final = 1.6
"""Seconds between two readings that this needs."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("rabbit"), config=COUNTS)
    try:
        server.start()
        server.add_user("app", "pw", tags="management", vhosts={"/": Permissions()})
        server.add_user("watcher", "pw", tags="monitoring", vhosts={"/": Permissions()})
        server.add_user("stranger", "pw", tags="management", vhosts={"/": Permissions()})
        server.add_user("nobody", "pw", vhosts={"/": Permissions()})
        yield server
    finally:
        server.kill()
        server.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have two readings as close to one another as this broker's counts allow."""
    monkeypatch.setattr(rabbitmq_inflight, "APART", LAG)


def keys(server: RabbitServer, user: str = "app", **more: object) -> Keys:
    return {
        "type": "rabbitmq-inflight",
        "url": server.url_for(user, "pw"),
        "management_url": f"http://{server.host}:{server.management_port}",
        **more,
    }


async def until(runner: Runner, reason: Reason | None) -> str:
    """Run until a run ends for this reason; return its message."""
    async with asyncio.timeout(20):
        while True:
            result = await runner.run()
            if result.reason is reason:
                return result.message


class TestContract(CheckContract):
    patience = "10s"

    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rabbitmq_inflight, "APART", 0.0)

    def keys(self, address: Address) -> Keys:
        return {
            "type": "rabbitmq-inflight",
            "url": f"amqp://contract:{quote(SECRET, safe='')}@127.0.0.1/",
            "management_url": f"http://{address}",
        }

    @pytest.fixture
    def up(self, broker: RabbitServer) -> Address:
        broker.add_user("contract", SECRET, tags="monitoring", vhosts={"/": Permissions()})
        return Address(broker.host, broker.management_port)


@pytest.mark.usefixtures("quick")
async def test_what_is_delivered_and_not_acknowledged_is_in_flight(broker: RabbitServer) -> None:
    async with working(broker) as worker, mounted(keys(broker), deadline="10s") as runner:
        taken = await worker.take(3)
        busy = await until(runner, Reason.CONTRACT)
        await worker.stop()
        for message in taken:
            await message.ack()
        idle = await until(runner, None)

    told = "3 messages are not acknowledged, by 1 consumers on 1 channels of this pod"
    assert (busy, idle) == (f"{broker.host}:{broker.management_port}: {told}", "")


@pytest.mark.usefixtures("quick")
async def test_a_consumer_that_has_gone_leaves_nothing_in_flight(broker: RabbitServer) -> None:
    async with mounted(keys(broker), deadline="10s") as runner:
        async with working(broker) as worker:
            await worker.take(2)
            await until(runner, Reason.CONTRACT)

        assert await until(runner, None) == ""


async def test_two_readings_are_far_enough_apart_for_the_brokers_own_counts(broker: RabbitServer) -> None:
    result = await run_once(keys(broker, "watcher"), deadline="15s")

    assert (ending(result), APART, result.duration > APART) == (SUCCESS, 6.0, True)


@pytest.mark.usefixtures("quick")
async def test_work_that_comes_between_two_readings_is_seen(
    broker: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq_inflight, "APART", 2 * LAG)
    async with (
        working(broker, "watcher") as worker,
        mounted(keys(broker, "watcher"), deadline="10s") as runner,
    ):
        await until(runner, None)
        run = asyncio.create_task(runner.run())
        await asyncio.sleep(LAG / 2)
        await worker.take(1)

        assert (await run).reason is Reason.CONTRACT


@pytest.mark.usefixtures("quick")
async def test_who_may_not_see_the_apps_channels_does_not_say_that_there_are_none(
    broker: RabbitServer,
) -> None:
    async with working(broker) as worker:
        await worker.take(1)
        async with mounted(keys(broker), deadline="10s") as runner:
            await until(runner, Reason.CONTRACT)
        blind = await run_once(keys(broker, "stranger"), deadline="10s")
        seeing = await run_once(keys(broker, "watcher"), deadline="10s")

    assert blind.reason is Reason.FORBIDDEN
    assert blind.message.endswith(
        "has shown no channel of this pod yet; ask as the app's own user, or with the tag monitoring"
    )
    assert seeing.reason is Reason.CONTRACT


@pytest.mark.usefixtures("quick")
async def test_channels_of_our_own_checks_do_not_prove_that_the_apps_are_shown(broker: RabbitServer) -> None:
    """They come from this pod's address too, and are shown to the user whom all our checks may share."""
    ours = {"type": "rabbitmq", "url": broker.url_for("stranger", "pw"), "round_trip": True}
    async with working(broker) as worker, mounted(ours) as mailbox:
        await worker.take(1)
        assert (await mailbox.run()).is_success
        await until_shown(broker, "stranger")

        result = await run_once(keys(broker, "stranger"), deadline="10s")

    assert result.reason is Reason.FORBIDDEN


async def until_shown(broker: RabbitServer, user: str) -> None:
    """Return when the statistics know a channel of a user."""
    async with asyncio.timeout(20):
        while not any(each["user"] == user for each in broker.api("GET", "/channels?columns=user")):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("quick")
async def test_a_user_without_the_tag_is_told_so(broker: RabbitServer) -> None:
    result = await run_once(keys(broker, "nobody"), deadline="10s")

    assert result.reason in (Reason.AUTH, Reason.FORBIDDEN)


@pytest.mark.usefixtures("quick")
async def test_a_virtual_host_that_does_not_exist_has_nothing_to_say(broker: RabbitServer) -> None:
    """Nothing is in flight there, and a drain that took that for an answer would end at once."""
    url = broker.url_for("watcher", "pw", vhost="no")

    result = await run_once(keys(broker, url=url), deadline="10s")

    where = f"{broker.host}:{broker.management_port}"
    assert (result.reason, result.message) == (Reason.NOT_FOUND, f"{where} has no virtual host no")


@pytest.mark.usefixtures("quick")
async def test_a_virtual_host_that_may_not_be_seen_has_nothing_to_say(broker: RabbitServer) -> None:
    broker.add_vhost("theirs")
    url = broker.url_for("app", "pw", vhost="theirs")

    result = await run_once(keys(broker, url=url), deadline="10s")

    assert result.reason is Reason.FORBIDDEN
    assert "not authorised to access virtual host" in result.message


@pytest.mark.usefixtures("quick")
async def test_a_name_of_the_connection_tells_pods_of_one_address_apart(broker: RabbitServer) -> None:
    async with working(broker, name="pod-1") as ours, working(broker, name="pod-2") as theirs:
        await theirs.take(5)
        async with mounted(keys(broker, connection_name="pod-2"), deadline="10s") as runner:
            other = await until(runner, Reason.CONTRACT)
        async with mounted(keys(broker, connection_name="pod-1"), deadline="10s") as runner:
            idle = await until(runner, None)
            await ours.take(2)
            busy = await until(runner, Reason.CONTRACT)

    assert ("5 messages" in other, idle, "2 messages" in busy) == (True, "", True)


def test_only_channels_of_the_virtual_host_count() -> None:
    channels = [
        {"vhost": "/", "messages_unacknowledged": 2, "consumer_count": 1},
        {"vhost": "/", "consumer_count": 1},
        {"vhost": "other", "messages_unacknowledged": 9, "consumer_count": 9},
    ]

    assert Reading.of(channels, "/") == Reading(channels=2, consumers=2, unacknowledged=2)


@pytest.mark.usefixtures("quick")
async def test_the_api_is_read_and_nothing_else_is_asked() -> None:
    async with answering(ANSWERS) as (where, asked):
        result = await run_once(where)

    vhost = "GET /api/exchanges/%2F?columns=name&page=1&page_size=1&use_regex=true&name=%5E%24"
    channels = (
        "GET /api/channels?columns=name,vhost,messages_unacknowledged,consumer_count"
        "&page=1&page_size=500&use_regex=true&name=%5E%28127%5C.0%5C.0%5C.1%29%3A"
    )
    assert (ending(result), asked) == (SUCCESS, ["GET /api/whoami?columns=name,tags", vhost, channels] * 2)


@pytest.mark.usefixtures("quick")
async def test_a_channel_that_is_found_by_name_is_the_apps_from_whatever_address() -> None:
    """Behind a NAT the broker sees another address than our own."""
    connection = "10.0.0.1:40000 -> 10.0.0.2:5672"
    answers = {
        **ANSWERS,
        "whoami": {"tags": ["management"]},
        "connections": [{"name": connection, "user_provided_name": "pod-1"}],
        "page of connections": {"items": []},  # from our own address
        f"connections/{quote(connection, safe='')}/channels": [{"name": f"{connection} (1)", "vhost": "/"}],
    }

    async with answering(answers) as (where, _):
        result = await run_once({**where, "connection_name": "pod-1"})

    assert ending(result) == SUCCESS


@asynccontextmanager
async def answering(answers: Mapping[str, object]) -> AsyncIterator[tuple[Keys, list[str]]]:
    """Answer by path as a broker would; yield how to ask, and what was asked."""
    asked: list[str] = []

    async def overhear(connection: Connection) -> None:
        while head := await connection.read_until(b"\r\n\r\n"):
            asked.append(head.split(b" HTTP/1.1")[0].decode())
            path, _, query = asked[-1].removeprefix("GET /api/").partition("?")
            body = json.dumps(answers[f"page of {path}" if "page=" in query else path]).encode()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with talking(overhear) as fake:
        where = {"url": f"amqp://app:pw@{fake}/", "management_url": f"http://{fake}"}
        yield {"type": "rabbitmq-inflight", **where}, asked


@pytest.mark.parametrize(
    ("whoami", "channels"),
    [
        ({"tags": None}, []),
        ({"tags": 5}, []),
        ({"tags": [{}]}, []),
        ({"tags": ["monitoring"]}, [{"vhost": "/", "messages_unacknowledged": "many"}]),
        ({"tags": ["monitoring"]}, [{"vhost": "/", "consumer_count": [1]}]),
        ({"tags": ["monitoring"]}, [{"vhost": "/", "messages_unacknowledged": 1e999}]),
    ],
)
async def test_an_answer_of_another_shape_is_no_crash(whoami: object, channels: object) -> None:
    async def script(connection: Connection) -> None:
        while True:
            head = await connection.read_until(b"\r\n\r\n")
            body = json.dumps(whoami if b"whoami" in head else {"items": channels}).encode()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with talking(script) as fake:
        where = {"url": "amqp://app:pw@amqp.test/", "management_url": f"http://{fake}"}
        result = await run_once({"type": "rabbitmq-inflight", **where}, deadline="7s")

    assert result.reason in (Reason.FORBIDDEN, Reason.NOT_FOUND, Reason.PROTOCOL), result.message


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"gates": "readiness"}, "would hold back a pod for working; write gates: none"),
        ({"timeout": "6s"}, "leaves no time beside the 6s between two readings"),
    ],
)
def test_what_makes_no_sense_is_refused(more: Keys, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_one({"type": "rabbitmq-inflight", "url": "amqp://rabbitmq/ci", **more})


def test_the_api_is_where_rabbitmq_has_it_and_asked_with_the_apps_credentials() -> None:
    plain, secure = (
        load_one({"type": "rabbitmq-inflight", "url": f"{scheme}://app:pw@rabbitmq/ci%2Fbuilds"}).checks[0]
        for scheme in ("amqp", "amqps")
    )
    assert isinstance(plain, rabbitmq_inflight.RabbitmqInflightConfig)
    assert isinstance(secure, rabbitmq_inflight.RabbitmqInflightConfig)

    assert (plain.target, secure.target, plain.vhost) == ("rabbitmq:15672", "rabbitmq:15671", "ci/builds")
    assert [plain.access.root, secure.access.root] == [
        "http://rabbitmq:15672/api",
        "https://rabbitmq:15671/api",
    ]
    assert (plain.access.username, plain.access.password.reveal(), plain.gates) == ("app", "pw", frozenset())
