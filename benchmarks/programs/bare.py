"""The physical limit of a probe: a bare aiohttp handler with the bytes of one that passes. `bare PORT`.

It answers other bytes once it is told: `PUT /readyz?code=503`, with the body of the answer.
"""

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
ANSWERS: Final = {"/readyz": (200, b"ok"), "/livez": (200, b"ok")}


async def handle(request: web.BaseRequest) -> web.Response:
    """Answer."""
    if request.method == "PUT":
        ANSWERS[request.path] = int(request.query["code"]), await request.read()
    status, body = ANSWERS[request.path]
    return web.Response(status=status, body=body, headers=HEADERS)


async def serve(port: int) -> None:
    """Serve for ever."""
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
