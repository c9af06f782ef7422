"""What the checks of a soak ask: for each type a target that is up, hung, flapping or garbage.

Real servers where "up" needs one, and the misbehaving network of the tests for the rest.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import cached_property, partial
from itertools import cycle
from pathlib import Path
from typing import Any, Final, Self, TypeAlias, TypeVar

from benchmarks.soak.report import STATES
from tests.checks.s3_fakes import answering, response, stored
from tests.network import Address, FakeDns, Proxy, garbage, silent
from tests.network.proxy import Fault
from tools.servers import PostgresServer, RabbitServer, RedisServer, Server

FLAP: Final = 0.5
"""Seconds that a flapping target stays as it is."""
FLAPS: Final = (None, Fault.RESETTING, None, Fault.REFUSED, None, Fault.HALF_CLOSING, None, Fault.SILENT)
"""What a flapping target goes through."""
PATIENCE: Final = "60s"
"""Deadline of a run that is to succeed or fail by itself, on a machine that is busy with it."""
HUNG_FOR: Final = {"rabbitmq-inflight": "8s"}
"""Deadline of a run against what hangs, where 2s may not be asked for."""
PASSWORD: Final = "secret"  # noqa: S105 - of a throw-away
HOLDING: Final = "soak"
"""What a file that is up contains."""
REPLY: Final = bytes.fromhex("8180 0001 ffff 0000 0000") + b"garbage!\xff"
"""A DNS answer's header that promises more records than follow, and nonsense in their place."""

Keys: TypeAlias = Mapping[str, Any]
"""The keys of one check, but for its name."""
Targets: TypeAlias = Mapping[str, Keys]
"""By state, the keys of a check of a target in it."""
AnyServer = TypeVar("AnyServer", bound=Server)


class Servers:
    """The real servers, each started when it is first asked for; all end with the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    @cached_property
    def redis(self) -> RedisServer:
        """A Redis."""
        return self._started(RedisServer(self.new_folder("redis")))

    @cached_property
    def rabbit(self) -> RabbitServer:
        """A RabbitMQ."""
        return self._started(RabbitServer(self.new_folder("rabbit")))

    @cached_property
    def postgres(self) -> PostgresServer:
        """A PostgreSQL with room for every check of a crowd."""
        room = ("max_connections = 300",)
        return self._started(PostgresServer(self.new_folder("postgres"), password=PASSWORD, config=room))

    def _started(self, server: AnyServer) -> AnyServer:
        self._stack.callback(server.close)
        self._stack.callback(server.kill)  # nobody needs what it would save
        return server.start()

    def new_folder(self, name: str) -> Path:
        """Make a folder for what a server, or a check, reads and writes."""
        folder = self._folder / name
        folder.mkdir()
        return folder


@asynccontextmanager
async def targets_of(kind: str, servers: Servers) -> AsyncIterator[Targets]:
    """Have targets of a kind in every state until the end of the block: a type, or one of its ways to ask."""
    async with _TARGETS[kind](servers) as targets:
        yield {
            state: {
                "type": kind,
                "timeout": HUNG_FOR.get(kind, "2s") if state == "hung" else PATIENCE,
                **keys,
            }
            for state, keys in targets.items()
        }


def kinds() -> tuple[str, ...]:
    """Return every kind that there are targets of."""
    return tuple(_TARGETS)


def _redis(servers: Servers) -> AbstractAsyncContextManager[Targets]:
    return _network(Address(servers.redis.host, servers.redis.port), _redis_keys)


def _rabbit(servers: Servers) -> AbstractAsyncContextManager[Targets]:
    return _network(Address(servers.rabbit.host, servers.rabbit.port), _rabbit_keys)


def _channel(servers: Servers) -> AbstractAsyncContextManager[Targets]:
    return _network(Address(servers.rabbit.host, servers.rabbit.port), _channel_keys)


def _delivery(servers: Servers) -> AbstractAsyncContextManager[Targets]:
    return _network(Address(servers.rabbit.host, servers.rabbit.management_port), _delivery_keys)


def _inflight(servers: Servers) -> AbstractAsyncContextManager[Targets]:
    return _network(Address(servers.rabbit.host, servers.rabbit.management_port), _inflight_keys)


def _postgres(servers: Servers) -> AbstractAsyncContextManager[Targets]:
    return _network(Address(servers.postgres.host, servers.postgres.port), _postgres_keys)


def _session(servers: Servers) -> AbstractAsyncContextManager[Targets]:
    return _network(Address(servers.postgres.host, servers.postgres.port), _session_keys)


@asynccontextmanager
async def _web(answer: bytes, keys: Callable[[Address], Keys], _servers: Servers) -> AsyncIterator[Targets]:
    async with answering(answer) as site, _network(site.address, keys) as targets:
        yield targets


@asynccontextmanager
async def _tcp(_servers: Servers) -> AsyncIterator[Targets]:
    async with silent() as address, _network(address, _tcp_keys) as targets:
        yield {
            **targets,
            "hung": {**targets["hung"], "tls": {}},  # without TLS whoever accepts is up
            "garbage": {**targets["garbage"], "tls": {}},
        }


@asynccontextmanager
async def _dns(_servers: Servers) -> AsyncIterator[Targets]:
    names = {f"{state}.test": ["192.0.2.1", "2001:db8::1"] for state in STATES}
    unheard = {"hung.test"}
    async with FakeDns(names, silent=unheard) as dns, _flipping(dns, unheard), _nonsense() as nonsense:
        yield {
            state: {
                "hostname": f"{state}.test",
                "server": "127.0.0.1",
                "port": nonsense if state == "garbage" else dns.address.port,
                "timeout": "4s",  # of which c-ares waits a quarter, on the wall
            }
            for state in STATES
        }


@asynccontextmanager
async def _exec(servers: Servers) -> AsyncIterator[Targets]:
    folder = servers.new_folder("exec")
    async with _come_and_go(folder / "flag"):
        yield {
            "up": {"command": ["true"]},
            "hung": {"command": ["sh", "-c", "sleep 60 & sleep 60"]},
            "flapping": {"command": ["test", "-e", str(folder / "flag")]},
            "garbage": {"command": ["sh", "-c", "head -c 20000 /dev/urandom; exit 7"]},
        }


@asynccontextmanager
async def _file(servers: Servers) -> AsyncIterator[Targets]:
    """Leave out what is hung: a file system that hangs is none that a plain user can have."""
    folder = servers.new_folder("file")
    (folder / "up").write_text(HOLDING)
    (folder / "garbage").write_bytes(os.urandom(100_000))
    async with _come_and_go(folder / "flapping"):
        states = [state for state in STATES if state != "hung"]
        yield {state: {"path": str(folder / state), "contains": HOLDING} for state in states}


def _redis_keys(address: Address) -> Keys:
    return {"url": f"redis://{address}/0", "write": True}


def _rabbit_keys(address: Address) -> Keys:
    return {"url": f"amqp://guest:guest@{address}/", "round_trip": True}


def _channel_keys(address: Address) -> Keys:
    """Return those of a check that keeps its channel."""
    return {"type": "rabbitmq", "url": f"amqp://guest:guest@{address}/"}


def _delivery_keys(address: Address) -> Keys:
    return {**_managed_keys(address), "exchanges": [{"name": "amq.topic"}]}


def _inflight_keys(address: Address) -> Keys:
    """Return those of a check of an app's connections: the other checks' round trips are in flight too."""
    return {**_managed_keys(address), "connection_name": "app"}


def _managed_keys(address: Address) -> Keys:
    return {"url": "amqp://guest:guest@amqp.test/", "management_url": f"http://{address}"}


def _postgres_keys(address: Address) -> Keys:
    return {"url": f"postgres://postgres:{PASSWORD}@{address}/postgres", "writable": True}


def _session_keys(address: Address) -> Keys:
    """Return those of a check that keeps its session."""
    return {"type": "postgres", **_postgres_keys(address), "keep": True}


def _http_keys(address: Address) -> Keys:
    return {"url": f"http://{address}/", "expect": {"body": "ok"}}


def _tcp_keys(address: Address) -> Keys:
    return {"host": address.host, "port": address.port}


def _s3_keys(address: Address) -> Keys:
    credentials = {"access_key_id": "AKIASOAK", "secret_access_key": "soak-secret-key"}
    where = {"bucket": "soak", "region": "eu-west-1", "endpoint_url": f"http://{address}"}
    return {**where, **credentials}


_TARGETS: Final[Mapping[str, Callable[[Servers], AbstractAsyncContextManager[Targets]]]] = {
    "redis": _redis,
    "rabbitmq": _rabbit,
    "rabbitmq-channel": _channel,
    "rabbitmq-delivery": _delivery,
    "rabbitmq-inflight": _inflight,
    "postgres": _postgres,
    "postgres-session": _session,
    "s3": partial(_web, stored(), _s3_keys),
    "http": partial(_web, response(200, "ok"), _http_keys),
    "tcp": _tcp,
    "dns": _dns,
    "exec": _exec,
    "file": _file,
}


@asynccontextmanager
async def _network(up: Address, keys: Callable[[Address], Keys]) -> AsyncIterator[Targets]:
    """Have a target in every state, around a server that is up."""
    async with silent() as hung, garbage() as nonsense, Proxy(up) as proxy, _flapping(proxy):
        addresses = dict(zip(STATES, (up, hung, proxy.address, nonsense), strict=True))
        yield {state: keys(address) for state, address in addresses.items()}


@asynccontextmanager
async def _meanwhile(work: Callable[[], object]) -> AsyncIterator[None]:
    """Do something again and again until the end of the block."""

    async def repeat() -> None:
        while True:
            work()
            await asyncio.sleep(FLAP)

    repeating = asyncio.create_task(repeat())
    try:
        yield
    finally:
        repeating.cancel()


def _flapping(proxy: Proxy) -> AbstractAsyncContextManager[None]:
    faults = cycle(FLAPS)

    def flap() -> None:
        fault = next(faults)
        if fault is None:
            proxy.mend()
        else:
            proxy.break_off(fault)

    return _meanwhile(flap)


def _flipping(dns: FakeDns, unheard: set[str]) -> AbstractAsyncContextManager[None]:
    """Let a name be answered for, and then not."""

    def flip() -> None:
        unheard.symmetric_difference_update({"flapping.test"})
        dns.queries.clear()

    return _meanwhile(flip)


def _come_and_go(path: Path) -> AbstractAsyncContextManager[None]:
    """Let a file be there, and then not."""

    def flip() -> None:
        if path.exists():
            path.unlink()
        else:
            path.write_text(HOLDING)

    return _meanwhile(flip)


@asynccontextmanager
async def _nonsense() -> AsyncIterator[int]:
    """Have a DNS server that speaks garbage, under the identity of each question; yield its port."""
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as bound:
        bound.setblocking(False)
        bound.bind(("127.0.0.1", 0))

        def answer() -> None:
            question, client = bound.recvfrom(4096)
            bound.sendto(question[:2] + REPLY, client)

        loop.add_reader(bound, answer)
        yield bound.getsockname()[1]
        loop.remove_reader(bound)
