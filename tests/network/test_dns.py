"""The DNS server says what it was told to say, to the resolver that the sidecar uses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import aiodns
import pytest

from tests.network import FakeDns
from tests.network.dns import Query, Rcode


@asynccontextmanager
async def asking(dns: FakeDns, *, patience: float = 5.0) -> AsyncIterator[aiodns.DNSResolver]:
    """Yield a resolver that asks only this server, once."""
    resolver = aiodns.DNSResolver(nameservers=[str(dns.address)], timeout=patience, tries=1)
    try:
        yield resolver
    finally:
        await resolver.close()


async def ask(dns: FakeDns, name: str, kind: str = "A", *, patience: float = 5.0) -> list[dict[str, object]]:
    """Return the data of each record in the answer."""
    async with asking(dns, patience=patience) as resolver:
        found = await resolver.query_dns(name, kind)
    return [asdict(record.data) for record in found.answer]


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("A", [{"addr": "192.0.2.1"}, {"addr": "192.0.2.2"}]),
        ("AAAA", [{"addr": "2001:db8::1"}]),
        ("TXT", [{"data": b"hello world"}]),
        ("MX", [{"priority": 10, "exchange": "mail.test"}]),
        ("SRV", [{"priority": 1, "weight": 2, "port": 443, "target": "www.test"}]),
    ],
)
async def test_answers_each_type_with_its_records(kind: str, answer: list[dict[str, object]]) -> None:
    records = [
        "192.0.2.1",
        "192.0.2.2",
        "2001:db8::1",
        "TXT hello world",
        "MX 10 mail.test",
        "SRV 1 2 443 www.test",
    ]
    async with FakeDns({"good.test": records}) as dns:
        assert await ask(dns, "good.test", kind) == answer


async def test_follows_an_alias() -> None:
    async with FakeDns({"www.test": ["CNAME good.test"], "good.test": ["192.0.2.1"]}) as dns:
        assert await ask(dns, "www.test") == [{"cname": "good.test"}, {"addr": "192.0.2.1"}]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nowhere.test", aiodns.error.ARES_ENOTFOUND),
        ("six.test", aiodns.error.ARES_ENODATA),
        ("broken.test", aiodns.error.ARES_ESERVFAIL),
        ("closed.test", aiodns.error.ARES_EREFUSED),
        ("hangs.test", aiodns.error.ARES_ETIMEOUT),
        ("deep.below.hangs.test", aiodns.error.ARES_ETIMEOUT),
    ],
)
async def test_fails_as_told(name: str, code: int) -> None:
    failing = {"broken.test": Rcode.SERVFAIL, "closed.test": Rcode.REFUSED}
    async with FakeDns({"six.test": ["2001:db8::1"]}, silent={"hangs.test"}, failing=failing) as dns:
        with pytest.raises(aiodns.error.DNSError) as raised:
            await ask(dns, name, patience=0.3)

        assert raised.value.args[0] == code


async def test_slow_name_answers_late_and_holds_up_no_other() -> None:
    records = {"slow.test": ["192.0.2.1"], "quick.test": ["192.0.2.2"]}
    async with FakeDns(records, slow={"slow.test": 0.2}) as dns, asking(dns) as resolver:
        slow = asyncio.ensure_future(resolver.query_dns("slow.test", "A"))
        quick = await resolver.query_dns("quick.test", "A")
        was_slow = not slow.done()
        late = await slow

        assert (len(quick.answer), was_slow, len(late.answer)) == (1, True, 1)


async def test_trouble_begins_and_ends() -> None:
    async with FakeDns({"good.test": ["192.0.2.1"]}, ttl=0) as dns:
        for trouble in (
            dns.trouble(failing={"good.test": Rcode.NXDOMAIN}),
            dns.trouble(garbled=["good.test"]),
            dns.refuse(),
        ):
            with trouble, pytest.raises(aiodns.error.DNSError):
                await ask(dns, "good.test", patience=0.3)

        assert await ask(dns, "good.test") == [{"addr": "192.0.2.1"}]


async def test_truncated_answer_is_whole_over_tcp() -> None:
    async with FakeDns({"long.test": ["192.0.2.1"]}, truncated={"long.test"}) as dns:
        answer = await ask(dns, "long.test")
        await dns.address.emptied()

        assert answer == [{"addr": "192.0.2.1"}]
        assert dns.queries == [Query("long.test", "A", over_tcp=over_tcp) for over_tcp in (False, True)]
