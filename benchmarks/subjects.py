"""Each check type beside the same driver calls in a bare loop, on a dependency of its own."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest.mock import patch
from urllib.parse import urlsplit

from benchmarks.client import until_open, until_told
from benchmarks.management import (
    DELIVERY,
    EXCHANGE,
    INFLIGHT,
    KEY,
    QUEUE,
    Visit,
    ask_all,
    declare,
)
from benchmarks.servers import CheckDocument, program
from tools.servers import PostgresServer, RabbitServer, RedisServer, S3Server

Ask = Callable[[], Awaitable[object]]
BUCKET: Final = "build-artifacts"
AWS: Final = {"access_key_id": "bench", "secret_access_key": "bench-secret", "region": "us-east-1"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a dependency is asked; `path` is for what has no port."""

    port: int = 0
    path: str = ""
    login: str = ""
    """User and password before the host of a URL, its `@` included."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A check type: its dependency, the keys of its check, and the bare calls."""

    name: str
    serve: Callable[[Path], Iterator[Address]]
    check: Callable[[Address], CheckDocument]
    bare: Callable[[Address], AbstractAsyncContextManager[Ask]]
    holds_connection: bool = False

    @contextmanager
    def dependency(self, folder: Path) -> Iterator[Address]:
        """Run the dependency inside the block, with a folder of its own in this one.

        Raises:
            ServerMissing, ServerFailed: it is not on this machine, or does not start.
        """
        yield from self.serve(Path(tempfile.mkdtemp(dir=folder)))


def _http(_folder: Path) -> Iterator[Address]:
    with program("dependency", "http") as server:
        until_open(server.port)
        yield Address(server.port)


def _dns(_folder: Path) -> Iterator[Address]:
    with program("dependency", "names") as server:
        until_told(server.port)
        yield Address(server.port)


def _file(folder: Path) -> Iterator[Address]:
    path = folder / "heartbeat"
    path.write_text("alive\n")
    yield Address(path=str(path))


def _redis(folder: Path) -> Iterator[Address]:
    with RedisServer(folder / "redis") as server:
        yield Address(server.port)


def _rabbitmq(folder: Path) -> Iterator[Address]:
    with RabbitServer(folder / "rabbitmq") as server:
        yield Address(server.port, login=_login(server.url))


def _management(folder: Path) -> Iterator[Address]:
    """Serve the management API; `rabbitmq-inflight` waits 6s between two readings, which cost nothing."""
    without_wait = patch("sidecar.checks.rabbitmq_inflight.APART", 0.0)
    with RabbitServer(folder / "rabbitmq") as server, without_wait:
        declare(server)
        yield Address(server.management_port, login=_login(server.url))


def _postgres(folder: Path) -> Iterator[Address]:
    with PostgresServer(folder / "postgres") as server:
        yield Address(server.port, login=_login(server.url))


def _s3(folder: Path) -> Iterator[Address]:
    with S3Server(folder / "s3") as server:
        server.create_bucket(BUCKET)
        yield Address(server.port)


def _login(url: str) -> str:
    userinfo, found, _ = urlsplit(url).netloc.rpartition("@")
    return f"{userinfo}{found}"


@asynccontextmanager
async def _bare_tcp(at: Address) -> AsyncIterator[Ask]:
    async def ask() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.transport.abort()

    yield ask


@asynccontextmanager
async def _bare_http(at: Address) -> AsyncIterator[Ask]:
    import aiohttp  # noqa: PLC0415 - the drivers that a run needs, and no others

    async def ask() -> int:
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"http://127.0.0.1:{at.port}/", allow_redirects=False) as response,
        ):
            return response.status

    yield ask


@asynccontextmanager
async def _bare_dns(at: Address) -> AsyncIterator[Ask]:
    import aiodns  # noqa: PLC0415

    async def ask() -> None:
        async with aiodns.DNSResolver(nameservers=[f"127.0.0.1:{at.port}"]) as resolver:
            await resolver.getaddrinfo("up.example.test")

    yield ask


@asynccontextmanager
async def _bare_file(at: Address) -> AsyncIterator[Ask]:
    yield lambda: asyncio.to_thread(Path(at.path).stat)


@asynccontextmanager
async def _bare_exec(_at: Address) -> AsyncIterator[Ask]:
    async def ask() -> None:
        process = await asyncio.create_subprocess_exec(
            "/bin/true", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        await process.communicate()

    yield ask


@asynccontextmanager
async def _bare_redis(at: Address) -> AsyncIterator[Ask]:
    from redis.asyncio import Connection  # noqa: PLC0415

    connection = Connection(host="127.0.0.1", port=at.port, protocol=2, driver_info=None)
    await connection.connect()  # type: ignore[no-untyped-call]  # the driver has no types here

    async def ask() -> None:
        await connection.send_command("ECHO", secrets.token_hex(16))
        await connection.read_response()
        await connection.send_command("PING")
        await connection.read_response()

    yield ask
    await connection.disconnect()


@asynccontextmanager
async def _bare_rabbitmq(at: Address) -> AsyncIterator[Ask]:
    import aiormq  # noqa: PLC0415

    connection = await aiormq.connect(f"amqp://{at.login}127.0.0.1:{at.port}/")
    channel = await connection.channel(publisher_confirms=False)
    yield channel.basic_qos
    await connection.close()


def _bare_management(visits: Sequence[Visit]) -> Callable[[Address], AbstractAsyncContextManager[Ask]]:
    @asynccontextmanager
    async def bare(at: Address) -> AsyncIterator[Ask]:
        yield lambda: ask_all(at.port, at.login, visits)

    return bare


@asynccontextmanager
async def _bare_postgres(at: Address) -> AsyncIterator[Ask]:
    async def ask() -> None:
        async with _bare_postgres_kept(at) as ask_once:
            await ask_once()

    yield ask


@asynccontextmanager
async def _bare_postgres_kept(at: Address) -> AsyncIterator[Ask]:
    import asyncpg  # noqa: PLC0415

    connection = await asyncpg.connect(
        f"postgres://{at.login}127.0.0.1:{at.port}/postgres", ssl=False, statement_cache_size=0
    )
    bounds = "BEGIN; SET LOCAL statement_timeout = 2000; SET LOCAL idle_in_transaction_session_timeout = 2000"

    async def ask() -> None:
        await connection.execute(bounds)
        await connection.fetch("SELECT 1")
        await connection.execute("ROLLBACK")

    yield ask
    await connection.close()


@asynccontextmanager
async def _bare_s3(at: Address) -> AsyncIterator[Ask]:
    from aiobotocore.session import get_session  # noqa: PLC0415

    session = get_session()
    session.set_credentials(AWS["access_key_id"], AWS["secret_access_key"])
    async with session.create_client(
        "s3", region_name=AWS["region"], endpoint_url=f"http://127.0.0.1:{at.port}"
    ) as client:
        yield lambda: client.put_object(Bucket=BUCKET, Key=".sidecar/probe", Body=b"sidecar probe\n")


def bare_argument(name: str, at: Address) -> str:
    """Return the argument by which `libraries` is told of a subject's driver, and where it connects."""
    driver = name.partition(",")[0]
    scheme = {"rabbitmq": "amqp", "s3": "http"}.get(driver, driver)
    path = {"postgres": "/postgres", "http": "/", "rabbitmq": "/"}.get(driver, "")
    return f"{driver}={_url(scheme, at, path)}"


def _postgres_check(at: Address) -> CheckDocument:
    return {"type": "postgres", "url": f"{_url('postgres', at, '/postgres')}?sslmode=disable"}


def _management_check(at: Address) -> CheckDocument:
    return {"url": f"amqp://{at.login}127.0.0.1/", "management_url": f"http://127.0.0.1:{at.port}"}


def _delivery_check(at: Address) -> CheckDocument:
    return {
        "type": "rabbitmq-delivery",
        "exchanges": [{"name": EXCHANGE, "type": "topic"}],
        "queues": [{"name": QUEUE}],
        "bindings": [{"exchange": EXCHANGE, "queue": QUEUE, "routing_key": KEY}],
        **_management_check(at),
    }


def _url(scheme: str, at: Address, path: str = "") -> str:
    return f"{scheme}://{at.login}127.0.0.1:{at.port}{path}"


SUBJECTS: Final = (
    Subject("tcp", _http, lambda at: {"type": "tcp", "host": "127.0.0.1", "port": at.port}, _bare_tcp),
    Subject("http", _http, lambda at: {"type": "http", "url": _url("http", at, "/")}, _bare_http),
    Subject(
        "dns",
        _dns,
        lambda at: {"type": "dns", "hostname": "up.example.test", "server": "127.0.0.1", "port": at.port},
        _bare_dns,
    ),
    Subject("file", _file, lambda at: {"type": "file", "path": at.path}, _bare_file),
    Subject("exec", _file, lambda _at: {"type": "exec", "command": ["/bin/true"]}, _bare_exec),
    Subject(
        "redis",
        _redis,
        lambda at: {"type": "redis", "url": _url("redis", at, "/0")},
        _bare_redis,
        holds_connection=True,
    ),
    Subject(
        "rabbitmq",
        _rabbitmq,
        lambda at: {"type": "rabbitmq", "url": _url("amqp", at)},
        _bare_rabbitmq,
        holds_connection=True,
    ),
    Subject("rabbitmq-delivery", _management, _delivery_check, _bare_management(DELIVERY)),
    Subject(
        "rabbitmq-inflight",
        _management,
        lambda at: {"type": "rabbitmq-inflight", **_management_check(at)},
        _bare_management(INFLIGHT),
    ),
    Subject("postgres", _postgres, _postgres_check, _bare_postgres),
    Subject(
        "postgres, kept",
        _postgres,
        lambda at: {**_postgres_check(at), "keep": True},
        _bare_postgres_kept,
        holds_connection=True,
    ),
    Subject(
        "s3",
        _s3,
        lambda at: {
            "type": "s3",
            "bucket": BUCKET,
            "endpoint_url": _url("http", at),
            "addressing": "path",
            **AWS,
        },
        _bare_s3,
    ),
)
"""`exec` has no dependency but the command; `s3` closes its connection, which would idle for minutes."""
