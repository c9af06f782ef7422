"""The worked example of the delivery contract, against a real broker and a real database."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from examples.delivery.contract import DEAD_LETTERS, EXCHANGE, QUEUE, Flaw
from sidecar.checks import InstalledTypes
from sidecar.config.load import load
from sidecar.config.source import Source
from sidecar.core.check import Reason
from sidecar.core.result import Outcome, Result
from sidecar.runtime.runner import Runner
from tests.checks.contract import build
from tests.checks.test_rabbitmq_inflight import COUNTS
from tests.docs.examples import ROOT
from tests.process.harness import Sidecar, free_port, running
from tools.servers import PostgresServer, RabbitServer, ServerFailed

EXAMPLE: Final = ROOT / "examples" / "delivery" / "sidecar.yaml"
HEAD, CHECKS = EXAMPLE.read_text().split("checks:\n", 1)
TOPOLOGY: Final = {
    Flaw.TRANSIENT_QUEUE: "queue run-build is not durable",
    Flaw.AUTO_DELETE: "queue run-build is auto-delete",
    Flaw.UNBOUND: "run-build",
    Flaw.NO_DEAD_LETTER: "queue run-build has no dead-letter exchange",
}
BEHAVIOUR: Final = {
    Flaw.AUTO_ACK: "acknowledge",
    Flaw.NO_PREFETCH: "prefetch",
    Flaw.TRANSIENT_MESSAGES: "would not survive a restart of the broker",
    Flaw.UNROUTABLE: "no queue",
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("rabbit"), config=COUNTS)
    try:
        yield server.start()
    finally:
        server.kill()
        server.close()


@dataclass
class Stage:
    """The broker, the database and the programs of the example."""

    broker: RabbitServer
    database: PostgresServer
    port: int

    @property
    def env(self) -> dict[str, str]:
        return {
            "AMQP_URL": self.broker.url,
            "MANAGEMENT_URL": f"http://{self.broker.host}:{self.broker.management_port}",
            "POSTGRES_URL": self.database.url,
            "APP_PORT": str(self.port),
        }

    @asynccontextmanager
    async def consumer(self, *flags: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run the consumer, which consumes when the block begins."""
        async with self.program("consumer", "--port", str(self.port), *flags) as process:
            await until_said(process, "consuming")
            yield process

    @asynccontextmanager
    async def program(self, name: str, *flags: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"examples.delivery.{name}", *flags),
            env={**os.environ, **self.env},
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def publish(self, count: int, *flags: str, rate: int = 1000) -> None:
        """Publish so many messages, and wait until the broker has them."""
        async with self.program("publisher", "--count", str(count), "--rate", str(rate), *flags) as process:
            _, said = await process.communicate()
            assert process.returncode == 0, said.decode()

    @asynccontextmanager
    async def check(self, name: str) -> AsyncIterator[Runner]:
        """Yield the runner of one check of the example's configuration."""
        config = load(Source(str(EXAMPLE), EXAMPLE.read_bytes()), InstalledTypes(), self.env)
        [found] = [each for each in config.checks if each.name == name]
        runner = Runner(build(found), name=name, target=found.target, timeout=found.timeout)
        try:
            yield runner
        finally:
            await runner.aclose()

    async def fetch(self, query: str) -> object:
        connection = await asyncpg.connect(self.database.url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    def clear(self) -> None:
        """Take the topology away."""
        for sort, names in (("queues", (QUEUE, DEAD_LETTERS)), ("exchanges", (EXCHANGE, DEAD_LETTERS))):
            for name in names:
                with suppress(ServerFailed):  # an auto-delete queue has gone already
                    self.broker.api("DELETE", f"/{sort}/%2F/{name}")


@pytest.fixture
def stage(broker: RabbitServer, postgres_server: PostgresServer) -> Iterator[Stage]:
    staged = Stage(broker, postgres_server, free_port())
    yield staged
    staged.clear()
    asyncio.run(drop_tables(postgres_server))


async def drop_tables(database: PostgresServer) -> None:
    connection = await asyncpg.connect(database.url)
    await connection.execute("DROP TABLE IF EXISTS handled, builds")
    await connection.close()


async def until_said(process: asyncio.subprocess.Process, what: str) -> None:
    assert process.stderr is not None
    async with asyncio.timeout(20):
        async for line in process.stderr:
            if what in line.decode():
                return
    raise AssertionError(f"ended without saying {what!r}")


async def until_told(runner: Runner, what: str) -> Result:
    """Run until a run says this: the broker's counts are a second old."""
    said: set[str] = set()
    with suppress(TimeoutError):
        async with asyncio.timeout(20):
            while True:
                result = await runner.run()
                said.add(result.message)
                if what in result.message:
                    return result
                await asyncio.sleep(0.3)
    raise AssertionError(f"never said {what!r}, but {sorted(said)}")


async def test_the_good_example_holds_the_contract(stage: Stage) -> None:
    async with (
        stage.consumer("--work", "0.05"),
        stage.check("delivery") as delivery,
        stage.check("records") as records,
    ):
        await stage.publish(50)
        result, unique = await delivery.run(), await records.run()

    assert (result.is_success, unique.is_success, unique.message) == (True, True, "")


@pytest.mark.parametrize("flaw", TOPOLOGY)
async def test_each_broken_rule_of_topology_fails_the_check_by_name(stage: Stage, flaw: Flaw) -> None:
    async with stage.consumer("--break", flaw), stage.check("delivery") as delivery:
        result = await until_told(delivery, TOPOLOGY[flaw])

    assert result.reason in (Reason.CONTRACT, Reason.NOT_FOUND)


@pytest.mark.parametrize("flaw", BEHAVIOUR)
async def test_each_broken_rule_of_behaviour_is_a_warning_by_name(stage: Stage, flaw: Flaw) -> None:
    async with stage.consumer("--work", "0.2", "--break", flaw), stage.check("delivery") as delivery:
        await delivery.run()
        await stage.publish(200, "--break", flaw)

        result = await until_told(delivery, BEHAVIOUR[flaw])

    assert result.outcome is Outcome.WARNING


async def test_a_missing_constraint_fails_the_check_of_the_database(stage: Stage) -> None:
    async with stage.consumer("--break", Flaw.NO_CONSTRAINT), stage.check("records") as records:
        result = await records.run()

    assert (result.is_success, "handled" in result.message) == (False, True), result.message


async def test_a_consumer_that_dies_between_the_record_and_the_ack_leaves_exactly_one_record(
    stage: Stage,
) -> None:
    async with stage.consumer("--before-ack", "60") as first:
        await stage.publish(1)
        async with asyncio.timeout(20):
            while await stage.fetch("SELECT count(*) FROM handled") != 1:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.05)
        first.kill()
        await first.wait()
    async with stage.consumer():
        await until_none_is_left(stage)
        redelivered = await redeliveries(stage, at_least=1)

    assert (redelivered, await stage.fetch("SELECT count(*) FROM handled")) == (1, 1)


async def redeliveries(stage: Stage, *, at_least: int = 0) -> int:
    """Return how often the broker sent a message again, once it has counted so many."""
    async with asyncio.timeout(20):
        while True:
            statistics = stage.broker.api("GET", f"/queues/%2F/{QUEUE}").get("message_stats", {})
            if statistics and statistics.get("redeliver", 0) >= at_least:
                return int(statistics.get("redeliver", 0))
            await asyncio.sleep(0.3)


@asynccontextmanager
async def draining(stage: Stage, folder: Path, *, head: str = HEAD) -> AsyncIterator[Sidecar]:
    """Run the sidecar of the example beside a consumer with work in flight, and begin its drain."""
    async with running(folder, CHECKS, sections=head, env=stage.env) as sidecar:
        await sidecar.until_logged("check is down", check="inflight", within=40)
        sidecar.process.send_signal(signal.SIGTERM)
        await sidecar.until_logged("drain began")
        yield sidecar


async def test_the_drain_waits_for_the_last_ack_and_nothing_is_lost_or_sent_twice(
    stage: Stage, tmp_path: Path
) -> None:
    async with stage.consumer("--work", "1.5") as consumer:
        publishing = asyncio.create_task(stage.publish(1500, rate=100))
        async with draining(stage, tmp_path) as sidecar:
            await until_said(consumer, "took the last message")
            await until_said(consumer, "idle")
            idle_at = time.monotonic()
            code = await asyncio.wait_for(sidecar.process.wait(), 60)
            over_at = time.monotonic()
        consumer.terminate()
        await consumer.wait()
        await publishing
        again = await redeliveries(stage)
    handled = await stage.fetch("SELECT count(*) FROM handled")

    assert (code, consumer.returncode, over_at > idle_at) == (0, 0, True)
    assert again == 0
    async with stage.consumer():
        await until_none_is_left(stage)
    assert isinstance(handled, int)
    assert 0 < handled < 1500
    assert await stage.fetch("SELECT count(*) FROM handled") == 1500


async def test_without_notify_the_deadline_ends_the_drain_and_the_log_says_why(
    stage: Stage, tmp_path: Path
) -> None:
    head = re.sub(r"  notify: .*\n", "", HEAD).replace("deadline: 60s", "deadline: 8s")
    async with stage.consumer("--work", "0.5"):
        publishing = asyncio.create_task(stage.publish(3000, rate=100))
        async with draining(stage, tmp_path, head=head) as sidecar:
            over = await sidecar.until_logged("drain is over", within=30)
            code = await asyncio.wait_for(sidecar.process.wait(), 30)
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)

    assert (code, over["level"]) == (0, "WARNING")
    assert over["waited_in_vain_for"].startswith("inflight up: contract: ")
    assert "messages are not acknowledged" in over["waited_in_vain_for"]


async def until_none_is_left(stage: Stage) -> None:
    async with asyncio.timeout(40):
        while stage.broker.api("GET", f"/queues/%2F/{QUEUE}").get("messages") != 0:  # noqa: ASYNC110
            await asyncio.sleep(0.3)
