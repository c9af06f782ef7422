"""What publisher and consumer agree on: names, topology, tables; and the switches that break a rule each.

Everything is declared by whoever starts first, and declared again is what it was.
"""

import argparse
import os
from enum import StrEnum
from typing import Final

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractQueue
from asyncpg import Connection

EXCHANGE: Final = "builds"
QUEUE: Final = "run-build"
DEAD_LETTERS: Final = "builds-dead"
ROUTING_KEY: Final = "build.requested"
PREFETCH: Final = 10

TABLES: Final = """
    CREATE TABLE IF NOT EXISTS handled (message_id text NOT NULL, at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE IF NOT EXISTS builds (build text PRIMARY KEY, step int NOT NULL);
"""
IDENTIFIED_ONCE: Final = "CREATE UNIQUE INDEX IF NOT EXISTS handled_once ON handled (message_id)"


class Flaw(StrEnum):
    """A rule of the delivery contract, by how it is broken."""

    TRANSIENT_QUEUE = "transient-queue"
    """The queue is gone when the broker restarts."""
    AUTO_DELETE = "auto-delete"
    """The queue is gone when its last consumer is."""
    UNBOUND = "unbound"
    """Nothing that is published reaches the queue."""
    NO_DEAD_LETTER = "no-dead-letter"
    """What is rejected is gone."""
    TRANSIENT_MESSAGES = "transient-messages"
    """What is published is gone when the broker restarts."""
    NO_IDENTIFIER = "no-identifier"
    """Messages about one build have the same identifier: the second is taken for a second delivery."""
    UNROUTABLE = "unroutable"
    """Some of what is published has nowhere to go."""
    AUTO_ACK = "auto-ack"
    """What a consumer that dies had been sent is gone."""
    NO_PREFETCH = "no-prefetch"
    """One consumer takes all that there is."""
    NO_CONSTRAINT = "no-constraint"
    """Two deliveries side by side are both recorded."""


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of what both programs take."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--amqp", default=os.environ.get("AMQP_URL", "amqp://guest:guest@localhost/"))
    made.add_argument("--postgres", default=os.environ.get("POSTGRES_URL", "postgres://localhost/builds"))
    made.add_argument(
        "--break", dest="flaws", type=Flaw, choices=list(Flaw), action="append", default=[], metavar="RULE"
    )
    return made


async def declare(channel: AbstractChannel, flaws: list[Flaw]) -> tuple[AbstractExchange, AbstractQueue]:
    """Declare the topology: all of it durable, bound, and with somewhere to go for what is rejected."""
    exchange = await channel.declare_exchange(EXCHANGE, ExchangeType.TOPIC, durable=True)
    dead = await channel.declare_exchange(DEAD_LETTERS, ExchangeType.FANOUT, durable=True)
    graveyard = await channel.declare_queue(DEAD_LETTERS, durable=True)
    await graveyard.bind(dead)
    queue = await channel.declare_queue(
        QUEUE,
        durable=Flaw.TRANSIENT_QUEUE not in flaws,
        auto_delete=Flaw.AUTO_DELETE in flaws,
        arguments={} if Flaw.NO_DEAD_LETTER in flaws else {"x-dead-letter-exchange": DEAD_LETTERS},
    )
    if Flaw.UNBOUND not in flaws:
        await queue.bind(exchange, "build.*")
    return exchange, queue


async def create_tables(connection: Connection, flaws: list[Flaw]) -> None:
    """Create what a consumer records: which messages it has handled, and how far each build has come."""
    await connection.execute(TABLES)
    if Flaw.NO_CONSTRAINT not in flaws:
        await connection.execute(IDENTIFIED_ONCE)
