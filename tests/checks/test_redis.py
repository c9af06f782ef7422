"""The check type `redis`, against real servers and against what real servers do in trouble."""

import asyncio
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import pytest

from sidecar.checks import InstalledTypes
from sidecar.checks.redis import RedisCheck, RedisConfig
from sidecar.config.load import load
from sidecar.config.problems import ConfigError
from sidecar.config.source import Source
from sidecar.core.check import Reason
from sidecar.core.result import Result
from tests.checks.contract import (
    SECRET,
    SUCCESS,
    CheckContract,
    Keys,
    assert_held,
    assert_no_secret,
    checked,
    ending,
    held,
    load_one,
    mounted,
    names_from,
    run_once,
    turn_the_loop,
)
from tests.checks.mutation import mutated
from tests.checks.redis_fake import fake_redis
from tests.network import Address, FakeDns, Proxy, garbage, silent
from tests.network.tls import Certificates, server_context
from tools.servers import RedisServer, TlsFiles

StartRedis = Callable[..., RedisServer]

ODD: Final = "a:b@c/d%e f?#[é"
ACL_OF_THE_DOCUMENTATION: Final = "~sidecar:probe:* -@all +echo +ping +select +set +get +del +role"


class TestContract(CheckContract):
    reasons_amid = MappingProxyType(
        {
            "refused": Reason.UNAVAILABLE,  # the kept connection is reset first
            "endless": Reason.TIMEOUT,  # the proxy loses the question
        }
    )

    def keys(self, address: Address) -> Keys:
        return {"type": "redis", "url": f"redis://:{quote(SECRET, safe='')}@{address}/0", "write": True}

    @pytest.fixture
    async def up(self, start_redis: StartRedis) -> Address:
        server = start_redis(password=SECRET)
        return Address(server.host, server.port)


def keys(server: RedisServer, **more: object) -> Keys:
    return {"type": "redis", "url": server.url, **more}


def clients(server: RedisServer) -> int:
    """Return how many clients a server has besides the one that asks."""
    return len(str(server.command("CLIENT", "LIST", "TYPE", "normal")).splitlines()) - 1


async def wait_for_clients(server: RedisServer, count: int) -> None:
    async with asyncio.timeout(2):
        while clients(server) != count:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)


async def test_a_hundred_runs_use_one_connection_and_leave_no_key(start_redis: StartRedis) -> None:
    server = start_redis()
    async with mounted(keys(server, write=True, role="primary")) as runner:
        results = [await runner.run() for _ in range(100)]

        assert [ending(result) for result in results] == [SUCCESS] * 100
        assert [result.connections_opened for result in results] == [1] + [0] * 99
        assert (clients(server), server.command("DBSIZE")) == (1, 0)

    await wait_for_clients(server, 0)


async def test_follows_a_server_that_is_killed_and_comes_back(start_redis: StartRedis) -> None:
    server = start_redis()
    async with mounted(keys(server)) as runner:
        results = [await runner.run()]
        server.kill()
        assert await runner.lost_within(1)
        results += [await runner.run(), await runner.run()]
        server.start()
        results += [await runner.run()]

    assert [result.reason for result in results] == [None, Reason.REFUSED, Reason.REFUSED, None]
    assert results[1].message == f"127.0.0.1:{server.port} refused the connection"


async def test_follows_a_server_that_hangs_and_goes_on(start_redis: StartRedis) -> None:
    server = start_redis()
    async with mounted(keys(server)) as runner:
        before = await runner.run()
        server.pause()
        runner.timeout = 0.1
        hung = [await runner.run() for _ in range(3)]
        server.resume()
        runner.timeout = 5
        after = await runner.run()

        assert (ending(before), ending(after)) == (SUCCESS, SUCCESS)
        assert {result.reason for result in hung} == {Reason.TIMEOUT}
        await wait_for_clients(server, 1)


async def test_tells_what_is_wrong_with_a_login(start_redis: StartRedis) -> None:
    locked, unlocked = start_redis(password="right"), start_redis()
    results = [
        await run_once({"type": "redis", "url": f"redis://{locked.host}:{locked.port}"}),
        await run_once({"type": "redis", "url": f"redis://:wrong@{locked.host}:{locked.port}"}),
        await run_once({"type": "redis", "url": f"redis://nobody:right@{locked.host}:{locked.port}"}),
        await run_once({"type": "redis", "url": f"redis://:right@{unlocked.host}:{unlocked.port}"}),
    ]

    assert [result.reason for result in results] == [Reason.AUTH] * 4
    assert results[0].message == f"127.0.0.1:{locked.port} answered NOAUTH Authentication required."


async def test_one_wrong_login_is_tried_once(start_redis: StartRedis) -> None:
    server = start_redis(password="right")
    await run_once({"type": "redis", "url": f"redis://:wrong@{server.host}:{server.port}"})

    attempts = server.command("ACL", "LOG")
    assert isinstance(attempts, list)
    assert len(attempts) == 1


async def test_needs_no_more_permissions_than_documented(redis_server: RedisServer) -> None:
    redis_server.command("ACL", "SETUSER", "least", "on", ">pw", *ACL_OF_THE_DOCUMENTATION.split())
    url = f"redis://least:pw@{redis_server.host}:{redis_server.port}/3"

    assert ending(await run_once({"type": "redis", "url": url, "write": True, "role": "primary"})) == SUCCESS


@pytest.mark.parametrize(
    "missing", ["-echo", "-ping", "-select", "-set", "-get", "-del", "-role", "resetkeys"]
)
async def test_names_a_missing_permission(missing: str, redis_server: RedisServer) -> None:
    acl = [*ACL_OF_THE_DOCUMENTATION.split(), missing]
    redis_server.command("ACL", "SETUSER", f"lacks{missing}", "on", ">pw", *acl)
    url = f"redis://lacks{missing}:pw@{redis_server.host}:{redis_server.port}/3"

    result = await run_once({"type": "redis", "url": url, "write": True, "role": "primary"})

    assert result.reason is Reason.FORBIDDEN
    assert missing.removeprefix("-").replace("resetkeys", "keys") in result.message


async def test_a_database_that_does_not_exist(redis_server: RedisServer) -> None:
    result = await run_once({"type": "redis", "url": redis_server.url.replace("/0", "/99")})

    assert result.reason is Reason.NOT_FOUND
    assert result.message == f"127.0.0.1:{redis_server.port} answered ERR DB index is out of range"


async def reasons(server: RedisServer, *wanted: Keys) -> list[Reason | None]:
    """Return the reason of one run with each set of keys."""
    return [(await run_once(keys(server, **more))).reason for more in wanted]


async def test_a_read_only_replica_serves_readers_only(start_redis: StartRedis) -> None:
    primary = start_redis()
    replica = start_redis(config=[f"replicaof {primary.host} {primary.port}"])

    found = await reasons(replica, {}, {"role": "replica"}, {"role": "primary"}, {"write": True})

    assert found == [None, None, Reason.CONTRACT, Reason.UNAVAILABLE]
    assert await reasons(primary, {"role": "replica"}) == [Reason.CONTRACT]


async def test_a_stale_replica_is_unavailable(start_redis: StartRedis) -> None:
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        lost = f"replicaof 127.0.0.1 {nobody.getsockname()[1]}"
        server = start_redis(config=[lost, "replica-serve-stale-data no"])

        result = await run_once(keys(server))

    assert result.reason is Reason.UNAVAILABLE
    assert "answered MASTERDOWN" in result.message


@pytest.mark.parametrize(
    ("trouble", "told"),
    [("maxmemory 100kb", "OOM"), ("min-replicas-to-write 1", "NOREPLICAS")],
)
async def test_a_primary_that_cannot_be_written(trouble: str, told: str, start_redis: StartRedis) -> None:
    server = start_redis(config=[trouble])

    reading, writing = await run_once(keys(server)), await run_once(keys(server, write=True))

    assert ending(reading) == SUCCESS
    assert writing.reason is Reason.UNAVAILABLE
    assert f"answered {told}" in writing.message


async def test_a_server_without_room_for_clients_is_unavailable(start_redis: StartRedis) -> None:
    server = start_redis(config=["maxclients 1"])
    with closing(socket.create_connection((server.host, server.port))) as other:
        other.sendall(b"PING\r\n")
        other.recv(100)

        result = await run_once(keys(server))

    assert result.reason is Reason.UNAVAILABLE
    assert result.message == f"127.0.0.1:{server.port} answered ERR max number of clients reached"


async def test_a_server_that_loads_its_data_is_unavailable(start_redis: StartRedis) -> None:
    slow = ["key-load-delay 10000", "loading-process-events-interval-bytes 1024", "rdbcompression no"]
    server = start_redis(config=[*slow, "enable-debug-command yes"])
    server.command("DEBUG", "POPULATE", 50, "key", 4096)

    async with mounted(keys(server)) as runner:
        restart = asyncio.create_task(asyncio.to_thread(server.restart))
        seen: list[Result] = []
        async with asyncio.timeout(10):
            while not restart.done():
                seen.append(await runner.run())
                await asyncio.sleep(0.02)
        await restart
        after = await runner.run()

    loading = [result for result in seen if "LOADING" in result.message]
    assert {result.reason for result in loading} == {Reason.UNAVAILABLE}
    assert ending(after) == SUCCESS


async def test_trusts_and_names_as_the_tls_block_says(
    start_redis: StartRedis, certificates: Certificates
) -> None:
    server, misnamed = start_redis(tls=certificates.good), start_redis(tls=certificates.wrong_name)
    ca = str(certificates.ca)

    async def run(of: RedisServer, tls: dict[str, object]) -> Result:
        return await run_once({"type": "redis", "url": of.tls_url, "tls": tls, "write": True})

    assert ending(await run(server, {"ca": ca})) == SUCCESS
    assert ending(await run(misnamed, {"ca": ca, "server_name": "elsewhere.test"})) == SUCCESS
    assert ending(await run(misnamed, {"insecure": True})) == SUCCESS
    assert (await run(misnamed, {"ca": ca})).reason is Reason.TLS
    assert (await run(server, {})).reason is Reason.TLS
    assert (await run(server, {"ca": "/nowhere.pem"})).reason is Reason.TLS


async def test_shows_the_certificate_that_a_server_wants(
    start_redis: StartRedis, certificates: Certificates
) -> None:
    good, client = certificates.good, certificates.client
    server = start_redis(tls=TlsFiles(good.cert, good.key, good.ca, wants_client_certificate=True))
    ours = {"ca": str(certificates.ca), "cert": str(client.cert), "key": str(client.key)}

    shown = await run_once({"type": "redis", "url": server.tls_url, "tls": ours})
    not_shown = await run_once({"type": "redis", "url": server.tls_url, "tls": {"ca": str(certificates.ca)}})

    assert ending(shown) == SUCCESS
    assert not_shown.reason in {Reason.TLS, Reason.UNAVAILABLE}  # its alert may be lost behind its reset


async def test_hangs_up_at_once_on_a_tls_server_that_hangs(certificates: Certificates) -> None:
    before = held()
    async with silent(tls=server_context(certificates.good)) as address:
        tls = {"ca": str(certificates.ca)}
        async with mounted({"type": "redis", "url": f"rediss://{address}", "tls": tls}) as runner:
            runner.timeout = 0.3
            result = await runner.run()

            assert result.reason is Reason.TIMEOUT
            async with asyncio.timeout(0.2):
                await address.emptied()

    await assert_held(before)


async def test_talks_through_a_unix_socket(start_redis: StartRedis) -> None:
    server = start_redis(password=ODD)
    path = quote(str(server.unix_socket))

    right = await run_once({"type": "redis", "url": f"{server.unix_url}?db=2", "write": True})
    wrong = await run_once({"type": "redis", "url": f"unix://:wrong@{path}"})
    server.stop()
    absent = await run_once({"type": "redis", "url": f"unix://{path}"})

    assert (ending(right), wrong.reason, absent.reason) == (SUCCESS, Reason.AUTH, Reason.REFUSED)
    assert absent.message == f"{server.unix_socket} refused the connection"


async def test_takes_any_character_in_credentials(
    start_redis: StartRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, user = start_redis(), "a:b@c/d%e"
    server.command("ACL", "SETUSER", user, "on", f">{ODD}", "~*", "+@all")
    monkeypatch.setenv("ODD_USER", user)
    monkeypatch.setenv("ODD_PASSWORD", ODD)
    where = f"{server.host}:{server.port}/0"

    results = [
        await run_once(
            {"type": "redis", "url": f"redis://{quote(user, safe='')}:{quote(ODD, safe='')}@{where}"}
        ),
        await run_once({"type": "redis", "url": f"redis://${{ODD_USER}}:${{ODD_PASSWORD}}@{where}"}),
        await run_once({"type": "redis", "url": f"redis://{where}", "username": user, "password": ODD}),
    ]

    assert [ending(result) for result in results] == [SUCCESS] * 3


async def test_asks_exactly_what_is_documented() -> None:
    async with fake_redis() as (address, commands):
        url = f"redis://sidecar:pw@{address}/4"
        result = await run_once({"type": "redis", "url": url, "write": True, "role": "primary"})

    nonce = commands[2][1]
    key = f"sidecar:probe:{nonce}"
    assert ending(result) == SUCCESS
    assert commands == [
        ["AUTH", "sidecar", "pw"],
        ["SELECT", "4"],
        ["ECHO", nonce],
        ["PING"],
        ["ROLE"],
        ["SET", key, nonce, "EX", "60"],
        ["GET", key],
        ["DEL", key],
    ]


async def test_asks_for_another_echo_each_run() -> None:
    async with (
        fake_redis() as (address, commands),
        mounted({"type": "redis", "url": f"redis://{address}"}) as runner,
    ):
        await runner.run()
        await runner.run()

    (_, first), _, (_, second), _ = commands
    assert len(first) == 32
    assert first != second


@pytest.mark.parametrize(
    ("command", "answer", "reason", "told"),
    [
        ("ECHO", b"$4\r\nelse\r\n", Reason.PROTOCOL, "gave a wrong answer to ECHO"),
        ("ECHO", b"$-1\r\n", Reason.PROTOCOL, "gave a wrong answer to ECHO"),
        ("PING", b"+PANG\r\n", Reason.PROTOCOL, "gave a wrong answer to PING"),
        ("PING", b"*1\r\n", Reason.TIMEOUT, "gave no answer within 300ms"),
        ("GET", b"$-1\r\n", Reason.PROTOCOL, "gave a wrong answer to GET"),
        ("DEL", b":0\r\n", Reason.PROTOCOL, "gave a wrong answer to DEL"),
        ("ROLE", b"+master\r\n", Reason.CONTRACT, "is no primary"),
        ("ROLE", b"*1\r\n$8\r\nsentinel\r\n", Reason.CONTRACT, "is no primary"),
        ("ROLE", b"*1\r\n*0\r\n", Reason.CONTRACT, "is no primary"),
        ("PING", b"-LOADING Redis is loading\r\n", Reason.UNAVAILABLE, "answered LOADING Redis is loading"),
        ("PING", b"-MASTERDOWN Link is down\r\n", Reason.UNAVAILABLE, "answered MASTERDOWN Link is down"),
        ("PING", b"-CLUSTERDOWN Down\r\n", Reason.UNAVAILABLE, "answered CLUSTERDOWN Down"),
        ("PING", b"-BUSY a script\r\n", Reason.UNAVAILABLE, "answered BUSY a script"),
        ("SET", b"-MISCONF no disk\r\n", Reason.UNAVAILABLE, "answered MISCONF no disk"),
        ("SET", b"-READONLY replica\r\n", Reason.UNAVAILABLE, "answered READONLY replica"),
        ("SET", b"-MOVED 1 other:1\r\n", Reason.PROTOCOL, "answered MOVED 1 other:1"),
        ("ECHO", b"-DENIED protected mode\r\n", Reason.FORBIDDEN, "answered DENIED protected mode"),
        ("ECHO", b"-ERR unknown command 'ECHO'\r\n", Reason.PROTOCOL, "answered ERR unknown command 'ECHO'"),
        ("ECHO", b"HTTP/1.1 400\r\n", Reason.PROTOCOL, "does not speak Redis' protocol"),
        ("ECHO", b"$many\r\n", Reason.PROTOCOL, "does not speak Redis' protocol"),
        ("ECHO", b"x" * 70_000, Reason.PROTOCOL, "does not speak Redis' protocol"),
        ("ECHO", b"$1073741824\r\n", Reason.PROTOCOL, "does not speak Redis' protocol"),
        ("ECHO", b"*1\r\n" * 2_000, Reason.PROTOCOL, "does not speak Redis' protocol"),
    ],
)
async def test_names_a_wrong_answer(command: str, answer: bytes, reason: Reason, told: str) -> None:
    async with fake_redis({command: answer}) as (address, _):
        wanted: Keys = {"type": "redis", "url": f"redis://{address}", "write": True, "role": "primary"}
        result = await run_once(wanted, deadline="300ms")

    assert result.reason is reason
    assert told in result.message
    assert str(address) in result.message


async def test_never_repeats_a_password_that_the_server_repeats() -> None:
    echoed = f"-ERR unknown command 'AUTH', with args beginning with: '{SECRET}' \r\n".encode()
    async with fake_redis({"AUTH": echoed}) as (address, _):
        result = await run_once({"type": "redis", "url": f"redis://:{quote(SECRET, safe='')}@{address}"})

    assert (result.reason, result.message) == (
        Reason.PROTOCOL,
        f"{address} answered ERR unknown command 'AUTH'",
    )
    assert_no_secret(repr(result))


async def test_does_not_take_a_stray_answer_for_its_own() -> None:
    """A connection on which something came unasked is in doubt, and replaced before it can fail a run."""
    async with fake_redis({"DEL": b":1\r\n+stray\r\n"}) as (address, _):
        wanted: Keys = {"type": "redis", "url": f"redis://{address}", "write": True}
        async with mounted(wanted) as runner:
            results = [await runner.run() for _ in range(3)]

    assert [ending(result) for result in results] == [SUCCESS] * 3
    assert [result.connections_opened for result in results] == [1, 1, 1]


async def test_replaces_a_connection_that_ended_between_runs(redis_server: RedisServer) -> None:
    server = Address(redis_server.host, redis_server.port)
    async with (
        Proxy(server) as proxy,
        mounted({"type": "redis", "url": f"redis://{proxy.address}"}) as runner,
    ):
        await runner.run()
        with proxy.fault("half-closing"):
            await turn_the_loop(20)
        result = await runner.run()

    assert (ending(result), result.connections_opened) == (SUCCESS, 1)


async def test_hangs_up_on_a_server_that_speaks_unasked() -> None:
    async with (
        fake_redis({"PING": b"+PONG\r\n-stray\r\n"}) as (address, _),
        checked({"type": "redis", "url": f"redis://{address}"}) as check,
    ):
        assert isinstance(check, RedisCheck)
        await check.run()
        await asyncio.wait_for(check.lost(), 1)
        await check.run()

        assert check.connections_opened == 2


async def test_notices_a_loss_within_a_tenth_of_a_second(start_redis: StartRedis) -> None:
    server = start_redis()
    async with checked(keys(server)) as check:
        assert isinstance(check, RedisCheck)
        await check.run()
        lost = asyncio.create_task(check.lost())
        await asyncio.wait({lost}, timeout=0.05)
        assert not lost.done()

        await asyncio.to_thread(server.kill)
        await asyncio.wait({lost}, timeout=0.1)
        assert lost.done()
        await lost


async def test_notices_that_the_server_hangs_up(redis_server: RedisServer) -> None:
    async with checked(keys(redis_server)) as check:
        assert isinstance(check, RedisCheck)
        await check.run()
        lost = asyncio.create_task(check.lost())
        await asyncio.sleep(0)
        redis_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.wait_for(lost, 0.1)
        await check.run()

        assert check.connections_opened == 2


async def test_waits_for_no_loss_while_there_is_no_connection(redis_server: RedisServer) -> None:
    async with checked(keys(redis_server)) as check:
        assert isinstance(check, RedisCheck)
        lost = asyncio.create_task(check.lost())
        done, _ = await asyncio.wait({lost}, timeout=0.05)
        lost.cancel()

        assert not done


async def test_waiting_for_a_loss_costs_no_answer(redis_server: RedisServer) -> None:
    async with checked(keys(redis_server)) as check:
        assert isinstance(check, RedisCheck)
        for turns in range(300):
            await check.run()
            lost = asyncio.create_task(check.lost())
            for _ in range(turns % 5):
                await asyncio.sleep(0)
            lost.cancel()
            await asyncio.wait({lost})

        assert check.connections_opened == 1


@pytest.mark.parametrize("with_tls", [False, True], ids=["plain", "tls"])
async def test_a_run_that_is_cancelled_at_any_moment_leaves_nothing(
    with_tls: bool, start_redis: StartRedis, certificates: Certificates
) -> None:
    server = start_redis(tls=certificates.good, password="pw")
    over_tls = {"url": server.tls_url, "tls": {"ca": str(certificates.ca)}}
    wanted = keys(server, write=True, role="primary", **(over_tls if with_tls else {}))
    dice = random.Random(1)  # noqa: S311 - reproducible, not secret
    async with checked(wanted) as check:
        await check.run()
        await check.aclose()
        before = held()
        for _ in range(300):
            run = asyncio.create_task(check.run())
            await asyncio.wait({run}, timeout=dice.random() * (0.008 if with_tls else 0.003))
            run.cancel()
            await asyncio.wait({run}, timeout=0.1)
            assert run.cancelled() or (run.done() and run.exception() is None)
        await check.run()

        await wait_for_clients(server, 1)
        await check.aclose()
        await assert_held(before)

    await wait_for_clients(server, 0)


async def test_no_answer_makes_it_crash() -> None:
    dice = random.Random(1)  # noqa: S311 - reproducible, not secret
    answers = b"+OK\r\n$4\r\nsome\r\n+PONG\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n-ERR no\r\n"
    before = held()
    found = set()
    for _ in range(150):
        async with garbage(mutated(answers, dice)) as address:
            url = f"redis://:pw@{address}"
            found.add((await run_once({"type": "redis", "url": url, "write": True}, deadline="60ms")).reason)

    assert found <= {Reason.PROTOCOL, Reason.TIMEOUT, Reason.UNAVAILABLE, Reason.AUTH}
    await assert_held(before)


async def test_a_name_that_does_not_exist() -> None:
    async with FakeDns() as dns:
        names_from(dns)
        result = await run_once({"type": "redis", "url": "redis://absent.test"})

    assert (result.reason, result.message) == (Reason.DNS, "absent.test:6379: the name does not exist")


def config(**more: object) -> RedisConfig:
    only = load_one({"type": "redis", **more}).checks[0]
    assert isinstance(only, RedisConfig)
    return only


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("redis://r", 0),
        ("redis://r/", 0),
        ("redis://r/7", 7),
        ("rediss://r/7?db=3&ssl_cert_reqs=none", 3),
        ("unix:///run/redis.sock", 0),
        ("unix:///run/redis.sock?db=5", 5),
    ],
)
def test_reads_the_database_from_the_url(url: str, database: int) -> None:
    assert config(url=url).database == database


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"url": "redis://r/a"}, "url: names no database; write its number, such as redis://redis:6379/0"),
        ({"url": "redis://r/1/"}, "url: names no database; write its number, such as redis://redis:6379/0"),
        (
            {"url": "redis://r/1?db=-1"},
            "url: names no database; write its number, such as redis://redis:6379/0",
        ),
        ({"url": "unix://"}, "url: names no socket; write its whole path, such as unix:///run/redis.sock"),
        (
            {"url": "unix://run/r.sock"},
            "url: names no socket; write its whole path, such as unix:///run/redis.sock",
        ),
        ({"url": "redis://r", "tls": {}}, "tls: has no use without TLS; write the URL with rediss://"),
    ],
)
def test_refuses_what_cannot_be_meant(wrong: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config(**wrong)

    assert f"checks.it.{problem}" in str(refused.value)


def test_the_file_imports_without_its_driver() -> None:
    program = (
        "import sys; from sidecar.checks import InstalledTypes; found = InstalledTypes().find('redis');"
        "print(found.config.__name__, 'redis' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "RedisConfig False\n"


def test_an_installed_hiredis_reads_no_replies_past_our_bound(tmp_path: Path) -> None:
    (tmp_path / "hiredis.py").write_text(
        "__version__ = '9.9.9'\nclass NotEnoughData: ...\nclass PushNotification(list): ...\n"
    )
    program = (
        "from redis.asyncio.connection import DefaultParser;"
        "from sidecar.checks._redis import new_connection;"
        "from sidecar.config.kinds.url import Url;"
        "from sidecar.checks.redis import RedisConfig;"
        "url = Url(scheme='redis', host='r', path='');"
        "connection = new_connection(RedisConfig(name='r', type='redis', url=url));"
        "print(DefaultParser.__name__, isinstance(connection._parser, DefaultParser))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )

    assert done.stdout == "_AsyncHiredisParser False\n"


def test_the_example_of_the_documentation_loads() -> None:
    document = sys.modules[RedisConfig.__module__].__doc__ or ""
    example = document.partition("```yaml\n")[2].partition("```")[0]

    checks = load(Source("example", example.encode()), InstalledTypes(), {"REDIS_PASSWORD": "pw"}).checks
    assert [type(check) for check in checks] == [RedisConfig]
