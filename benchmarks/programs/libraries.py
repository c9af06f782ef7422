"""The sum of the bare libraries: `libraries PORT [DRIVER=URL ...]`.

It is what a sidecar of a hundred lines would import and hold: a server of aiohttp's, prometheus-client's
registry, a YAML loader, a command line; and for each driver that is named one open connection, or for S3 one
client.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import aiodns
import click
import prometheus_client
import yaml
from aiohttp import web
from pythonjsonlogger.json import JsonFormatter

Connect = Callable[[str], Awaitable[Any]]


async def to_redis(url: str) -> Any:
    """Return an open connection."""
    from redis.asyncio import Connection  # noqa: PLC0415 - what is not named is not imported

    at = urlsplit(url)
    connection = Connection(host=at.hostname or "", port=at.port or 0)
    await connection.connect()  # type: ignore[no-untyped-call]  # the driver has no types here
    return connection


async def to_rabbitmq(url: str) -> Any:
    """Return an open connection."""
    import aiormq  # noqa: PLC0415

    return await aiormq.connect(url)


async def to_postgres(url: str) -> Any:
    """Return an open connection."""
    import asyncpg  # noqa: PLC0415

    return await asyncpg.connect(url, ssl=False)


async def to_s3(url: str) -> Any:
    """Return a client that has stored one object."""
    from aiobotocore.session import get_session  # noqa: PLC0415

    session = get_session()
    session.set_credentials("bench", "bench-secret")
    client = await session.create_client("s3", region_name="us-east-1", endpoint_url=url).__aenter__()
    await client.put_object(Bucket="build-artifacts", Key=".sidecar/probe", Body=b"sidecar probe\n")
    return client


async def to_http(url: str) -> Any:
    """Return a session that has asked once."""
    from aiohttp import ClientSession, TCPConnector  # noqa: PLC0415

    session = ClientSession(connector=TCPConnector(force_close=True))
    async with session.get(url):
        return session


CONNECT: Final[dict[str, Connect]] = {
    "http": to_http,
    "redis": to_redis,
    "rabbitmq": to_rabbitmq,
    "postgres": to_postgres,
    "s3": to_s3,
}


async def serve(port: int, urls: dict[str, str]) -> None:
    """Serve for ever, with what a sidecar has open."""
    held = [await CONNECT[name](url) for name, url in urls.items()]
    held += [aiodns.DNSResolver(), click.Command("serve"), yaml.compose("a: 1", Loader=yaml.CBaseLoader)]
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())

    async def answer(request: web.BaseRequest) -> web.Response:
        body = (
            prometheus_client.generate_latest() if request.path == "/metrics" else json.dumps("ok").encode()
        )
        return web.Response(body=body)

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()
    del held


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), dict(each.split("=", 1) for each in sys.argv[2:])))
