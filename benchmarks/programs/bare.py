"""The physical limit of a probe: a bare aiohttp handler with the bytes of one that passes. `bare PORT`."""

import asyncio
import sys
from typing import Final

from aiohttp import web

HEADERS: Final = {
    "Content-Type": "text/plain; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Server": "sidecar",
}
ANSWERS: Final = {"/readyz": b"ok", "/livez": b"ok"}


async def handle(request: web.BaseRequest) -> web.Response:
    """Answer."""
    return web.Response(body=ANSWERS[request.path], headers=HEADERS)


async def serve(port: int) -> None:
    """Serve for ever."""
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
