"""Other clients of a PostgreSQL than a check, and what the server has for ours."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tools.servers import PostgresServer, find_command


def backends(server: PostgresServer) -> int:
    """Return how many backends a server has for us."""
    (count,) = server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sidecar'")
    return int(count)


async def wait_for_backends(server: PostgresServer, count: int) -> None:
    async with asyncio.timeout(3):
        while await asyncio.to_thread(backends, server) != count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


@asynccontextmanager
async def locked(server: PostgresServer, table: str) -> AsyncIterator[None]:
    """Let somebody hold a table for himself alone."""
    holder = await asyncio.create_subprocess_exec(
        find_command("psql"), "-h", str(server.folder), "-p", str(server.port), "-U", "postgres", "-XqAt",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PGDATABASE": "postgres"},
    )  # fmt: skip
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write(f"BEGIN; LOCK TABLE {table}; SELECT 'locked';\n".encode())
    try:
        await holder.stdout.readline()
        yield
    finally:
        holder.stdin.close()
        if holder.returncode is None:
            holder.kill()
        await holder.wait()
