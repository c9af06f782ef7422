"""Publishes builds so that none is lost: `python -m examples.delivery.publisher --count 100 --rate 100`.

Every message is persistent, has an identifier of its own, and is confirmed by the broker; one that no queue
takes comes back as an error. A message whose confirm did not come is published again, with the same
identifier: the consumer knows it by that.
"""

import asyncio
import json
import logging
import uuid

import aio_pika
from aio_pika.abc import AbstractExchange
from aio_pika.exceptions import DeliveryError

from examples.delivery.contract import EXCHANGE, ROUTING_KEY, Flaw, declare, parser

CONFIRM_WITHIN = 5.0
"""Seconds."""
STEPS = 3
"""Messages of one build."""

log = logging.getLogger("publisher")


def message(number: int, flaws: list[Flaw]) -> aio_pika.Message:
    """Return the message about one step of a build."""
    transient = Flaw.TRANSIENT_MESSAGES in flaws
    build = f"b{number // STEPS}"
    return aio_pika.Message(
        json.dumps({"build": build, "step": number % STEPS}).encode(),
        content_type="application/json",
        message_id=build if Flaw.NO_IDENTIFIER in flaws else str(uuid.uuid4()),
        delivery_mode=aio_pika.DeliveryMode.NOT_PERSISTENT if transient else aio_pika.DeliveryMode.PERSISTENT,
    )


async def publish(exchange: AbstractExchange, what: aio_pika.Message, flaws: list[Flaw]) -> None:
    """Publish until the broker has confirmed it, or says that no queue takes it."""
    if Flaw.UNROUTABLE in flaws:
        await exchange.publish(what, "nobody.listens", mandatory=False)
        return
    while True:
        try:
            await exchange.publish(what, ROUTING_KEY, mandatory=True, timeout=CONFIRM_WITHIN)
        except TimeoutError:
            log.warning("not confirmed, publishing again: %s", what.message_id)
        else:
            return


async def main() -> None:
    """Publish `--count` messages, `--rate` a second."""
    arguments = parser("Publish builds.")
    arguments.add_argument("--count", type=int, default=100)
    arguments.add_argument("--rate", type=float, default=100.0)
    options = arguments.parse_args()
    async with await aio_pika.connect(options.amqp) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await declare(channel, options.flaws)
        exchange = await channel.get_exchange(EXCHANGE)
        for number in range(options.count):
            try:
                await publish(exchange, message(number, options.flaws), options.flaws)
            except DeliveryError:
                log.exception("no queue takes %s", ROUTING_KEY)
            await asyncio.sleep(1 / options.rate)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main())
