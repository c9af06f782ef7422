"""The event loop's look-ups: every kind of name, and a hung server that hangs nobody else."""

import asyncio
import socket
import time

import pytest
from pycares import AresError

from sidecar.support.loop import AddressInfo, SidecarLoop, new_resolver
from tests.checks.contract import assert_held, held
from tests.descriptors import none_left
from tests.network import FakeDns
from tests.network.dns import Rcode

GOOD = {"good.test": ["192.0.2.1"]}


def loop_asking(dns: FakeDns, **options: object) -> SidecarLoop:
    """Return the running loop, which asks this server from now on."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SidecarLoop)
    loop.resolver_options = {"servers": [str(dns.address)], **options}
    return loop


async def hung_look_ups(dns: FakeDns, loop: SidecarLoop, count: int) -> list[asyncio.Task[list[AddressInfo]]]:
    """Return that many, under way; begun one by one, since a burst would be lost in the server's buffer."""
    look_ups = []
    for number in range(count):
        look_ups.append(
            asyncio.create_task(loop.getaddrinfo(f"{number}.hung.test", 80, family=socket.AF_INET))
        )
        while len(dns.queries) <= number:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0)
    return look_ups


def hosts(found: list[AddressInfo]) -> list[str]:
    return [address[0] for _, _, _, _, address in found]


async def test_a_name_has_its_addresses_of_both_families() -> None:
    async with FakeDns({"both.test": ["192.0.2.1", "2001:db8::1"]}) as dns:
        found = await loop_asking(dns).getaddrinfo("both.test", 80, type=socket.SOCK_STREAM)

    assert sorted(found) == [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("192.0.2.1", 80)),
        (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("2001:db8::1", 80, 0, 0)),
    ]


async def test_a_family_narrows_the_addresses() -> None:
    async with FakeDns({"both.test": ["192.0.2.1", "2001:db8::1"]}) as dns:
        found = await loop_asking(dns).getaddrinfo("both.test", 80, family=socket.AF_INET6)

    assert hosts(found) == ["2001:db8::1"]


async def test_an_alias_has_the_addresses_of_what_it_stands_for() -> None:
    async with FakeDns({"alias.test": ["CNAME good.test"], **GOOD}) as dns:
        assert hosts(await loop_asking(dns).getaddrinfo("alias.test", None)) == ["192.0.2.1"]


async def test_an_answer_too_long_for_a_datagram_comes_over_tcp() -> None:
    async with FakeDns(GOOD, truncated=["good.test"]) as dns:
        assert hosts(await loop_asking(dns).getaddrinfo("good.test", 80)) == ["192.0.2.1"]

    assert any(query.over_tcp for query in dns.queries)


@pytest.mark.parametrize(
    ("host", "family", "address"),
    [
        ("127.0.0.1", socket.AF_INET, ("127.0.0.1", 80)),
        ("::1", socket.AF_INET6, ("::1", 80, 0, 0)),
        ("fe80::1%lo", socket.AF_INET6, ("fe80::1", 80, 0, socket.if_nametoindex("lo"))),
    ],
)
async def test_an_address_is_never_looked_up(host: str, family: int, address: tuple[object, ...]) -> None:
    async with FakeDns() as dns:
        found = await loop_asking(dns).getaddrinfo(host, 80, type=socket.SOCK_STREAM)

    assert [(each[0], each[4]) for each in found] == [(family, address)]
    assert dns.queries == []


@pytest.mark.parametrize("host", [None, ""])
async def test_no_host_is_every_address_for_a_listener(host: str | None) -> None:
    async with FakeDns() as dns:
        loop = loop_asking(dns)
        found = await loop.getaddrinfo(host, 80, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)

    assert {"0.0.0.0", "::"} >= set(hosts(found)) != set()
    assert dns.queries == []


async def test_a_numeric_host_alone_is_wanted_and_a_name_given() -> None:
    async with FakeDns(GOOD) as dns:
        with pytest.raises(socket.gaierror) as raised:
            await loop_asking(dns).getaddrinfo("good.test", 80, flags=socket.AI_NUMERICHOST)

    assert raised.value.errno == socket.EAI_NONAME
    assert dns.queries == []


async def test_flags_of_the_c_library_are_not_taken_for_those_of_c_ares() -> None:
    flags = socket.AI_ADDRCONFIG | socket.AI_V4MAPPED | socket.AI_ALL | socket.AI_NUMERICSERV
    async with FakeDns(GOOD) as dns:
        assert hosts(await loop_asking(dns).getaddrinfo("good.test", 80, flags=flags)) == ["192.0.2.1"]


@pytest.mark.parametrize(("port", "number"), [("443", 443), ("https", 443), (None, 0)])
async def test_a_port_may_be_a_service(port: str | None, number: int) -> None:
    async with FakeDns(GOOD) as dns:
        found = await loop_asking(dns).getaddrinfo("good.test", port)

    assert [address for _, _, _, _, address in found] == [("192.0.2.1", number)]


@pytest.mark.parametrize("before", [[], ["good.test"]], ids=["the first name", "a later name"])
async def test_no_descriptor_is_left_to_ask_with(before: list[str]) -> None:
    """c-ares would say that no server listens, and for its first name forget which servers there are."""
    async with FakeDns({"new.test": ["192.0.2.2"], **GOOD}) as dns:
        loop = loop_asking(dns)
        for name in before:
            await loop.getaddrinfo(name, 80)
        with none_left(), pytest.raises(OSError, match="Too many open files"):
            await loop.getaddrinfo("new.test", 80)

        assert hosts(await loop.getaddrinfo("new.test", 80)) == ["192.0.2.2"]


async def test_hosts_file_goes_before_the_server() -> None:
    async with FakeDns() as dns:
        loop = loop_asking(dns)
        found = {
            *hosts(await loop.getaddrinfo("localhost", 80)),
            *hosts(await loop.getaddrinfo("a.localhost", 80)),
        }

    assert found <= {"127.0.0.1", "::1"}
    assert "127.0.0.1" in found
    assert dns.queries == []


async def test_search_domains_go_first_while_a_name_has_few_dots() -> None:
    domains = ["ns.svc.cluster.local", "svc.cluster.local"]
    async with FakeDns({"redis.ns.svc.cluster.local": ["192.0.2.7"], **GOOD}) as dns:
        loop = loop_asking(dns, domains=domains, ndots=5)
        service = await loop.getaddrinfo("redis", 6379, family=socket.AF_INET)
        outside = await loop.getaddrinfo("good.test", 80, family=socket.AF_INET)
        absolute = await loop.getaddrinfo("good.test.", 80, family=socket.AF_INET)

    assert [hosts(each) for each in (service, outside, absolute)] == [
        ["192.0.2.7"],
        ["192.0.2.1"],
        ["192.0.2.1"],
    ]
    assert [query.name for query in dns.queries] == [
        "redis.ns.svc.cluster.local",
        "good.test.ns.svc.cluster.local",
        "good.test.svc.cluster.local",
        "good.test",
    ]


async def test_a_search_domain_whose_server_fails_is_not_the_last_word() -> None:
    async with FakeDns(GOOD, failing={"good.test.broken.example": Rcode.SERVFAIL}) as dns:
        found = await loop_asking(dns, domains=["broken.example"], ndots=5).getaddrinfo("good.test", 80)

    assert hosts(found) == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("host", "errno"),
    [
        ("absent.test", socket.EAI_NONAME),
        ("text-only.test", socket.EAI_NONAME),
        ("failing.test", socket.EAI_AGAIN),
        ("refusing.test", socket.EAI_AGAIN),
        ("two..dots", socket.EAI_NONAME),
        ("x" * 70 + ".test", socket.EAI_NONAME),
        ("\udcff.test", socket.EAI_NONAME),
    ],
)
async def test_a_failed_look_up_says_whether_the_name_is_at_fault(host: str, errno: int) -> None:
    failing = {"failing.test": Rcode.SERVFAIL, "refusing.test": Rcode.REFUSED}
    async with FakeDns({"text-only.test": ["TXT hello"]}, failing=failing) as dns:
        with pytest.raises(socket.gaierror) as raised:
            await loop_asking(dns).getaddrinfo(host, 80)

    assert raised.value.errno == errno


async def test_no_answer_ends_a_look_up_too() -> None:
    async with FakeDns(silent=["test"]) as dns:
        with pytest.raises(socket.gaierror) as raised:
            await loop_asking(dns, timeout=0.05, tries=2).getaddrinfo("hung.test", 80)

    assert raised.value.errno == socket.EAI_AGAIN
    assert len(dns.queries) == 4  # A and AAAA, twice


async def test_a_lost_question_is_asked_again() -> None:
    silent = {"good.test"}
    async with FakeDns(GOOD, silent=silent) as dns:
        loop = loop_asking(dns, timeout=0.05)
        look_up = asyncio.create_task(loop.getaddrinfo("good.test", 80, family=socket.AF_INET))
        while not dns.queries:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.001)
        silent.clear()

        assert hosts(await look_up) == ["192.0.2.1"]


async def test_two_hundred_hung_names_hold_up_no_other() -> None:
    before = held()
    async with FakeDns({f"good{n}.test": ["192.0.2.1"] for n in range(50)}, silent=["hung.test"]) as dns:
        loop = loop_asking(dns)
        hung = await hung_look_ups(dns, loop, 200)
        started = time.perf_counter()
        good = [hosts(await loop.getaddrinfo(f"good{n}.test", 80)) for n in range(50)]
        seconds_each = (time.perf_counter() - started) / 50
        threads = held().threads - before.threads
        for look_up in hung:
            look_up.cancel()
        ended = await asyncio.gather(*hung, return_exceptions=True)

    assert good == [["192.0.2.1"]] * 50
    assert seconds_each < 0.2
    assert threads <= 1  # of pycares, which destroys the channels of the whole process
    assert {type(each) for each in ended} == {asyncio.CancelledError}


def test_a_loop_closes_at_once_while_look_ups_hang() -> None:
    async def hang() -> None:
        async with FakeDns(silent=["hung.test"]) as dns:
            loop = loop_asking(dns)
            for look_up in await hung_look_ups(dns, loop, 200):
                look_up.cancel()

    with asyncio.Runner(loop_factory=SidecarLoop) as runner:
        runner.run(hang())
        started = time.perf_counter()

    assert time.perf_counter() - started < 0.2


async def test_a_resolver_closed_amid_a_look_up_leaves_nothing() -> None:
    async with FakeDns(GOOD, silent=["hung.test"]) as dns:
        loop = loop_asking(dns)
        await loop.getaddrinfo("good.test", 80)  # starts the one thread in which pycares destroys channels
        before = held()
        resolver = new_resolver()
        found = await resolver.addresses("good.test")
        hung = asyncio.create_task(resolver.addresses("hung.test"))
        await asyncio.sleep(0)
        resolver.close()
        resolver.close()

        assert [node.addr[0] for node in found] == [b"192.0.2.1"]
        with pytest.raises(AresError, match="cancelled"):
            await hung
        await assert_held(before)
