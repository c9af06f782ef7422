"""The check type `dns`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import pytest

from sidecar.config.problems import ConfigError
from sidecar.core.check import Reason
from sidecar.core.result import Outcome
from sidecar.runtime.runner import CANCEL_GRACE
from tests.checks.contract import (
    SLACK,
    SUCCESS,
    assert_held,
    checked,
    ending,
    held,
    load_one,
    mounted,
    names_from,
    run_once,
    turn_the_loop,
)
from tests.descriptors import none_left
from tests.network import FakeDns, refused
from tests.network.dns import Rcode

RECORDS = {
    "app.test": ["192.0.2.1", "192.0.2.2", "2001:db8::1"],
    "four.test": ["192.0.2.4"],
    "alias.test": ["CNAME app.test"],
    "mail.test": ["MX 10 mx.test"],
    "_amqp._tcp.test": ["SRV 0 5 5672 rabbit.test"],
    "text.test": ["TXT Hello"],
}
FAILING = {"broken.test": Rcode.SERVFAIL, "closed.test": Rcode.REFUSED}


class Ask(Protocol):
    async def __call__(
        self, dns: FakeDns, hostname: str, **more: object
    ) -> tuple[Outcome, Reason | None, str]: ...


@pytest.fixture
async def dns() -> AsyncIterator[FakeDns]:
    async with FakeDns(RECORDS, silent=["hung.test"], failing=FAILING, truncated=["text.test"]) as server:
        yield server


def failed(reason: Reason, message: str) -> tuple[Outcome, Reason, str]:
    return Outcome.FAILURE, reason, message


def keys(hostname: str, **more: object) -> Mapping[str, object]:
    return {"type": "dns", "hostname": hostname, **more}


async def ask(dns: FakeDns, hostname: str, **more: object) -> tuple[Outcome, Reason | None, str]:
    """Return how a run ends that asks this server as the system's."""
    names_from(dns)
    return ending(await run_once(keys(hostname, **more)))


async def ask_at(dns: FakeDns, hostname: str, **more: object) -> tuple[Outcome, Reason | None, str]:
    """Return how a run ends that asks this server by its address."""
    at = {"server": dns.address.host, "port": dns.address.port}
    outcome, reason, message = ending(await run_once(keys(hostname, **at, **more)))
    return outcome, reason, message.replace(f" at {dns.address}", "")


@pytest.mark.parametrize("ask", [ask, ask_at])
class TestAnswers:
    async def test_what_is_no_dns(self, dns: FakeDns, ask: Ask) -> None:
        with dns.trouble(garbled=["app.test"]):
            assert await ask(dns, "app.test", timeout="500ms") == failed(
                Reason.PROTOCOL, "app.test does not answer as a DNS server"
            )

    @pytest.mark.parametrize("hostname", ["app.test", "four.test", "alias.test", "APP.test"])
    async def test_a_name_with_addresses(self, dns: FakeDns, ask: Ask, hostname: str) -> None:
        assert await ask(dns, hostname) == SUCCESS

    @pytest.mark.parametrize(
        ("hostname", "record", "expect"),
        [
            ("app.test", None, ["192.0.2.2"]),
            ("app.test", None, ["2001:0db8:0::1", "192.0.2.1"]),
            ("app.test", "A", ["192.0.2.1", "192.0.2.2"]),
            ("app.test", "AAAA", "2001:DB8::1"),
            ("alias.test", "A", "192.0.2.1"),
            ("alias.test", "CNAME", "App.test."),
            ("mail.test", "MX", "10 mx.test"),
            ("_amqp._tcp.test", "SRV", "0 5 5672 rabbit.test"),
            ("text.test", "TXT", "Hello"),
        ],
    )
    async def test_every_expected_answer_is_there(
        self, dns: FakeDns, ask: Ask, hostname: str, record: str | None, expect: object
    ) -> None:
        more = {"record": record} if record else {}

        assert await ask(dns, hostname, expect=expect, **more) == SUCCESS

    @pytest.mark.parametrize(
        ("hostname", "record", "expect", "message"),
        [
            ("four.test", "A", "192.0.2.9", "four.test is 192.0.2.4, not 192.0.2.9"),
            ("four.test", "A", ["192.0.2.4", "192.0.2.9"], "four.test is 192.0.2.4, not 192.0.2.9"),
            ("app.test", "A", "2001:db8::1", "app.test is 192.0.2.1, 192.0.2.2, not 2001:db8::1"),
            ("text.test", "TXT", "hello", "text.test is Hello, not hello"),
        ],
    )
    async def test_an_expected_answer_is_missing(
        self, dns: FakeDns, ask: Ask, hostname: str, record: str, expect: object, message: str
    ) -> None:
        assert await ask(dns, hostname, record=record, expect=expect) == failed(Reason.CONTRACT, message)

    @pytest.mark.parametrize(
        ("hostname", "record", "reason", "message"),
        [
            ("absent.test", None, Reason.NOT_FOUND, "absent.test does not exist"),
            ("absent.test", "A", Reason.NOT_FOUND, "absent.test does not exist"),
            ("four.test", "AAAA", Reason.NOT_FOUND, "four.test has no AAAA"),
            ("text.test", None, Reason.NOT_FOUND, "text.test has no address"),
            ("broken.test", None, Reason.UNAVAILABLE, "broken.test: dns server returned general failure"),
            ("broken.test", "TXT", Reason.UNAVAILABLE, "broken.test: dns server returned general failure"),
            ("closed.test", None, Reason.UNAVAILABLE, "closed.test: dns server refused query"),
            ("hung.test", None, Reason.TIMEOUT, "hung.test: gave no answer within 200ms"),
        ],
    )
    async def test_no_answer_has_its_reason(
        self, dns: FakeDns, ask: Ask, hostname: str, record: str | None, reason: Reason, message: str
    ) -> None:
        more = {"record": record} if record else {}
        if reason is Reason.TIMEOUT:
            more["timeout"] = "200ms"

        assert await ask(dns, hostname, **more) == failed(reason, message)


async def test_a_dead_server_is_seen_at_once_in_spite_of_what_it_answered_before() -> None:
    silent: set[str] = set()
    async with FakeDns(RECORDS, silent=silent) as dying:
        names_from(dying)
        async with mounted(keys("app.test"), deadline="300ms") as runner:
            before = await runner.run()
            silent.add("test")
            after = await runner.run()

    assert (ending(before), after.reason) == (SUCCESS, Reason.TIMEOUT)


async def test_no_server_listens() -> None:
    async with refused() as address:
        result = await run_once(keys("app.test", server=address.host, port=address.port))

    assert ending(result) == failed(Reason.REFUSED, f"app.test at {address}: no server listens")


@pytest.mark.parametrize("ask", [ask, ask_at])
async def test_no_descriptor_is_left_to_ask_with(dns: FakeDns, ask: Ask) -> None:
    with none_left():
        assert await ask(dns, "app.test") == failed(Reason.UNAVAILABLE, "app.test: too many open files")


async def test_a_server_may_have_a_name(dns: FakeDns) -> None:
    result = await run_once(keys("four.test", server="localhost", port=dns.address.port, expect="192.0.2.4"))

    assert ending(result) == SUCCESS


async def test_a_server_whose_name_does_not_exist(dns: FakeDns) -> None:
    assert await ask(dns, "app.test", server="absent.test") == failed(
        Reason.DNS, "absent.test:53: the name does not exist"
    )


async def test_a_question_that_is_lost_is_asked_again_within_the_deadline() -> None:
    silent = {"app.test"}
    async with FakeDns(RECORDS, silent=silent) as dns:
        names_from(dns)
        run = asyncio.create_task(run_once(keys("app.test"), deadline="2s"))
        while not dns.queries:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.001)
        silent.clear()

        assert ending(await run) == SUCCESS


async def test_hosts_file_counts_only_where_an_app_would_ask(dns: FakeDns) -> None:
    assert await ask(dns, "localhost", expect="127.0.0.1") == SUCCESS
    assert await ask_at(dns, "localhost") == failed(Reason.NOT_FOUND, "localhost does not exist")


async def test_search_domains_count_unless_a_server_is_given(dns: FakeDns) -> None:
    names_from(dns, domains=["test"], ndots=5)
    at = {"server": dns.address.host, "port": dns.address.port}

    assert [ending(await run_once(keys("four", **more))) for more in ({}, {"record": "A"}, at)] == [
        SUCCESS,
        SUCCESS,
        failed(Reason.NOT_FOUND, f"four at {dns.address} does not exist"),
    ]


@pytest.mark.parametrize("hostname", ["app.test", "hung.test"])
async def test_may_be_cancelled_at_any_moment_and_leaves_nothing(dns: FakeDns, hostname: str) -> None:
    names_from(dns)
    await run_once(keys("app.test"))  # starts the one thread in which pycares destroys channels
    before = held()
    async with checked(keys(hostname)) as check:
        for turns in range(30):
            run = asyncio.create_task(check.run())
            await turn_the_loop(turns)
            run.cancel()
            await asyncio.wait({run}, timeout=CANCEL_GRACE + SLACK)
            assert run.done()
        await check.aclose()
        await check.aclose()

    await assert_held(before)


async def test_two_hundred_hung_look_ups_share_no_thread(dns: FakeDns) -> None:
    names_from(dns)
    await run_once(keys("app.test"))
    before = held()
    hung = [asyncio.create_task(run_once(keys(f"{n}.hung.test"), deadline="300ms")) for n in range(200)]
    await asyncio.sleep(0)
    good = await run_once(keys("four.test"))
    threads = held().threads
    results = await asyncio.gather(*hung)
    await assert_held(before)

    assert (ending(good), threads <= before.threads) == (SUCCESS, True)
    assert {result.reason for result in results} == {Reason.TIMEOUT}


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"hostname": "192.0.2.1"}, "hostname: is an address, which nobody has to look up; write a name"),
        ({"port": 53}, "port: needs the key server beside it"),
        ({"expect": ["app.test"]}, "expect: 'app.test' is not an IP address"),
        ({"record": "A", "expect": "app.test"}, "expect: 'app.test' is not an IP address"),
        ({"record": "PTR"}, "record: unknown choice 'PTR'; choose from A, AAAA, CNAME, MX, SRV, TXT"),
    ],
)
def test_what_cannot_be_meant_is_refused(more: Mapping[str, object], problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_one({**keys("app.test"), **more})

    (only,) = raised.value.problems
    assert f"{only.path.removeprefix('checks.it.')}: {only.sentence}" == problem


@pytest.mark.parametrize(
    ("more", "target", "hosts"),
    [
        ({}, "app.test", ("app.test",)),
        ({"server": "192.0.2.53"}, "app.test at 192.0.2.53:53", ("192.0.2.53",)),
        ({"server": "::1", "port": 5353}, "app.test at [::1]:5353", ("::1",)),
    ],
)
def test_the_target_names_the_server(more: Mapping[str, object], target: str, hosts: tuple[str, ...]) -> None:
    (config,) = load_one({**keys("app.test"), **more}).checks

    assert (config.target, config.hosts) == (target, hosts)
