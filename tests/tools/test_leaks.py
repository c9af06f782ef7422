"""The watch for what a test leaves behind sees it."""

import asyncio
from contextlib import suppress

from tests.leaks import left_behind, open_sockets
from tests.network import silent


async def test_task_left_running_is_named() -> None:
    before = asyncio.all_tasks()
    stray = asyncio.create_task(asyncio.Event().wait(), name="stray")
    seen = await left_behind(before, open_sockets())
    stray.cancel()
    with suppress(asyncio.CancelledError):
        await stray

    assert seen == ["task stray"]
    assert await left_behind(before, open_sockets()) == []


async def test_socket_left_open_is_described() -> None:
    async with silent() as address:
        tasks, sockets = asyncio.all_tasks(), open_sockets()
        _, writer = await asyncio.open_connection(address.host, address.port)
        port = writer.get_extra_info("sockname")[1]
        seen = await left_behind(tasks, sockets)
        writer.close()
        await address.emptied()

        assert any(f"laddr=('127.0.0.1', {port})" in what for what in seen)
        assert await left_behind(tasks, sockets) == []
