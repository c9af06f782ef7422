"""PostgreSQL's own faults: a real server that recovers, takes no writes or clients, or lost an index."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import asyncpg
import pytest

from sidecar.core.check import Reason
from tests.checks.contract import Keys
from tests.checks.postgres_clients import locked, wait_for_backends
from tests.faults.drill import down, drill
from tests.faults.strikes import aside, doing
from tests.faults.troubles import Trouble, cells_of
from tools.servers import PostgresServer, ServerFailed

StartPostgres = Callable[..., PostgresServer]

CONFIG: Final = ("hot_standby = off", "max_connections = 8", "max_wal_senders = 0")
"""A standby lets nobody in, and there is room for five who are no superusers."""
SCHEMA: Final = (
    "CREATE ROLE app LOGIN",
    "CREATE TABLE migrations (version int)",
    "INSERT INTO migrations VALUES (1)",
    "CREATE TABLE orders (id int NOT NULL)",
    "CREATE UNIQUE INDEX once ON orders (id)",
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO app",
)


@pytest.fixture
def server(start_postgres: StartPostgres) -> PostgresServer:
    """Return a server with what an application has there."""
    server = start_postgres(config=CONFIG)
    server.sql(*SCHEMA)
    return server


@asynccontextmanager
async def recovering(server: PostgresServer) -> AsyncIterator[None]:
    """Restart it as a standby, which has no end of recovering until it is promoted."""
    await aside(server.stop)
    server.demote()
    start = asyncio.create_task(aside(server.start))
    try:
        yield
    finally:
        await aside(server.promote)
        await start


def read_only(server: PostgresServer) -> AbstractAsyncContextManager[None]:
    """Let it take no writes, as hosts of databases do when a disk is full."""

    def set_to(value: str) -> None:
        server.sql(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        server.reload()

    return doing(lambda: set_to("on"), lambda: set_to("off"))


@asynccontextmanager
async def crowded(server: PostgresServer) -> AsyncIterator[None]:
    """Let others have every connection that there is, as soon as one is free."""
    async with AsyncExitStack() as others:
        crowd = asyncio.create_task(_crowd(server, others))
        try:
            yield
        finally:
            crowd.cancel()
            await asyncio.wait({crowd})


async def _crowd(server: PostgresServer, others: AsyncExitStack) -> None:
    while True:
        with suppress(asyncpg.TooManyConnectionsError):
            another = await asyncpg.connect(server.url_for("app"))
            others.push_async_callback(another.close)
        await asyncio.sleep(0.02)


def locking(server: PostgresServer) -> AbstractAsyncContextManager[None]:
    """Let a migration that does not end hold a table."""
    return locked(server, "migrations")


def without_index(server: PostgresServer) -> AbstractAsyncContextManager[None]:
    """Let the index be made anew, and fail because of what was let in meanwhile."""

    def break_index() -> None:
        server.sql("DROP INDEX once", "INSERT INTO orders VALUES (1), (1)")
        with suppress(ServerFailed):
            server.sql("CREATE UNIQUE INDEX CONCURRENTLY once ON orders (id)")

    return doing(break_index, lambda: server.sql("DELETE FROM orders", "REINDEX INDEX once"))


UNAVAILABLE: Final = down(Reason.UNAVAILABLE)
TROUBLES: Final[Mapping[str, Trouble[PostgresServer]]] = {
    "recovery": Trouble(
        strike=recovering, expected=UNAVAILABLE, told="answered the database system is not accepting"
    ),
    "read-only": Trouble(
        keys={"writable": True}, strike=read_only, expected=UNAVAILABLE, told="not writable: it is read-only"
    ),
    "too many connections": Trouble(
        strike=crowded, expected=UNAVAILABLE, told="remaining connection slots are reserved"
    ),
    "statement timeout": Trouble(
        keys={"migrations": {"table": "migrations", "column": "version", "at_least": "1"}},
        strike=locking,
        expected=down(Reason.TIMEOUT),
        told="gave no answer within 500ms",
    ),
    "invalid index": Trouble(
        keys={"unique": [{"table": "orders", "columns": ["id"]}]},
        strike=without_index,
        expected=down(Reason.CONTRACT),
        told="once is not valid",
    ),
}
OF_A_KEPT_CONNECTION: Final = {
    column: trouble for column, trouble in TROUBLES.items() if column != "too many connections"
}
"""Who has a connection does not notice that others get none."""


def keys(server: PostgresServer, trouble: Trouble[PostgresServer], **more: object) -> Keys:
    return {"type": "postgres", "url": server.url_for("app"), **trouble.keys, **more}


@pytest.mark.parametrize("trouble", cells_of("postgres", TROUBLES))
async def test_a_postgres_in_trouble(trouble: Trouble[PostgresServer], server: PostgresServer) -> None:
    async with drill(keys(server, trouble)) as it:
        await trouble.meet(server, it)

    await wait_for_backends(server, 0)


@pytest.mark.parametrize("trouble", cells_of("postgres", OF_A_KEPT_CONNECTION, pytest.mark.faults))
async def test_a_kept_connection_to_a_postgres_in_trouble(
    trouble: Trouble[PostgresServer], server: PostgresServer
) -> None:
    async with drill(keys(server, trouble, keep=True)) as it:
        await trouble.meet(server, it)

    await wait_for_backends(server, 0)


@pytest.mark.parametrize("trouble", cells_of("postgres", TROUBLES, pytest.mark.faults))
async def test_a_postgres_that_is_in_trouble_already(
    trouble: Trouble[PostgresServer], server: PostgresServer
) -> None:
    await trouble.greet(server, keys(server, trouble))

    await wait_for_backends(server, 0)
