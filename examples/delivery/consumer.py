"""Handles builds so that none is lost and none is done twice: `python -m examples.delivery.consumer`.

A message is acknowledged when what it asks for is recorded, and not before: if we die in between, it is
delivered again. The record and the identifier of the message are written in one transaction, and a
uniqueness constraint refuses the identifier a second time: so a second delivery does nothing. A step that
comes late changes nothing that a later step has changed. POST /stop, which the sidecar sends when the pod is
to end, takes no more work, and what has begun is finished; SIGTERM then finds us idle.
"""

import asyncio
import json
import logging
import signal

import aio_pika
import asyncpg
from aio_pika.abc import AbstractIncomingMessage
from aiohttp import web

from examples.delivery.contract import PREFETCH, Flaw, create_tables, declare, parser

log = logging.getLogger("consumer")


class Consumer:
    """Handles messages one after another of each, several at a time; knows how many are under way."""

    def __init__(self, database: asyncpg.Pool, flaws: list[Flaw], *, work: float, before_ack: float) -> None:
        self.under_way = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._database = database
        self._flaws = flaws
        self._work = work
        self._before_ack = before_ack

    async def handle(self, message: AbstractIncomingMessage) -> None:
        """Record what a message asks for, then acknowledge it; what cannot be read is rejected for good."""
        self.under_way += 1
        self._is_idle.clear()
        try:
            await self._handle(message)
        finally:
            self.under_way -= 1
            if not self.under_way:
                self._is_idle.set()

    async def until_idle(self) -> None:
        """Return when nothing is under way."""
        await self._is_idle.wait()

    async def _handle(self, message: AbstractIncomingMessage) -> None:
        try:
            event = json.loads(message.body)
            build, step = str(event["build"]), int(event["step"])
        except (ValueError, KeyError, TypeError):
            await message.reject(requeue=False)
            return
        await asyncio.sleep(self._work)
        await self._record(message.message_id or "", build, step)
        await asyncio.sleep(self._before_ack)
        if Flaw.AUTO_ACK not in self._flaws:
            await message.ack()

    async def _record(self, message_id: str, build: str, step: int) -> None:
        once = "" if Flaw.NO_CONSTRAINT in self._flaws else "ON CONFLICT (message_id) DO NOTHING"
        async with self._database.acquire() as connection, connection.transaction():
            is_new = await connection.fetchval(
                f"INSERT INTO handled (message_id) VALUES ($1) {once} RETURNING true",  # noqa: S608 - our own words
                message_id,
            )
            if is_new:
                await connection.execute(
                    "INSERT INTO builds AS known (build, step) VALUES ($1, $2) ON CONFLICT (build) "
                    "DO UPDATE SET step = excluded.step WHERE known.step < excluded.step",
                    build,
                    step,
                )


async def serve(consumer: Consumer, stop: asyncio.Event, port: int) -> web.AppRunner:
    """Answer the sidecar on loopback: whether we live, whether we are idle; and take its word to stop."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def idle(_request: web.Request) -> web.Response:
        is_idle = stop.is_set() and not consumer.under_way
        return web.Response(status=200 if is_idle else 503, text=f"{consumer.under_way} under way\n")

    async def take_no_more(_request: web.Request) -> web.Response:
        stop.set()
        return web.Response(text="taking no more work\n")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/idle", idle), web.post("/stop", take_no_more)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def main() -> None:
    """Consume until SIGTERM; finish what has begun."""
    arguments = parser("Handle builds.")
    arguments.add_argument("--port", type=int, default=8080)
    arguments.add_argument("--work", type=float, default=0.0, help="seconds that a build takes")
    arguments.add_argument("--before-ack", type=float, default=0.0, help="seconds from the record to the ack")
    options = arguments.parse_args()
    stop, end = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    async with (
        asyncpg.create_pool(options.postgres, min_size=1, max_size=PREFETCH) as database,
        await aio_pika.connect(options.amqp, client_properties={"connection_name": "consumer"}) as broker,
    ):
        async with database.acquire() as connection:
            await create_tables(connection, options.flaws)
        consumer = Consumer(database, options.flaws, work=options.work, before_ack=options.before_ack)
        runner = await serve(consumer, stop, options.port)
        channel = await broker.channel()
        if Flaw.NO_PREFETCH not in options.flaws:
            await channel.set_qos(prefetch_count=PREFETCH)
        _, queue = await declare(channel, options.flaws)
        tag = await queue.consume(consumer.handle, no_ack=Flaw.AUTO_ACK in options.flaws)
        log.info("consuming")
        await first_of(stop, end)
        await queue.cancel(tag)
        log.info("took the last message")
        await consumer.until_idle()
        log.info("idle")
        await end.wait()
        await runner.cleanup()


async def first_of(*events: asyncio.Event) -> None:
    """Return when one of them has happened."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main())
