"""RabbitMQ's own faults: a real broker with alarms, and what operators and publishers do to its clients."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest

from sidecar.checks import rabbitmq_inflight
from sidecar.core.check import Reason
from tests.checks.contract import Keys
from tests.checks.rabbit_clients import until
from tests.faults.drill import UP, down, drill
from tests.faults.rabbit_strikes import (
    QUEUE,
    USER,
    VHOST,
    consumers,
    consuming,
    disconnected,
    losing_a_worker,
    losing_its_mailbox,
    low_on_disk,
    low_on_memory,
    publishing_to_nowhere,
    set_up,
    shut_out,
    without_queue,
    without_vhost,
)
from tests.faults.strikes import aside
from tests.faults.troubles import Strike, Trouble, cells_of
from tools.servers import QUICK_STATISTICS, RabbitServer

Troubles = Mapping[str, Trouble[RabbitServer]]

PATIENCE: Final = "2s"
"""Deadline of a run: the broker's own tools keep this machine busy."""
UNAVAILABLE: Final = down(Reason.UNAVAILABLE)
FORBIDDEN: Final = down(Reason.FORBIDDEN)
NOT_FOUND: Final = down(Reason.NOT_FOUND)


@pytest.fixture(scope="module")
def rabbit_config() -> Sequence[str]:
    return QUICK_STATISTICS


@pytest.fixture
def broker(breakable_rabbit: RabbitServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[RabbitServer]:
    """Yield a broker with what an application has there, and no time between two readings."""
    monkeypatch.setattr(rabbitmq_inflight, "APART", 0.0)
    set_up(breakable_rabbit)
    yield breakable_rabbit
    breakable_rabbit.api("DELETE", f"/vhosts/{VHOST}")


def keys(broker: RabbitServer, **more: object) -> Keys:
    url = broker.url_for(USER, "pw", vhost=VHOST)
    return {"type": "rabbitmq", "url": url, "queues": [QUEUE], "round_trip": True, **more}


def delivery_keys(broker: RabbitServer, **more: object) -> Keys:
    url = broker.url_for(USER, "pw", vhost=VHOST)
    where = {"url": url, "management_url": broker.management_url}
    return {"type": "rabbitmq-delivery", **where, "queues": [{"name": QUEUE}], "strict": True, **more}


def inflight_keys(broker: RabbitServer) -> Keys:
    url = broker.url_for(USER, "pw", vhost=VHOST)
    where = {"url": url, "management_url": broker.management_url}
    return {"type": "rabbitmq-inflight", **where, "gates": "none"}


OF_A_CONNECTION: Final[Troubles] = {
    "memory alarm": Trouble(
        strike=low_on_memory, expected=UNAVAILABLE, told="blocks those who publish: low on memory"
    ),
    "disk alarm": Trouble(
        strike=low_on_disk, expected=UNAVAILABLE, told="blocks those who publish: low on disk"
    ),
    "missing vhost": Trouble(
        strike=without_vhost, expected=NOT_FOUND, told=f"NOT_ALLOWED - vhost {VHOST} not found"
    ),
    "revoked permission": Trouble(
        strike=shut_out, expected=FORBIDDEN, told=f"access to vhost '{VHOST}' refused for user '{USER}'"
    ),
    "queue deleted under us": Trouble(strike=without_queue, expected=NOT_FOUND, told=f"has no queue {QUEUE}"),
}
OF_A_CONTRACT: Final[Troubles] = {
    "memory alarm": Trouble(strike=low_on_memory, expected=UNAVAILABLE, told="takes no messages"),
    "disk alarm": Trouble(strike=low_on_disk, expected=UNAVAILABLE, told="takes no messages"),
    "missing vhost": Trouble(strike=without_vhost, expected=NOT_FOUND, told=f"has no virtual host {VHOST}"),
    "revoked permission": Trouble(strike=shut_out, expected=FORBIDDEN, told="Not management user"),
    "queue deleted under us": Trouble(strike=without_queue, expected=NOT_FOUND, told="does not exist"),
    "unroutable": Trouble(
        keys={"unroutable": "forbid"},
        strike=publishing_to_nowhere,
        expected=UP,
        told="found no queue since the last run",
    ),
}
OF_A_DRAIN: Final[Troubles] = {
    "missing vhost": Trouble(strike=without_vhost, expected=NOT_FOUND, told=f"has no virtual host {VHOST}"),
    "revoked permission": Trouble(strike=shut_out, expected=FORBIDDEN, told="Not management user"),
    "connection closed by the operator": Trouble(
        strike=losing_a_worker, expected=down(Reason.CONTRACT), told="1 messages are not acknowledged"
    ),
}
NO_TROUBLE_OF_A_DRAIN: Final[Mapping[str, Strike[RabbitServer]]] = {
    "memory alarm": low_on_memory,
    "disk alarm": low_on_disk,
    "queue deleted under us": without_queue,
    "unroutable": publishing_to_nowhere,
}


@pytest.mark.parametrize("trouble", cells_of("rabbitmq", OF_A_CONNECTION))
async def test_a_connection_to_a_broker_in_trouble(
    trouble: Trouble[RabbitServer], broker: RabbitServer
) -> None:
    async with drill(keys(broker), deadline=PATIENCE) as it:
        await trouble.meet(broker, it)


@pytest.mark.cell("rabbitmq", "connection closed by the operator")
async def test_a_connection_that_an_operator_closes_is_opened_again(broker: RabbitServer) -> None:
    async with drill(keys(broker), deadline=PATIENCE) as it:
        await it.survives(disconnected(broker), UP)

        assert (it.changes, sum(each.connections_opened for each in it.results)) == (1, 2)


@pytest.mark.cell("rabbitmq", "unroutable")
async def test_a_message_that_finds_no_queue_is_one_failure(broker: RabbitServer) -> None:
    async with drill(keys(broker), deadline=PATIENCE) as it:
        await it.survives(losing_its_mailbox(broker), UP)

        assert it.changes == 1
        [failed] = [each for each in it.results if not each.is_success]
        assert failed.reason is Reason.PROTOCOL
        assert failed.message.endswith("did not route a message to our private queue")


@pytest.mark.parametrize("trouble", cells_of("rabbitmq-delivery", OF_A_CONTRACT))
async def test_a_contract_of_a_broker_in_trouble(
    trouble: Trouble[RabbitServer], broker: RabbitServer
) -> None:
    async with drill(delivery_keys(broker, **trouble.keys), deadline=PATIENCE) as it:
        await trouble.meet(broker, it)


@pytest.mark.cell("rabbitmq-delivery", "connection closed by the operator")
async def test_consumers_that_an_operator_disconnects_are_missed(broker: RabbitServer) -> None:
    async with AsyncExitStack() as worker:

        @asynccontextmanager
        async def losing_the_worker(broker: RabbitServer) -> AsyncIterator[None]:
            await aside(lambda: broker.disconnect(broker.user))
            await until(lambda: consumers(broker) == 0)
            yield
            await worker.enter_async_context(consuming(broker))

        await worker.enter_async_context(consuming(broker))
        trouble = Trouble(strike=losing_the_worker, expected=UP, told=f"queue {QUEUE} has no consumer")
        async with drill(delivery_keys(broker, consumers={"min": 1}), deadline=PATIENCE) as it:
            await trouble.meet(broker, it)


@pytest.mark.parametrize("trouble", cells_of("rabbitmq-inflight", OF_A_DRAIN))
async def test_a_drain_from_a_broker_in_trouble(trouble: Trouble[RabbitServer], broker: RabbitServer) -> None:
    async with drill(inflight_keys(broker), deadline=PATIENCE) as it:
        await trouble.meet(broker, it)


@pytest.mark.parametrize("trouble", cells_of("rabbitmq", OF_A_CONNECTION, pytest.mark.faults))
async def test_a_connection_to_a_broker_that_is_in_trouble_already(
    trouble: Trouble[RabbitServer], broker: RabbitServer
) -> None:
    await trouble.greet(broker, keys(broker), deadline=PATIENCE)


@pytest.mark.parametrize("trouble", cells_of("rabbitmq-delivery", OF_A_CONTRACT, pytest.mark.faults))
async def test_a_contract_of_a_broker_that_is_in_trouble_already(
    trouble: Trouble[RabbitServer], broker: RabbitServer
) -> None:
    await trouble.greet(broker, delivery_keys(broker, **trouble.keys), deadline=PATIENCE)


@pytest.mark.parametrize("trouble", cells_of("rabbitmq-inflight", OF_A_DRAIN, pytest.mark.faults))
async def test_a_drain_from_a_broker_that_is_in_trouble_already(
    trouble: Trouble[RabbitServer], broker: RabbitServer
) -> None:
    await trouble.greet(broker, inflight_keys(broker), deadline=PATIENCE)


@pytest.mark.parametrize("strike", cells_of("rabbitmq-inflight", NO_TROUBLE_OF_A_DRAIN, pytest.mark.faults))
async def test_a_drain_that_a_brokers_trouble_does_not_concern(
    strike: Strike[RabbitServer], broker: RabbitServer
) -> None:
    async with drill(inflight_keys(broker), deadline=PATIENCE) as it:
        await it.survives(strike(broker), UP)

        assert it.changes == 1
