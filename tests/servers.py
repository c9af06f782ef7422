"""Fixtures: real servers. One that cannot be had fails its tests with a sentence; none is skipped.

`redis_server`, `rabbit_server`, `postgres_server` and `s3_server` are shared by the whole session: use names
of your own in them, and leave them as they were. What a test kills, pauses or configures it gets from
`start_redis`, `start_rabbit`, `start_postgres` or, for a broker that the tests of one module share and may
kill, from `breakable_rabbit`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Final, TypeVar

import pytest

from tests.network.tls import Certificates, make_certificates
from tools.servers import (
    PostgresServer,
    RabbitServer,
    RedisServer,
    S3Server,
    Server,
    ServerMissing,
    find_command,
)

REAL_SERVERS: Final = frozenset(
    {
        "redis_server",
        "rabbit_server",
        "postgres_server",
        "s3_server",
        "start_postgres",
        "start_redis",
        "start_rabbit",
        "breakable_rabbit",
        "promtool",
    }
)
"""Fixtures whose tests `make test-fast` leaves out."""

_Server = TypeVar("_Server", bound=Server)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a real server, by the fixtures that they ask for."""
    for item in items:
        if REAL_SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Yield the session's Redis, without a password."""
    yield from running(RedisServer(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """Yield the session's RabbitMQ."""
    yield from running(RabbitServer(tmp_path_factory.mktemp("rabbit")))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Yield the session's PostgreSQL, which asks for passwords; its superuser's is `secret`."""
    yield from running(PostgresServer(tmp_path_factory.mktemp("postgres"), password="secret"))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Yield the session's stand-in for S3; any credentials are good."""
    yield from running(S3Server(tmp_path_factory.mktemp("s3")))


@pytest.fixture
def start_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RedisServer]]:
    """Yield a function that starts a Redis of the test's own; it takes `RedisServer`'s options."""
    with ExitStack() as stack:
        yield lambda **options: _enter(stack, RedisServer(tmp_path_factory.mktemp("redis"), **options))


@pytest.fixture
def start_rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., RabbitServer]]:
    """Yield a function that starts a RabbitMQ (4s) of the test's own; it takes `RabbitServer`'s options."""
    with ExitStack() as stack:
        yield lambda **options: _enter(stack, RabbitServer(tmp_path_factory.mktemp("rabbit"), **options))


@pytest.fixture
def start_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., PostgresServer]]:
    """Yield a function that starts a PostgreSQL (1s) of the test's own; it takes its options."""
    with ExitStack() as stack:
        yield lambda **options: _enter(stack, PostgresServer(tmp_path_factory.mktemp("postgres"), **options))


@pytest.fixture
def breakable_rabbit(_rabbit_of_the_module: RabbitServer) -> Iterator[RabbitServer]:
    """Yield a RabbitMQ that the test may kill, pause and restart; it is whole again for the module's next."""
    _whole(_rabbit_of_the_module)
    yield _rabbit_of_the_module
    _rabbit_of_the_module.resume()


@pytest.fixture(scope="module")
def rabbit_config() -> Sequence[str]:
    """Return further lines of rabbitmq.conf for `breakable_rabbit`; for a module to say otherwise."""
    return ()


@pytest.fixture(scope="module")
def _rabbit_of_the_module(
    tmp_path_factory: pytest.TempPathFactory, rabbit_config: Sequence[str]
) -> Iterator[RabbitServer]:
    yield from running(RabbitServer(tmp_path_factory.mktemp("rabbit"), config=rabbit_config))


@pytest.fixture(scope="session")
def promtool() -> str:
    """Return where promtool is."""
    try:
        return find_command("promtool")
    except ServerMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates, good and bad."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def running(server: _Server) -> Iterator[_Server]:
    """Yield a server that runs; what it holds is thrown away at the end."""
    with ExitStack() as stack:
        yield _enter(stack, server)


def _enter(stack: ExitStack, server: _Server) -> _Server:
    stack.callback(server.close)
    stack.callback(server.kill)  # before it is closed: nobody needs its data any more
    return _whole(server)


def _whole(server: _Server) -> _Server:
    """Return it running; what cannot be had is the test's failure, in one sentence."""
    try:
        return server.start()
    except ServerMissing as missing:
        pytest.fail(str(missing), pytrace=False)
