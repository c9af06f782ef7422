"""The check type `postgres`, against real servers and against what real servers do in trouble."""

import asyncio
import os
import random
import re
import signal
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final
from urllib.parse import quote

import pytest

from sidecar.checks import InstalledTypes
from sidecar.config.load import load
from sidecar.config.problems import ConfigError
from sidecar.config.source import Source
from sidecar.core.check import Reason
from sidecar.core.explain import Explains
from sidecar.core.finding import Standing
from sidecar.core.result import Result
from tests.checks.contract import (
    REASONS,
    SECRET,
    SUCCESS,
    CheckContract,
    Keys,
    assert_held,
    assert_no_secret,
    checked,
    ending,
    held,
    mounted,
    names_from,
    run_once,
    turn_the_loop,
)
from tests.checks.mutation import mutated
from tests.checks.postgres_clients import backends, locked, wait_for_backends
from tests.network import Address, Connection, FakeDns, talking
from tests.network.tls import Certificates
from tools.servers import PostgresServer, ServerFailed, TlsFiles

StartPostgres = Callable[..., PostgresServer]

HELD, VIOLATED, UNVERIFIABLE = Standing.HELD, Standing.VIOLATED, Standing.UNVERIFIABLE
ODD: Final = "a:b@c/d%e f?#[é'\"\\"


class TestContract(CheckContract):
    reasons: ClassVar[Mapping[str, Reason | None]] = MappingProxyType(
        {**REASONS, "dripping": Reason.PROTOCOL}
    )  # its first byte is no yes or no

    def keys(self, address: Address) -> Keys:
        url = f"postgres://contract:{quote(SECRET, safe='')}@{address}/postgres"
        return {"type": "postgres", "url": url, "writable": True}

    @pytest.fixture
    def up(self, postgres_server: PostgresServer) -> Address:
        make_role(postgres_server, "contract", f"LOGIN PASSWORD '{SECRET}'")
        return Address(postgres_server.host, postgres_server.port)


class TestContractWithoutTls(TestContract):
    reasons = REASONS

    def keys(self, address: Address) -> Keys:
        url = f"postgres://contract:{quote(SECRET, safe='')}@{address}/postgres?sslmode=disable"
        return {"type": "postgres", "url": url}


class TestContractOfAKeptConnection(TestContract):
    reasons_amid = MappingProxyType(
        {
            "refused": Reason.UNAVAILABLE,  # the kept connection is reset first
            "dripping": Reason.TIMEOUT,  # its first byte begins a message
        }
    )

    def keys(self, address: Address) -> Keys:
        return {**super().keys(address), "keep": True}


def make_role(server: PostgresServer, name: str, options: str) -> None:
    """Make a role, or make it anew what these options say."""
    server.sql(
        f'DO $$ BEGIN CREATE ROLE "{name}"; EXCEPTION WHEN duplicate_object THEN NULL; END $$',
        f'ALTER ROLE "{name}" {options}',
    )


def keys(server: PostgresServer, **more: object) -> Keys:
    return {"type": "postgres", "url": server.url, **more}


@pytest.fixture
def schema(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield a schema of the test's own."""
    name = f"s{abs(hash(request.node.nodeid)) % 10**12}"
    postgres_server.sql(f"CREATE SCHEMA {name}")
    yield name
    postgres_server.sql("SET client_min_messages = error", f"DROP SCHEMA {name} CASCADE")


async def test_each_run_opens_a_connection_and_leaves_no_backend(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    async with mounted(keys(server, writable=True)) as runner:
        results = [await runner.run() for _ in range(5)]
        await wait_for_backends(server, 0)

    assert [ending(result) for result in results] == [SUCCESS] * 5
    assert [result.connections_opened for result in results] == [1] * 5


async def test_a_kept_connection_serves_a_hundred_runs(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    async with mounted(keys(server, keep=True, writable=True)) as runner:
        results = [await runner.run() for _ in range(100)]

        assert [ending(result) for result in results] == [SUCCESS] * 100
        assert [result.connections_opened for result in results] == [1] + [0] * 99
        assert backends(server) == 1

    await wait_for_backends(server, 0)


async def test_leaves_no_complaint_in_the_servers_log(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    for keep in (False, True):
        await run_once(keys(server, keep=keep, writable=True))
    await wait_for_backends(server, 0)

    assert "unexpected EOF" not in server.log.read_text()
    assert "WARNING" not in server.log.read_text()


@pytest.mark.parametrize("keep", [False, True])
async def test_follows_a_server_that_is_killed_and_comes_back(
    start_postgres: StartPostgres, *, keep: bool
) -> None:
    server = start_postgres()
    async with mounted(keys(server, keep=keep)) as runner:
        results = [await runner.run()]
        server.kill()
        assert await runner.lost_within(1 if keep else 0.05) is keep
        results += [await runner.run(), await runner.run()]
        server.start()
        results += [await runner.run()]

    assert [result.reason for result in results] == [None, Reason.REFUSED, Reason.REFUSED, None]
    assert results[1].message == f"127.0.0.1:{server.port} refused the connection"


async def test_a_stopped_server_is_a_loss_of_the_kept_connection(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    async with mounted(keys(server, keep=True)) as runner:
        await runner.run()
        await asyncio.to_thread(server.stop)

        assert await runner.lost_within(1)
        assert (await runner.run()).reason is Reason.REFUSED


async def test_a_connection_that_a_person_ends_is_opened_again(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    async with mounted(keys(server, keep=True)) as runner:
        await runner.run()
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sidecar'"
        )
        assert await runner.lost_within(1)
        result = await runner.run()

    assert (ending(result), result.connections_opened) == (SUCCESS, 1)


@pytest.mark.parametrize("keep", [False, True])
async def test_follows_a_server_that_hangs_and_goes_on(start_postgres: StartPostgres, *, keep: bool) -> None:
    server = start_postgres()
    async with mounted(keys(server, keep=keep)) as runner:
        before = await runner.run()
        server.pause()
        runner.timeout = 0.1
        hung = [await runner.run() for _ in range(3)]
        server.resume()
        runner.timeout = 5
        after = await runner.run()

        assert (ending(before), ending(after)) == (SUCCESS, SUCCESS)
        assert {result.reason for result in hung} == {Reason.TIMEOUT}
        await wait_for_backends(server, int(keep))


async def test_a_server_that_is_killed_amid_a_question_is_unavailable(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    server.sql("CREATE TABLE m (version int)")
    wanted = keys(server, migrations={"table": "m", "column": "version", "at_least": "1"})
    async with mounted(wanted) as runner, locked(server, "m"):
        run = asyncio.create_task(runner.run())
        await wait_for_backends(server, 1)
        server.kill()
        result = await run

    may_be_told = "answered terminating connection due to unexpected postmaster exit"
    assert result.reason is Reason.UNAVAILABLE
    assert result.message in {
        f"127.0.0.1:{server.port} {end}" for end in ("closed the connection", may_be_told)
    }


async def test_a_server_that_ends_amid_a_question_says_so(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    server.sql("CREATE TABLE m (version int)")
    wanted = keys(server, migrations={"table": "m", "column": "version", "at_least": "1"})
    async with mounted(wanted) as runner, locked(server, "m"):
        run = asyncio.create_task(runner.run())
        await wait_for_waiting(server)
        await asyncio.to_thread(server.stop)
        result = await run

    assert result.reason is Reason.UNAVAILABLE
    assert "terminating connection due to administrator command" in result.message


async def wait_for_waiting(server: PostgresServer) -> None:
    """Return when one of our backends waits for a lock."""
    waiting = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'sidecar' AND wait_event_type = 'Lock'"
    async with asyncio.timeout(5):
        while not await asyncio.to_thread(server.sql, waiting):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def test_a_run_that_waits_for_a_lock_leaves_no_backend_behind(
    postgres_server: PostgresServer, schema: str
) -> None:
    postgres_server.sql(f"CREATE TABLE {schema}.m (version int)")
    wanted = keys(postgres_server, migrations={"table": f"{schema}.m", "column": "version", "at_least": "1"})
    async with locked(postgres_server, f"{schema}.m"):
        await wait_for_backends(postgres_server, 0)
        before = held()
        result = await run_once(wanted, deadline="300ms")

        assert result.reason is Reason.TIMEOUT
        await wait_for_backends(postgres_server, 0)
        await assert_held(before)


# Logging in


async def test_tells_what_is_wrong_with_a_login(start_postgres: StartPostgres) -> None:
    server = start_postgres(
        password="right",
        hba=[
            "host all barred 127.0.0.1/32 reject",
            "host all clear 127.0.0.1/32 password",
            "host all kerberized 127.0.0.1/32 gss",
        ],
    )
    make_role(server, "inert", "NOLOGIN PASSWORD 'right'")
    make_role(server, "clear", "LOGIN PASSWORD 'right'")
    urls = {
        server.url_for("postgres", "wrong"): 'password authentication failed for user "postgres"',
        server.url_for("postgres"): 'password authentication failed for user "postgres"',
        server.url_for("nobody", "right"): 'password authentication failed for user "nobody"',
        server.url_for("inert", "right"): 'role "inert" is not permitted to log in',
        server.url_for("barred", "right"): "pg_hba.conf rejects connection",
        server.url_for("clear", "wrong"): 'password authentication failed for user "clear"',
        server.url_for("clear"): "empty password returned by client",
        server.url_for("kerberized", "right"): "wants another login than by password or certificate",
    }
    results = [await run_once({"type": "postgres", "url": url}) for url in urls]

    assert [result.reason for result in results] == [Reason.AUTH] * len(urls)
    for result, told in zip(results, urls.values(), strict=True):
        assert told in result.message
        assert result.message.startswith(f"127.0.0.1:{server.port} ")


async def test_a_host_without_an_entry_in_pg_hba_is_refused(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    (server.data / "pg_hba.conf").write_text("local all all trust\n")
    server.reload()
    async with asyncio.timeout(5):
        while (result := await run_once(keys(server))).is_success:
            pass

    assert result.reason is Reason.AUTH
    assert "no pg_hba.conf entry for host" in result.message


async def test_one_wrong_login_is_tried_once(start_postgres: StartPostgres) -> None:
    server = start_postgres(password="right")
    await run_once({"type": "postgres", "url": server.url_for("postgres", "wrong")})

    assert server.log.read_text().count("password authentication failed") == 1


async def test_databases_that_cannot_be_used(postgres_server: PostgresServer) -> None:
    make_role(postgres_server, "outsider", "LOGIN PASSWORD 'pw'")
    postgres_server.sql("DROP DATABASE IF EXISTS closed", "CREATE DATABASE closed")
    postgres_server.sql("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    results = [
        await run_once({"type": "postgres", "url": postgres_server.url_for("outsider", "pw", database=name)})
        for name in ("missing", "closed", "template0")
    ]

    assert [result.reason for result in results] == [
        Reason.NOT_FOUND, Reason.FORBIDDEN, Reason.UNAVAILABLE
    ]  # fmt: skip
    assert (
        results[0].message == f'127.0.0.1:{postgres_server.port} answered database "missing" does not exist'
    )


async def test_without_room_for_another_connection_it_is_unavailable(start_postgres: StartPostgres) -> None:
    server = start_postgres(
        config=["max_connections = 3", "superuser_reserved_connections = 1", "max_wal_senders = 0"]
    )
    make_role(server, "app", "LOGIN")
    wanted = {"type": "postgres", "url": server.url_for("app")}
    async with mounted({**wanted, "keep": True}) as one, mounted({**wanted, "keep": True}) as two:
        await one.run()
        await two.run()
        full = await run_once(wanted)
    make_role(server, "app", "CONNECTION LIMIT 0")
    limited = await run_once(wanted)

    assert {full.reason, limited.reason} == {Reason.UNAVAILABLE}
    assert "connection slots are reserved" in full.message
    assert 'too many connections for role "app"' in limited.message


async def test_a_server_that_shuts_down_is_unavailable(start_postgres: StartPostgres) -> None:
    server = start_postgres()
    async with mounted(keys(server, keep=True)) as client:
        await client.run()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGTERM)  # waits for the client
        async with asyncio.timeout(5):
            while (result := await run_once(keys(server))).is_success:
                pass

    assert (result.reason, result.message) == (
        Reason.UNAVAILABLE,
        f"127.0.0.1:{server.port} answered the database system is shutting down",
    )


async def test_takes_any_character_in_credentials_and_names(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = "a:b@c/d%e"
    escaped = ODD.replace("'", "''")
    make_role(postgres_server, user, f"LOGIN PASSWORD '{escaped}'")
    postgres_server.sql('DROP DATABASE IF EXISTS "a/b c%"', 'CREATE DATABASE "a/b c%"')
    monkeypatch.setenv("ODD_PASSWORD", ODD)
    where = f"{postgres_server.host}:{postgres_server.port}/a%2Fb%20c%25"
    results = [
        await run_once({"type": "postgres", "url": postgres_server.url_for(user, ODD, database="a/b c%")}),
        await run_once(
            {"type": "postgres", "url": f"postgresql://{quote(user, safe='')}:${{ODD_PASSWORD}}@{where}"}
        ),
        await run_once({"type": "postgres", "url": f"postgres://{where}", "username": user, "password": ODD}),
    ]

    assert [ending(result) for result in results] == [SUCCESS] * 3


async def test_reads_nothing_from_environment_and_home(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the password stands that the configuration has not, and everything else is wrong."""
    (tmp_path / ".pgpass").write_text("*:*:*:*:secret\n")
    (tmp_path / ".pgpass").chmod(0o600)
    for name, value in {
        "HOME": str(tmp_path), "PGPASSWORD": "secret", "PGSSLMODE": "verify-full", "PGHOST": "192.0.2.1",
        "PGPORT": "1", "PGUSER": "x", "PGDATABASE": "x", "PGTARGETSESSIONATTRS": "standby", "PGSERVICE": "x",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    without = await run_once({"type": "postgres", "url": postgres_server.url_for("postgres")})
    complete = await run_once(keys(postgres_server))

    assert (without.reason, ending(complete)) == (Reason.AUTH, SUCCESS)


async def test_talks_through_a_unix_socket(start_postgres: StartPostgres) -> None:
    server = start_postgres(password="unasked")
    url = f"unix://postgres@{quote(str(server.unix_socket))}?db=postgres"

    right = await run_once({"type": "postgres", "url": url, "writable": True})
    wrong = await run_once({"type": "postgres", "url": url.replace("db=postgres", "db=missing")})
    server.stop()
    absent = await run_once({"type": "postgres", "url": url})

    assert (ending(right), wrong.reason, absent.reason) == (SUCCESS, Reason.NOT_FOUND, Reason.REFUSED)
    assert absent.message == f"{server.unix_socket} refused the connection"


# TLS


async def test_trusts_and_names_as_the_tls_block_says(
    start_postgres: StartPostgres, certificates: Certificates
) -> None:
    only_tls = ["hostnossl all all 127.0.0.1/32 reject"]
    server = start_postgres(tls=certificates.good, hba=only_tls)
    misnamed = start_postgres(tls=certificates.wrong_name, hba=only_tls)
    ca = str(certificates.ca)

    async def run(of: PostgresServer, tls: dict[str, object] | None, mode: str = "") -> Result:
        more = {} if tls is None else {"tls": tls}
        return await run_once({"type": "postgres", "url": f"{of.url}{mode and '?sslmode=' + mode}", **more})

    good = [
        await run(server, {"ca": ca}),
        await run(misnamed, {"ca": ca, "server_name": "elsewhere.test"}),
        await run(misnamed, {"insecure": True}),
        await run(misnamed, {"ca": ca, "server_name": "elsewhere.test"}, "require"),
        await run(misnamed, None),
        await run(misnamed, None, "allow"),
        await run(misnamed, None, "prefer"),
        await run(misnamed, None, "require"),
    ]
    bad = [
        await run(misnamed, {"ca": ca}),
        await run(misnamed, {"ca": ca}, "prefer"),
        await run(server, {}),
        await run(server, {"ca": "/nowhere.pem"}),
        await run(server, None, "verify-full"),
    ]

    assert [ending(result) for result in good] == [SUCCESS] * len(good)
    assert [result.reason for result in bad] == [Reason.TLS] * len(bad)
    assert (await run(server, None, "disable")).reason is Reason.AUTH


async def test_a_server_without_tls_is_used_only_where_it_is_not_needed(
    postgres_server: PostgresServer,
) -> None:
    modes = ("disable", "allow", "prefer", "require", "verify-full")
    results = [
        await run_once({"type": "postgres", "url": f"{postgres_server.url}?sslmode={mode}"}) for mode in modes
    ]

    assert [result.reason for result in results] == [None, None, None, Reason.TLS, Reason.TLS]
    assert results[3].message == f"127.0.0.1:{postgres_server.port} does not speak TLS"


async def test_shows_the_certificate_that_a_server_wants(
    start_postgres: StartPostgres, certificates: Certificates
) -> None:
    good, client = certificates.good, certificates.client
    server = start_postgres(
        tls=TlsFiles(good.cert, good.key, good.ca),
        hba=["hostssl all all 127.0.0.1/32 trust clientcert=verify-ca"],
    )
    ours = {"ca": str(certificates.ca), "cert": str(client.cert), "key": str(client.key)}

    shown = await run_once(keys(server, tls=ours))
    not_shown = await run_once(keys(server, tls={"ca": str(certificates.ca)}))

    assert ending(shown) == SUCCESS
    assert not_shown.reason is Reason.AUTH
    assert "valid client certificate" in not_shown.message


async def test_a_kept_tls_connection_is_lost_with_its_server(
    start_postgres: StartPostgres, certificates: Certificates
) -> None:
    server = start_postgres(tls=certificates.good)
    before = held()
    async with mounted(keys(server, keep=True, tls={"ca": str(certificates.ca)})) as runner:
        results = [await runner.run(), await runner.run()]
        server.kill()

        assert await runner.lost_within(1)
        assert [ending(result) for result in results] == [SUCCESS] * 2
        assert [result.connections_opened for result in results] == [1, 0]
    await assert_held(before)


async def answering(connection: Connection, *answers: bytes) -> None:
    """Give one answer to each thing that is said, and then none."""
    for answer in answers:
        await connection.read()
        await connection.send(answer)
    await connection.until_closed()


def message(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!i", len(content) + 4) + content


AUTH_OK: Final = message(b"R", struct.pack("!i", 0))
READY: Final = message(b"Z", b"I")


@pytest.mark.parametrize(
    ("answers", "reason", "told"),
    [
        ((b"E\x00\x00\x00\x09boom",), Reason.UNAVAILABLE, "refused to begin"),
        ((b"?",), Reason.PROTOCOL, "does not speak PostgreSQL's protocol"),
        ((b"NN",), Reason.PROTOCOL, "does not speak PostgreSQL's protocol"),
        ((b"SE\x00\x00",), Reason.PROTOCOL, "does not speak PostgreSQL's protocol"),
        (
            (b"N", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            Reason.PROTOCOL,
            "does not speak PostgreSQL's protocol",
        ),
        ((b"N", b"?"), Reason.PROTOCOL, "does not speak PostgreSQL's protocol"),
        ((b"N", b"R\x7f\xff\xff\xff"), Reason.PROTOCOL, "does not speak PostgreSQL's protocol"),
        ((b"N", b"R\x00\x00\x00\x03"), Reason.PROTOCOL, "does not speak PostgreSQL's protocol"),
        ((b"N", b"R\xff\xff\xff\xff"), Reason.PROTOCOL, "does not speak PostgreSQL's protocol"),
        ((b"N", message(b"N", b"\0") * 400_000), Reason.PROTOCOL, "does not speak PostgreSQL's protocol"),
        (
            (b"N", message(b"R", struct.pack("!i", 99))),
            Reason.AUTH,
            "wants another login than by password or certificate",
        ),
        ((b"N", AUTH_OK + READY), Reason.PROTOCOL, "does not speak PostgreSQL's protocol"),
        ((b"N", AUTH_OK), Reason.TIMEOUT, "gave no answer within 500ms"),
    ],
)
async def test_names_a_wrong_answer(answers: tuple[bytes, ...], reason: Reason, told: str) -> None:
    before = held()
    async with talking(lambda connection: answering(connection, *answers)) as address:
        url = f"postgres://contract:{quote(SECRET, safe='')}@{address}/postgres"
        deadline = "500ms" if reason is Reason.TIMEOUT else "5s"
        result = await run_once({"type": "postgres", "url": url}, deadline=deadline)
        assert result.reason is reason, result.message
        assert result.message.replace(":", "") == f"{address} {told}".replace(":", "")
        assert_no_secret(repr(result))
    await assert_held(before)


async def test_hangs_up_at_once_on_a_server_whose_handshake_hangs(certificates: Certificates) -> None:
    before = held()
    async with talking(lambda connection: answering(connection, b"S")) as address:
        wanted = {"type": "postgres", "url": f"postgres://u@{address}", "tls": {"ca": str(certificates.ca)}}
        result = await run_once(wanted, deadline="200ms")

        assert result.reason is Reason.TIMEOUT
        async with asyncio.timeout(0.2):
            await address.emptied()
    await assert_held(before)


STATUS: Final = b"".join(
    message(b"S", f"{name}\0{value}\0".encode())
    for name, value in {"server_version": "15.18 (Debian)", "client_encoding": "UTF8"}.items()
)
IN_TRANSACTION: Final = message(b"Z", b"T")
CONVERSATION: Final = (
    AUTH_OK + STATUS + message(b"K", bytes(8)) + READY,
    message(b"C", b"BEGIN\0") + message(b"C", b"SET\0") + message(b"C", b"SET\0") + IN_TRANSACTION,
    message(b"1", b"")
    + message(b"t", b"\0\0")
    + message(b"T", b"\0\1?column?\0" + struct.pack("!ihihih", 0, 0, 23, 4, -1, 0)),
    message(b"1", b"")
    + message(b"2", b"")
    + message(b"D", struct.pack("!hii", 1, 4, 1))
    + message(b"C", b"SELECT 1\0")
    + IN_TRANSACTION,
    message(b"C", b"ROLLBACK\0") + READY,
)
"""What a server answers in one run without rules."""


async def test_asks_exactly_what_is_documented() -> None:
    said = []

    async def note(connection: Connection) -> None:
        for answer in CONVERSATION:
            said.append(await connection.read())
            await connection.send(answer)
        said.append(await connection.read())

    async with talking(note) as address:
        url = f"postgres://app:pw@{address}/orders?sslmode=disable"
        result = await run_once({"type": "postgres", "url": url}, deadline="5s")
        await address.emptied()

    startup = b"client_encoding\0'utf-8'\0user\0app\0database\0orders\0application_name\0sidecar\0\0"
    select = b"P\0\0\0\x10\0SELECT 1\0\0\0"
    limits = (
        b"BEGIN; SET LOCAL statement_timeout = 5000; SET LOCAL idle_in_transaction_session_timeout = 5000\0"
    )
    assert ending(result) == SUCCESS
    assert said == [
        struct.pack("!ihh", len(startup) + 8, 3, 0) + startup,
        message(b"Q", limits),
        select + message(b"D", b"S\0") + message(b"H", b""),
        select
        + message(b"B", b"\0\0" + struct.pack("!hhhhh", 1, 1, 0, 1, 1))
        + message(b"E", b"\0" + bytes(4))
        + message(b"S", b""),
        message(b"Q", b"ROLLBACK\0"),
        message(b"X", b""),
    ]


@pytest.mark.parametrize("size", [1, 3, 7])
async def test_understands_an_answer_that_comes_in_pieces(size: int) -> None:
    async def drip(connection: Connection) -> None:
        for answer in CONVERSATION:
            await connection.read()
            for at in range(0, len(answer), size):
                await connection.send(answer[at : at + size])
                await turn_the_loop(2)
        await connection.until_closed()

    async with talking(drip) as address:
        result = await run_once({"type": "postgres", "url": f"postgres://app@{address}?sslmode=disable"})

    assert ending(result) == SUCCESS


async def answering_with(answers: tuple[bytes, ...], connection: Connection) -> None:
    await answering(connection, *answers)


async def test_any_answer_is_named_without_a_crash() -> None:
    """What a server of another version, or a broken one, might say."""
    dice = random.Random(20)  # noqa: S311 - reproducible, not secret
    before = held()
    found = set()
    for _ in range(150):
        at = dice.randrange(len(CONVERSATION))
        odd = (*CONVERSATION[:at], mutated(CONVERSATION[at], dice), *CONVERSATION[at + 1 :])
        async with talking(partial(answering_with, odd)) as address:
            url = f"postgres://app:pw@{address}/orders?sslmode=disable"
            result = await run_once({"type": "postgres", "url": url}, deadline="60ms")
            assert result.reason is not Reason.UNEXPECTED, (odd, result)
            found.add(result.reason)

    assert found >= {None, Reason.PROTOCOL, Reason.TIMEOUT}
    await assert_held(before)


async def test_a_wrong_answer_to_select_1() -> None:
    two = tuple(answer.replace(struct.pack("!ii", 4, 1), struct.pack("!ii", 4, 2)) for answer in CONVERSATION)
    async with talking(lambda connection: answering(connection, *two)) as address:
        result = await run_once({"type": "postgres", "url": f"postgres://app@{address}?sslmode=disable"})

    assert (result.reason, result.message) == (Reason.PROTOCOL, f"{address}: a wrong answer to SELECT 1")


async def test_a_name_that_does_not_exist() -> None:
    async with FakeDns() as dns:
        names_from(dns)
        result = await run_once({"type": "postgres", "url": "postgres://u@absent.test"})

    assert (result.reason, result.message) == (Reason.DNS, "absent.test:5432: the name does not exist")


# Rules


async def violated(server: PostgresServer, schema: str, **rules: object) -> tuple[Reason | None, str]:
    """Return the reason and the message of one run, without the address and the schema's name."""
    result = await run_once(keys(server, **rules))
    told = result.message.removeprefix(f"{server.host}:{server.port}: ")
    return result.reason, told.replace(f"{schema}.", "") if schema else told


async def test_every_violated_rule_is_told_in_one_run(postgres_server: PostgresServer, schema: str) -> None:
    postgres_server.sql(
        f"CREATE TABLE {schema}.t (a int NOT NULL)", f"CREATE TABLE {schema}.m AS SELECT 1 AS v"
    )
    make_role(postgres_server, "bound", "LOGIN PASSWORD 'pw'")
    postgres_server.sql("ALTER ROLE bound SET default_transaction_read_only = on")
    postgres_server.sql(f"GRANT USAGE ON SCHEMA {schema} TO bound")
    wanted: Keys = {
        "type": "postgres",
        "url": postgres_server.url_for("bound", "pw"),
        "writable": True,
        "migrations": {"table": f"{schema}.m", "column": "v", "at_least": "2"},
        "unique": [
            {"table": f"{schema}.t", "columns": ["a"]},
            {"table": "nowhere.t", "columns": ["a"]},
        ],
    }
    result = await run_once(wanted)
    postgres_server.sql("DROP OWNED BY bound", "DROP ROLE bound")

    assert result.reason is Reason.UNAVAILABLE
    assert result.message == (
        f"127.0.0.1:{postgres_server.port}: not writable: it is read-only;"
        f" {schema}.m: permission denied for table m;"
        f" {schema}.t has no unique index on (a); there is no table nowhere.t"
    )


async def found(keys: Keys, schema: str = "") -> list[tuple[str, Standing, Reason | None, str]]:
    """Return what a check finds, without the schema's name; of what is held without a reason."""
    async with checked(keys) as check:
        assert isinstance(check, Explains)
        return [
            (
                each.rule,
                each.standing,
                None if each.standing is HELD else each.reason,
                each.sentence.replace(f"{schema}.", "") if schema else each.sentence,
            )
            for each in await check.findings()
        ]


async def test_each_rule_is_held_violated_or_unverifiable_in_a_sentence(
    postgres_server: PostgresServer, schema: str
) -> None:
    postgres_server.sql(
        f"CREATE TABLE {schema}.t (a int NOT NULL, b int)",
        f"CREATE UNIQUE INDEX ON {schema}.t (a) WHERE b = 1",
        f"CREATE TABLE {schema}.m AS SELECT 2 AS v, 'later' AS w",
    )
    make_role(postgres_server, "explained", "LOGIN PASSWORD 'pw'")
    unique = {"table": f"{schema}.t", "columns": ["a"]}
    migrated = {"table": f"{schema}.m", "column": "v"}

    held = await found(
        keys(
            postgres_server,
            writable=True,
            migrations={**migrated, "at_least": "1"},
            unique=[{**unique, "where": "b = 1"}],
        ),
        schema,
    )
    broken = await found(
        keys(
            postgres_server,
            max_lag="1s",
            migrations={**migrated, "column": "w", "at_least": "3"},
            unique=[unique, {**unique, "columns": ["c"]}, {**unique, "table": "nowhere"}],
        ),
        schema,
    )
    unseen = await found(
        {
            **keys(postgres_server, migrations={**migrated, "at_least": "1"}, unique=[unique]),
            "url": postgres_server.url_for("explained", "pw"),
        },
        schema,
    )
    postgres_server.sql("DROP ROLE explained")

    answer = ("answer", HELD, None, "the server answers SELECT 1")
    assert held == [
        answer,
        ("writable", HELD, None, "the server is writable"),
        ("migrations", HELD, None, "m is at 2, and 1 is wanted"),
        ("unique", HELD, None, "t has a unique index on (a) where b = 1"),
    ]
    assert broken == [
        answer,
        ("max_lag", HELD, None, "the server is no replica"),
        (
            "migrations",
            VIOLATED,
            Reason.CONTRACT,
            'm: invalid input syntax for type numeric: "later"',
        ),
        (
            "unique",
            VIOLATED,
            Reason.CONTRACT,
            "t has no unique index on (a): t_a_idx holds only where (b = 1)",
        ),
        ("unique", VIOLATED, Reason.CONTRACT, "t has no column c"),
        ("unique", VIOLATED, Reason.NOT_FOUND, "there is no table nowhere"),
    ]
    denied = f"permission denied for schema {schema}"
    assert unseen == [
        answer,
        ("migrations", UNVERIFIABLE, Reason.FORBIDDEN, f"m: {denied}"),
        ("unique", UNVERIFIABLE, Reason.FORBIDDEN, f"t: {denied}"),
    ]


async def test_ten_violated_rules_are_told_to_the_last(postgres_server: PostgresServer) -> None:
    tables = [f"nowhere.table_{number}_of_ten" for number in range(10)]
    wanted = keys(postgres_server, unique=[{"table": table, "columns": ["a"]} for table in tables])

    result = await run_once(wanted)

    assert [table for table in tables if f"there is no table {table}" not in result.message] == []


async def test_a_kept_connection_survives_a_violated_rule(postgres_server: PostgresServer) -> None:
    wanted = keys(postgres_server, keep=True, unique=[{"table": "nowhere", "columns": ["a"]}])
    async with mounted(wanted) as runner:
        results = [await runner.run(), await runner.run()]

    assert [(result.reason, result.connections_opened) for result in results] == [
        (Reason.NOT_FOUND, 1),
        (Reason.NOT_FOUND, 0),
    ]


async def test_a_replica_is_not_writable_and_may_lag(start_postgres: StartPostgres) -> None:
    primary = start_postgres()
    primary.sql("CREATE TABLE t (a int)")
    replica = start_postgres(primary=primary)

    async def of_replica(**rules: object) -> tuple[Reason | None, str]:
        return await violated(replica, "", **rules)

    primary.sql("INSERT INTO t VALUES (1)")
    wait_until_replayed(primary, replica)
    in_step = await of_replica(max_lag="50ms")
    told_in_step = await found(keys(replica, max_lag="50ms"))
    replica.sql("SELECT pg_wal_replay_pause()")
    primary.sql("INSERT INTO t VALUES (2)")
    wait_until_received(primary, replica)
    wait_for(replica, "SELECT 1 WHERE now() - pg_last_xact_replay_timestamp() > interval '60 ms'")
    behind = await of_replica(max_lag="50ms")
    patient = await of_replica(max_lag="1h")
    told_patient = await found(keys(replica, max_lag="1h"))
    not_writable = await of_replica(writable=True)

    assert (in_step, patient) == ((None, ""), (None, ""))
    assert told_in_step[1:] == [("max_lag", HELD, None, "replica: in step")]
    assert re.fullmatch(r"replica: \d+\.\ds behind, and 1h is allowed", told_patient[1][3])
    assert behind[0] is Reason.UNAVAILABLE
    assert re.fullmatch(r"replica: \d+\.\ds behind, and 50ms is allowed", behind[1])
    assert not_writable == (Reason.UNAVAILABLE, "not writable: it is a replica")
    assert await violated(primary, "", max_lag="50ms") == (None, "")
    replica.sql("SELECT pg_wal_replay_resume()")
    wait_until_replayed(primary, replica)
    replica.restart()
    wait_for(replica, "SELECT 1 FROM pg_stat_wal_receiver")
    assert await of_replica(max_lag="50ms") == (None, "")


async def test_a_replica_without_its_primary_falls_behind(start_postgres: StartPostgres) -> None:
    primary = start_postgres()
    make_role(primary, "unprivileged", "LOGIN")
    replica = start_postgres(primary=primary, config=["wal_retrieve_retry_interval = 100ms"])
    cut_off = "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_wal_receiver)"
    in_step = await violated(replica, "", max_lag="50ms", url=replica.url_for("unprivileged"))
    primary.kill()
    wait_for(replica, cut_off)
    nothing_yet = await violated(replica, "", max_lag="1h")
    primary.start()
    primary.sql("CREATE TABLE t (a int)")
    wait_until_replayed(primary, replica)
    primary.kill()
    wait_for(replica, cut_off)
    wait_for(replica, "SELECT 1 WHERE now() - pg_last_xact_replay_timestamp() > interval '60 ms'")

    assert in_step == (None, "")
    assert nothing_yet == (Reason.UNAVAILABLE, "replica: nothing was replayed yet, and 1h is allowed")
    assert (await violated(replica, "", max_lag="50ms"))[0] is Reason.UNAVAILABLE
    assert await violated(replica, "", max_lag="1h") == (None, "")


def wait_until_replayed(primary: PostgresServer, replica: PostgresServer) -> None:
    (position,) = primary.sql("SELECT pg_current_wal_lsn()")
    wait_for(replica, f"SELECT 1 WHERE pg_last_wal_replay_lsn() >= '{position}'")


def wait_until_received(primary: PostgresServer, replica: PostgresServer) -> None:
    (position,) = primary.sql("SELECT pg_current_wal_lsn()")
    wait_for(replica, f"SELECT 1 WHERE pg_last_wal_receive_lsn() >= '{position}'")


def wait_for(server: PostgresServer, question: str) -> None:
    """Return when a question has an answer."""
    give_up = time.monotonic() + 10
    while not server.sql(question):
        assert time.monotonic() < give_up, question


@pytest.mark.parametrize(
    ("kind", "versions", "at_least", "told"),
    [
        ("bigint", "(41), (42)", "42", ""),
        ("bigint", "(42), (43)", "42", ""),
        ("bigint", "(41)", "42", "m is at 41, and 42 is wanted"),
        ("text", "('9'), ('10')", "10", ""),
        ("text", "('9')", "10", "m is at 9, and 10 is wanted"),
        ("text", "('1.9'), ('1.10')", "1.10", ""),
        ("text", "('1.9')", "1.10", "m is at 1.9, and 1.10 is wanted"),
        ("text", "('1.9'), (NULL)", "2", "m is at 1.9, and 2 is wanted"),
        ("varchar(20)", "('20260301120000')", "20260301120000", ""),
        (
            "varchar(20)",
            "('20260301120000')",
            "20260301120001",
            "m is at 20260301120000, and 20260301120001 is wanted",
        ),
        ("text", "('0041_a'), ('0042_b')", "0042_b", ""),
        ("text", "('0042_B')", "0042_b", "m is at 0042_B, and 0042_b is wanted"),
        ("text", "(NULL)", "1", "m has no version, and 1 is wanted"),
        ("text", "(NULL)", "a", "m has no version, and a is wanted"),
        ("text", "('abc')", "1", 'm: invalid input syntax for type numeric: "abc"'),
    ],
)
async def test_migrations(
    kind: str, versions: str, at_least: str, told: str, postgres_server: PostgresServer, schema: str
) -> None:
    postgres_server.sql(f"CREATE TABLE {schema}.m (v {kind})", f"INSERT INTO {schema}.m VALUES {versions}")
    wanted = {"table": f"{schema}.m", "column": "v", "at_least": at_least}

    found = await violated(postgres_server, schema, migrations=wanted)

    assert found == (Reason.CONTRACT if told else None, told)


async def test_migrations_that_cannot_be_read(postgres_server: PostgresServer, schema: str) -> None:
    postgres_server.sql(f"CREATE TABLE {schema}.m (v int)")
    make_role(postgres_server, "reader", "LOGIN PASSWORD 'pw'")

    async def of(table: str, column: str = "v", **more: object) -> tuple[Reason | None, str]:
        wanted = {"table": table, "column": column, "at_least": "1"}
        return await violated(postgres_server, schema, migrations=wanted, **more)

    reader = {"url": postgres_server.url_for("reader", "pw")}
    assert await of(f"{schema}.n") == (Reason.NOT_FOUND, "there is no table n")
    assert await of(f"{schema}.m", "w") == (Reason.NOT_FOUND, 'm: column "w" does not exist')
    assert await of(f"{schema}.m", **reader) == (
        Reason.FORBIDDEN,
        f"m: permission denied for schema {schema}",
    )
    postgres_server.sql(f"GRANT USAGE ON SCHEMA {schema} TO reader")
    assert await of(f"{schema}.m", **reader) == (Reason.FORBIDDEN, "m: permission denied for table m")
    postgres_server.sql(f"GRANT SELECT (v) ON {schema}.m TO reader")
    assert await of(f"{schema}.m", **reader) == (Reason.CONTRACT, "m has no version, and 1 is wanted")


async def test_names_are_names_whatever_they_hold(postgres_server: PostgresServer, schema: str) -> None:
    table, column = 'M"; DROP TABLE x; --', 'V" FROM x; DROP TABLE x; --%s'
    sql_table = f"{schema}." + '"' + table.replace('"', '""') + '"'
    sql_column = '"' + column.replace('"', '""') + '"'
    postgres_server.sql(
        f"CREATE TABLE {sql_table} ({sql_column} int NOT NULL UNIQUE)", f"INSERT INTO {sql_table} VALUES (7)"
    )
    found = await violated(
        postgres_server,
        schema,
        migrations={"table": sql_table, "column": column, "at_least": "7"},
        unique=[{"table": sql_table, "columns": [column]}],
    )

    assert found == (None, "")


@pytest.mark.parametrize(
    ("made", "wanted", "told"),
    [
        (["CREATE UNIQUE INDEX i ON {s}.t (a)"], {"columns": ["a"]}, ""),
        (["ALTER TABLE {s}.t ADD PRIMARY KEY (b, a)"], {"columns": ["a", "b"]}, ""),
        (["ALTER TABLE {s}.t ADD CONSTRAINT i UNIQUE (a, b)"], {"columns": ["b", "a"]}, ""),
        (["CREATE UNIQUE INDEX i ON {s}.t (a) INCLUDE (b)"], {"columns": ["a"]}, ""),
        (["CREATE UNIQUE INDEX i ON {s}.t (n) NULLS NOT DISTINCT"], {"columns": ["n"]}, ""),
        (
            ["CREATE UNIQUE INDEX i ON {s}.t (n) WHERE n IS NOT NULL"],
            {"columns": ["n"], "where": "n IS NOT NULL"},
            "",
        ),
        (
            ["CREATE UNIQUE INDEX i ON {s}.t (a) WHERE n IS NULL AND b > 1"],
            {"columns": ["a"], "where": "(n is null) AND (b > 1)"},
            "",
        ),
        (["CREATE UNIQUE INDEX i ON {s}.t (a)"], {"columns": ["a"], "where": "b > 1"}, ""),
        (
            ["CREATE TABLE {s}.p (a int NOT NULL, UNIQUE (a)) PARTITION BY RANGE (a)"],
            {"table": "p", "columns": ["a"]},
            "",
        ),
        ([], {"columns": ["a"]}, "t has no unique index on (a)"),
        (
            ["CREATE INDEX i ON {s}.t (a)"],
            {"columns": ["a"]},
            "t has no unique index on (a): i is not unique",
        ),
        (
            ["CREATE UNIQUE INDEX i ON {s}.t (a, b)"],
            {"columns": ["a"]},
            "t has no unique index on (a): i covers (a, b)",
        ),
        (
            ["CREATE UNIQUE INDEX i ON {s}.t (a) INCLUDE (b)"],
            {"columns": ["a", "b"]},
            "t has no unique index on (a, b): i covers (a)",
        ),
        (
            ["CREATE UNIQUE INDEX i ON {s}.t (a) WHERE n IS NULL"],
            {"columns": ["a"]},
            "t has no unique index on (a): i holds only where (n IS NULL)",
        ),
        (
            ["CREATE UNIQUE INDEX i ON {s}.t (a) WHERE b > 1"],
            {"columns": ["a"], "where": "b > 0"},
            "t has no unique index on (a) where b > 0: i holds only where (b > 1)",
        ),
        (
            ["CREATE UNIQUE INDEX i ON {s}.t ((a + 1))"],
            {"columns": ["a"]},
            "t has no unique index on (a): i covers the expression (a + 1)",
        ),
        (
            ["ALTER TABLE {s}.t ADD CONSTRAINT i UNIQUE (a) DEFERRABLE"],
            {"columns": ["a"]},
            "t has no unique index on (a): i is deferrable",
        ),
        (
            ["ALTER TABLE {s}.t ADD CONSTRAINT i EXCLUDE USING btree (a WITH =)"],
            {"columns": ["a"]},
            "t has no unique index on (a): i is an exclusion constraint",
        ),
        (
            ["CREATE UNIQUE INDEX i ON {s}.t (n)"],
            {"columns": ["n"]},
            "t has no unique index on (n): i takes any number of NULLs in n",
        ),
        (
            [
                "INSERT INTO {s}.t (a, b) VALUES (1, 1), (1, 2)",
                "CREATE UNIQUE INDEX CONCURRENTLY i ON {s}.t (a)",
            ],
            {"columns": ["a"]},
            "t has no unique index on (a): i is not valid, since its creation failed or still runs",
        ),
        (
            [
                "CREATE TABLE {s}.p (a int NOT NULL) PARTITION BY RANGE (a)",
                "CREATE TABLE {s}.p1 PARTITION OF {s}.p FOR VALUES FROM (1) TO (2)",
                "CREATE UNIQUE INDEX i ON ONLY {s}.p (a)",
            ],
            {"table": "p", "columns": ["a"]},
            "p has no unique index on (a): i is not valid, since its creation failed or still runs",
        ),
        (["ALTER TABLE {s}.t DROP COLUMN a"], {"columns": ["a"]}, "t has no column a"),
        (
            ["CREATE VIEW {s}.v AS SELECT 1 AS a"],
            {"table": "v", "columns": ["a"]},
            "v is no table, and has no unique index",
        ),
    ],
)
async def test_unique(
    made: list[str], wanted: dict[str, object], told: str, postgres_server: PostgresServer, schema: str
) -> None:
    postgres_server.sql(f"CREATE TABLE {schema}.t (a int NOT NULL, b int NOT NULL, n int)")
    for statement in made:
        with suppress(ServerFailed) if "CONCURRENTLY" in statement else nullcontext():
            postgres_server.sql(statement.format(s=schema))
    rule = {**wanted, "table": f"{schema}.{wanted.get('table', 't')}"}

    found = await violated(postgres_server, schema, unique=[rule])

    assert found == (Reason.CONTRACT if told else None, told)


async def test_what_satisfies_unique_satisfies_on_conflict(
    postgres_server: PostgresServer, schema: str
) -> None:
    """The rule is worth something only if PostgreSQL agrees."""
    postgres_server.sql(
        f"CREATE TABLE {schema}.t (a int NOT NULL, b int NOT NULL, gone timestamptz)",
        f"CREATE UNIQUE INDEX i ON {schema}.t (b, a) WHERE gone IS NULL",
    )
    rule = {"table": f"{schema}.t", "columns": ["a", "b"], "where": "gone IS NULL"}
    held_rule = await violated(postgres_server, schema, unique=[rule])
    again = f"INSERT INTO {schema}.t VALUES (1, 2) ON CONFLICT (a, b) WHERE gone IS NULL DO NOTHING"
    postgres_server.sql(again, again)

    assert held_rule == (None, "")
    assert postgres_server.sql(f"SELECT count(*) FROM {schema}.t") == ["1"]


async def test_unique_needs_no_more_than_usage_of_the_schema(
    postgres_server: PostgresServer, schema: str
) -> None:
    postgres_server.sql(f"CREATE TABLE {schema}.t (a int PRIMARY KEY)")
    make_role(postgres_server, "looker", "LOGIN PASSWORD 'pw'")
    rules = {
        "unique": [{"table": f"{schema}.t", "columns": ["a"]}],
        "url": postgres_server.url_for("looker", "pw"),
    }
    without = await violated(postgres_server, schema, **rules)
    postgres_server.sql(f"GRANT USAGE ON SCHEMA {schema} TO looker")

    assert without == (Reason.FORBIDDEN, f"t: permission denied for schema {schema}")
    assert await violated(postgres_server, schema, **rules) == (None, "")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("0A000", Reason.PROTOCOL),
        ("08006", Reason.UNAVAILABLE),
        ("08P01", Reason.PROTOCOL),
        ("22012", Reason.CONTRACT),
        ("25P03", Reason.TIMEOUT),
        ("28000", Reason.AUTH),
        ("28P01", Reason.AUTH),
        ("3D000", Reason.NOT_FOUND),
        ("3F000", Reason.NOT_FOUND),
        ("40001", Reason.UNAVAILABLE),
        ("42501", Reason.FORBIDDEN),
        ("42601", Reason.PROTOCOL),
        ("42703", Reason.NOT_FOUND),
        ("42P01", Reason.NOT_FOUND),
        ("53100", Reason.UNAVAILABLE),
        ("53300", Reason.UNAVAILABLE),
        ("55P03", Reason.UNAVAILABLE),
        ("57014", Reason.TIMEOUT),
        ("57P03", Reason.UNAVAILABLE),
        ("58030", Reason.UNAVAILABLE),
        ("XX001", Reason.UNAVAILABLE),
    ],
)
async def test_every_error_has_its_reason(
    state: str, reason: Reason, postgres_server: PostgresServer, schema: str
) -> None:
    postgres_server.sql(
        f"CREATE FUNCTION {schema}.fail() RETURNS int LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE SQLSTATE '{state}' USING MESSAGE = 'so it is', DETAIL = 'hidden'; END $$",
        f"CREATE VIEW {schema}.m AS SELECT {schema}.fail() AS v",
    )
    found = await violated(
        postgres_server, schema, migrations={"table": f"{schema}.m", "column": "v", "at_least": "1"}
    )

    assert found == (reason, "m: so it is")


# Configuration


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("url: postgres://h/db", "url: names no user; write username: beside it, or postgres://USER@HOST"),
        ("url: unix://u@h/s", "url: names no socket; write its whole path, such as unix:///run/s.PGSQL.5432"),
        (
            "url: postgres://u@h?sslmode=verify-ca",
            "url: has sslmode=verify-ca; write verify-full, and tls.server_name for another name",
        ),
        (
            "url: postgres://u@h?sslmode=requier",
            "url: unknown sslmode 'requier'; did you mean 'require'? choose from disable, allow,",
        ),
        (
            "url: postgres://u@h?sslmode=disable, tls: {}",
            "tls: has no use without TLS, which the URL excludes",
        ),
        ("url: unix://u@/s, tls: {}", "tls: has no use without TLS, which the URL excludes"),
        (
            "url: postgres://u@h, writable: true, max_lag: 1s",
            "max_lag: is about a replica, and writable excludes one; remove one of both",
        ),
        *(
            (
                f"url: postgres://u@h, migrations: {{table: {table}, column: c, at_least: 1}}",
                f"migrations.table: {table} is not a table's name as SQL has it; write one such as orders",
            )
            for table in ("'a b c'", "'m;drop'", "'1m'", "'a.'")
        ),
        ("url: postgres://u@h, unique: [{table: t, columns: []}]", "unique[0].columns: names no column"),
        (
            "url: postgres://u@h, unique: [{table: t, columns: [a, a]}]",
            "unique[0].columns: names a column twice",
        ),
        ("url: postgres://u@h, migrations: {table: t, column: c}", "migrations: the key at_least is missing"),
    ],
)
def test_mistakes_are_located(more: str, problem: str) -> None:
    text = f"ungated: true\nchecks: [{{name: db, type: postgres, {more}}}]"
    with pytest.raises(ConfigError) as raised:
        load(Source("test.yaml", text.encode()), InstalledTypes(), {})

    assert problem in str(raised.value)
