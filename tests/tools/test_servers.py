"""The real servers start, suffer and end as tests and demo need it."""

import asyncio
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aio_pika
import pytest

from tests.network.tls import Certificates
from tools.servers import (
    Permissions,
    PostgresServer,
    RabbitServer,
    RedisServer,
    S3Server,
    ServerFailed,
    ServerMissing,
    find_command,
)

ODD = "a:b@c/d%e f"
"""A password that a URL cannot hold as it is."""

StartRedis = Callable[..., RedisServer]


def ask_redis(server: RedisServer, *, patience: float = 5.0) -> bytes:
    """Return what a Redis says to a PING within some seconds."""
    with socket.create_connection((server.host, server.port), timeout=patience) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(100)


def wait_until_gone(pid: int) -> None:
    """Return when a process has ended, within five seconds."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(descriptor):
        assert select.select([descriptor], [], [], 5)[0], f"process {pid} lives"


def processes_in(folder: Path) -> list[str]:
    """Return the command of each process that was started with this folder as its home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={folder}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_redis_answers_on_every_address(start_redis: StartRedis, certificates: Certificates) -> None:
    server = start_redis(password=ODD, tls=certificates.good)
    trusting = ssl.create_default_context(cafile=certificates.ca)

    assert server.command("ECHO", "hello") == "hello"
    assert unquote(urlsplit(server.url).password or "") == ODD
    assert urlsplit(server.tls_url).port == server.tls_port
    assert unquote(urlsplit(server.unix_url).path) == str(server.unix_socket)
    assert server.unix_socket.is_socket()
    with socket.create_connection((server.host, server.tls_port), timeout=5) as plain:
        trusting.wrap_socket(plain, server_hostname="localhost").close()


def test_redis_takes_users_and_tells_of_refusals(start_redis: StartRedis) -> None:
    server = start_redis(config=["user probe on >secret ~* -@all +ping"])

    assert server.command("ACL", "USERS") == ["default", "probe"]
    with pytest.raises(ServerFailed, match="ERR unknown command"):
        server.command("NONSENSE")


def test_stopped_server_refuses_and_comes_back_on_its_port_with_its_data(start_redis: StartRedis) -> None:
    server = start_redis()
    server.command("SET", "key", "value")
    port = server.port

    server.stop()
    with pytest.raises(ConnectionRefusedError):
        ask_redis(server)
    server.start()

    assert (server.port, server.command("GET", "key")) == (port, "value")


def test_killed_server_comes_back_on_its_port(start_redis: StartRedis) -> None:
    server = start_redis()
    with socket.create_connection((server.host, server.port)) as client:
        server.kill()
        with suppress(ConnectionResetError):  # the kernel's choice, by what it had not delivered yet
            assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            ask_redis(server)
        server.restart()

    assert ask_redis(server) == b"+PONG\r\n"


def test_paused_server_hangs_until_it_is_resumed(start_redis: StartRedis) -> None:
    server = start_redis()
    server.pause()
    with pytest.raises(TimeoutError):
        ask_redis(server, patience=0.1)
    server.resume()

    assert ask_redis(server) == b"+PONG\r\n"


def test_paused_server_can_be_stopped(start_redis: StartRedis) -> None:
    server = start_redis()
    pid = server.pid
    server.pause()
    server.stop()

    assert pid is not None
    assert not server.is_running
    wait_until_gone(pid)


def test_every_state_may_be_asked_for_twice(tmp_path: Path, start_redis: StartRedis) -> None:
    never_started = RedisServer(tmp_path)
    never_started.stop()
    never_started.resume()
    never_started.close()
    server = start_redis()
    pid = server.pid
    server.start()
    assert server.pid == pid
    server.kill()
    server.kill()
    server.stop()
    server.close()
    server.close()


def test_missing_server_is_named() -> None:
    with pytest.raises(
        ServerMissing, match=r"^no-such-server is not on this machine: run tools/install-servers"
    ):
        find_command("no-such-server")


def test_server_that_ends_at_once_is_quoted(start_redis: StartRedis) -> None:
    with pytest.raises(ServerFailed, match=r"redis-server ended before it answered.*nonsense"):
        start_redis(config=["nonsense yes"])


STARTED_BY_A_THREAD_THAT_ENDS = """
import sys, threading
from pathlib import Path
from tools.servers import RedisServer

server = RedisServer(Path(sys.argv[1]))
thread = threading.Thread(target=server.start)
thread.start()
thread.join()
print(server.pid, server.command("PING"), flush=True)
sys.stdin.read()
"""


@pytest.mark.usefixtures("redis_server")  # for its sentence where there is none
def test_server_outlives_the_thread_and_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTED_BY_A_THREAD_THAT_ENDS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid, pong = starter.stdout.readline().split()
        starter.send_signal(signal.SIGKILL)

    assert pong == "PONG"
    wait_until_gone(int(pid))


def test_s3_keeps_objects_until_it_is_emptied(s3_server: S3Server) -> None:
    s3_server.create_bucket("of-a-test")
    s3_server.create_bucket("of-a-test")
    assert s3_server.objects("of-a-test") == []
    s3_server.empty()
    with pytest.raises(ServerFailed, match="NoSuchBucket"):
        s3_server.objects("of-a-test")


def test_postgres_answers_on_every_address_as_nobody(
    start_postgres: Callable[..., PostgresServer], certificates: Certificates
) -> None:
    server = start_postgres(password=ODD, tls=certificates.good)
    trusting = ssl.create_default_context(cafile=certificates.ca)

    assert server.sql("SELECT 1, 'a'", "SELECT current_user") == ["1|a", "postgres"]
    assert unquote(urlsplit(server.url).password or "") == ODD
    assert server.unix_socket.is_socket()
    assert server.pid is not None
    assert Path(f"/proc/{server.pid}").stat().st_uid != 0
    with socket.create_connection((server.host, server.port), timeout=5) as plain:
        plain.sendall(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
        assert plain.recv(1) == b"S"
        trusting.wrap_socket(plain, server_hostname="localhost").close()
    with pytest.raises(ServerFailed, match='relation "nowhere" does not exist'):
        server.sql("TABLE nowhere")


def test_killed_postgres_leaves_no_process_and_comes_back_with_its_data(
    start_postgres: Callable[..., PostgresServer],
) -> None:
    server = start_postgres()
    server.sql("CREATE TABLE t AS SELECT 42")
    family = processes_below(server)
    port = server.port

    server.kill()
    assert len(family) > 3
    for pid in family:
        wait_until_gone(pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port))
    server.start()

    assert (server.port, server.sql("TABLE t")) == (port, ["42"])


def test_paused_postgres_hangs_with_all_its_backends(start_postgres: Callable[..., PostgresServer]) -> None:
    server = start_postgres()
    family = processes_below(server)
    server.pause()
    states = {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in family}
    server.resume()

    assert "T" in states <= {"T", "Z"}  # the client's own had come to its end
    assert server.sql("SELECT 1") == ["1"]


def processes_below(server: PostgresServer) -> list[int]:
    """Return a server's process and its children."""
    assert server.pid is not None
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return [server.pid, *map(int, children)]


def test_a_replica_follows_its_primary(start_postgres: Callable[..., PostgresServer]) -> None:
    primary = start_postgres()
    primary.sql("CREATE TABLE t AS SELECT 42")
    replica = start_postgres(primary=primary)

    assert replica.sql("SELECT pg_is_in_recovery()", "TABLE t") == ["t", "42"]


def test_rabbit_has_users_with_permissions_in_virtual_hosts(rabbit_server: RabbitServer) -> None:
    rabbit_server.add_vhost("servers/1")
    rabbit_server.add_user("servers-1", ODD, tags="monitoring", vhosts={"servers/1": Permissions(write="^$")})

    assert rabbit_server.api("GET", "/users/servers-1/permissions") == [
        {"user": "servers-1", "vhost": "servers/1", "configure": ".*", "write": "^$", "read": ".*"}
    ]
    assert rabbit_server.url_for("servers-1", ODD, vhost="servers/1") == (
        f"amqp://servers-1:a%3Ab%40c%2Fd%25e%20f@127.0.0.1:{rabbit_server.port}/servers%2F1"
    )
    with pytest.raises(ServerFailed, match="404"):
        rabbit_server.api("GET", "/queues/servers%2F1/none")


def test_rabbit_raises_and_clears_an_alarm(breakable_rabbit: RabbitServer) -> None:
    breakable_rabbit.raise_alarm()
    with pytest.raises(ServerFailed, match="503"):
        breakable_rabbit.api("GET", "/health/checks/alarms")
    breakable_rabbit.clear_alarm()

    assert breakable_rabbit.api("GET", "/health/checks/alarms") == {"status": "ok"}


async def test_rabbit_closes_the_connections_of_a_user(breakable_rabbit: RabbitServer) -> None:
    connection = await aio_pika.connect(breakable_rabbit.url, timeout=5)
    closed = asyncio.Event()
    connection.close_callbacks.add(lambda *_: closed.set())
    await asyncio.to_thread(breakable_rabbit.disconnect, breakable_rabbit.user)
    async with asyncio.timeout(5):
        await closed.wait()
    await connection.close()


def test_killed_rabbit_leaves_nothing_and_comes_back_with_its_data(breakable_rabbit: RabbitServer) -> None:
    breakable_rabbit.add_user("survivor", "secret", tags="management")
    pid = breakable_rabbit.pid
    assert pid is not None

    breakable_rabbit.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((breakable_rabbit.host, breakable_rabbit.port))
    assert processes_in(breakable_rabbit.folder) == []
    breakable_rabbit.start()

    assert breakable_rabbit.api("GET", "/users/survivor")["tags"] == ["management"]


def test_rabbit_speaks_tls(start_rabbit: Callable[..., RabbitServer], certificates: Certificates) -> None:
    server = start_rabbit(tls=certificates.good)
    trusting = ssl.create_default_context(cafile=certificates.ca)
    plain = socket.create_connection((server.host, server.tls_port), timeout=5)
    with trusting.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")

        assert connection.recv(1) == b"\x01"
