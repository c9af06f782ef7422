"""How faults begin and end around a drill, as `async with`."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sidecar.support.thread import in_thread
from tests.network import Address, Fault, Proxy


@asynccontextmanager
async def striking(proxy: Proxy, fault: Fault | str) -> AsyncIterator[None]:
    """Break what goes through a proxy, connections that are open included."""
    with proxy.fault(fault):
        yield


@asynccontextmanager
async def doing(begin: Callable[[], object], end: Callable[[], object]) -> AsyncIterator[None]:
    """Do something to a server, and undo it; both may block, and hold nobody up."""
    await aside(begin)
    try:
        yield
    finally:
        await aside(end)


async def aside(call: Callable[[], object]) -> None:
    """Call what blocks, beside the event loop."""
    await in_thread(call, name="aside")


@asynccontextmanager
async def leading(proxy: Proxy, elsewhere: Address, *, back_to: Address) -> AsyncIterator[None]:
    """Lead new connections to another server, having reset those that are open; and back."""
    proxy.lead_to(elsewhere)
    try:
        yield
    finally:
        proxy.lead_to(back_to)
