"""The fakes do what they promise, as a plain client sees it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace

import pytest

from tests.network import (
    Address,
    Connection,
    Fake,
    Fault,
    Proxy,
    black_hole,
    dripping,
    endless,
    garbage,
    half_closing,
    refused,
    resetting,
    silent,
    talking,
)
from tests.network.fakes import GARBAGE
from tests.network.tls import Certificates, server_context

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
QUIET = 0.05
"""Seconds of silence that are taken for silence."""


@asynccontextmanager
async def client(address: Address, context: ssl.SSLContext | None = None) -> AsyncIterator[Streams]:
    """Connect as any client does."""
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def echo(connection: Connection) -> None:
    """Answer everything with itself."""
    while data := await connection.read():
        await connection.send(data)


async def assert_says_nothing(reader: asyncio.StreamReader) -> None:
    """Assert that nothing comes: neither a byte nor an end."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), QUIET)


async def test_refused_refuses_while_it_lasts() -> None:
    async with refused() as address:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(address.host, address.port)


async def test_black_hole_keeps_connectors_waiting() -> None:
    async with black_hole() as address:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection(address.host, address.port), QUIET)


async def test_silent_takes_and_never_speaks() -> None:
    async with silent() as address, client(address) as (reader, writer):
        writer.write(b"hello")
        await assert_says_nothing(reader)

        assert (address.connections, address.open_connections, address.bytes_received) == (1, 1, 5)


@pytest.mark.parametrize("make", [silent, garbage, dripping, half_closing, endless])
async def test_connection_is_open_until_the_client_closes(
    make: Callable[[], AbstractAsyncContextManager[Fake]],
) -> None:
    async with make() as address:
        async with client(address) as (_, writer):
            writer.write(b"hello")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(address.emptied(), QUIET)
        await asyncio.wait_for(address.emptied(), 5)

        assert address.open_connections == 0


@pytest.mark.parametrize("after_bytes", [0, 5])
async def test_resetting_resets(after_bytes: int) -> None:
    async with resetting(after_bytes=after_bytes) as address, client(address) as (reader, writer):
        writer.write(b"hello")
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_garbage_answers_nonsense_at_once_and_again() -> None:
    async with garbage() as address, client(address) as (reader, writer):
        unasked = await reader.readexactly(len(GARBAGE))
        writer.write(b"what?")
        asked = await reader.readexactly(len(GARBAGE))

        assert (unasked, asked) == (GARBAGE, GARBAGE)


async def test_dripping_speaks_a_byte_at_a_time() -> None:
    async with dripping(b"abc", interval=QUIET) as address, client(address) as (reader, _):
        loop = asyncio.get_running_loop()
        started = loop.time()
        pieces = [await reader.read(100) for _ in range(3)]

        assert pieces == [b"a", b"b", b"c"]
        assert loop.time() - started >= 2 * QUIET


async def test_half_closing_ends_its_half_and_listens_on() -> None:
    async with half_closing(b"bye") as address, client(address) as (reader, writer):
        said = await reader.read()
        writer.write(b"still there?")
        await writer.drain()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(address.emptied(), QUIET)

        assert (said, address.bytes_received) == (b"bye", 12)


async def test_endless_does_not_end() -> None:
    async with endless() as address, client(address) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n")

        assert len(await reader.readexactly(500_000)) == 500_000


async def test_failing_script_fails_the_test() -> None:
    async def wrong(connection: Connection) -> None:
        assert await connection.read() == b"what I expected"

    async def converse() -> None:
        async with talking(wrong) as address, client(address) as (reader, writer):
            writer.write(b"something else")
            with suppress(ConnectionResetError):
                await reader.read()

    with pytest.raises(AssertionError):
        await converse()


async def test_proxy_passes_and_counts() -> None:
    async with talking(echo) as target, Proxy(target) as proxy:
        async with client(proxy.address) as (reader, writer):
            writer.write(b"hello")
            answer = await reader.readexactly(5)
        await proxy.address.emptied()
        await target.emptied()

        seen = proxy.address
        assert answer == b"hello"
        assert (seen.connections, seen.bytes_received, seen.bytes_sent) == (1, 5, 5)


async def test_proxy_tells_of_a_target_that_refuses_by_a_reset() -> None:
    async with refused() as target, Proxy(target) as proxy, client(proxy.address) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_proxy_ends_with_its_target() -> None:
    async with resetting(after_bytes=1) as target, Proxy(target) as proxy, client(proxy.address) as streams:
        reader, writer = streams
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()


@pytest.mark.parametrize("fault", Fault)
async def test_proxy_is_whole_again_after_a_fault(fault: Fault) -> None:
    async with talking(echo) as target, Proxy(target) as proxy:
        with proxy.fault(fault), suppress(OSError, EOFError):
            await asyncio.wait_for(_ask(proxy.address), QUIET)

        assert await asyncio.wait_for(_ask(proxy.address), 5) == b"hello"


@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.BLACK_HOLE])
async def test_stalling_proxy_delivers_late(fault: Fault) -> None:
    async with talking(echo) as target, Proxy(target) as proxy, client(proxy.address) as (reader, writer):
        with proxy.fault(fault):
            writer.write(b"hello")
            await assert_says_nothing(reader)

        assert await reader.readexactly(5) == b"hello"


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.RESETTING])
async def test_fault_resets_open_connections(fault: Fault) -> None:
    async with talking(echo) as target, Proxy(target) as proxy, client(proxy.address) as (reader, writer):
        writer.write(b"hello")
        await reader.readexactly(5)
        with proxy.fault(fault), pytest.raises(ConnectionResetError):
            await reader.read()


async def test_fault_spoils_open_connections() -> None:
    async with talking(echo) as target, Proxy(target) as proxy, client(proxy.address) as (reader, writer):
        writer.write(b"hello")
        await reader.readexactly(5)
        with proxy.fault("garbage"):
            assert await reader.readexactly(len(GARBAGE)) == GARBAGE


async def test_cut_resets_open_connections_only() -> None:
    async with talking(echo) as target, Proxy(target) as proxy, client(proxy.address) as (reader, writer):
        writer.write(b"hello")
        await reader.readexactly(5)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.read()

        assert await _ask(proxy.address) == b"hello"


async def test_reply_is_cut_short_by_a_reset() -> None:
    async with talking(echo) as target, Proxy(target) as proxy, client(proxy.address) as (reader, writer):
        with proxy.fault(Fault.CUT_SHORT):
            writer.write(b"hello")
            assert await reader.readexactly(2) == b"he"
            with pytest.raises(ConnectionResetError):
                await reader.read()


async def test_proxy_leads_new_connections_to_another_server() -> None:
    async with talking(echo) as one, talking(echo) as other, Proxy(one) as proxy:
        async with client(proxy.address) as (reader, writer):
            writer.write(b"hello")
            await reader.readexactly(5)
            proxy.lead_to(other)
            with pytest.raises(ConnectionResetError):
                await reader.read()
        answer = await _ask(proxy.address)

    assert (answer, one.connections, other.connections) == (b"hello", 1, 1)


async def test_proxy_under_black_hole_answers_no_connector() -> None:
    async with talking(echo) as target, Proxy(target) as proxy:
        with proxy.fault("black hole"), pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection(proxy.address.host, proxy.address.port), QUIET)


async def _ask(address: Address, context: ssl.SSLContext | None = None) -> bytes:
    async with client(address, context) as (reader, writer):
        writer.write(b"hello")
        return await reader.readexactly(5)


@pytest.mark.parametrize("name", ["good", "soon_expiring"])
async def test_good_certificate_is_believed(name: str, certificates: Certificates) -> None:
    trusting = ssl.create_default_context(cafile=certificates.ca)
    async with talking(echo, tls=server_context(getattr(certificates, name))) as address:
        assert await _ask(address, trusting) == b"hello"


async def test_server_that_wants_a_certificate_believes_its_clients(certificates: Certificates) -> None:
    strict = replace(certificates.good, wants_client_certificate=True)
    context = ssl.create_default_context(cafile=certificates.ca)
    context.load_cert_chain(certificates.client.cert, certificates.client.key)
    async with talking(echo, tls=server_context(strict)) as address:
        assert await _ask(address, context) == b"hello"


async def test_server_that_wants_a_certificate_refuses_strangers(certificates: Certificates) -> None:
    strict = replace(certificates.good, wants_client_certificate=True)
    context = ssl.create_default_context(cafile=certificates.ca)
    context.load_cert_chain(certificates.stranger.cert, certificates.stranger.key)
    async with talking(echo, tls=server_context(strict)) as address:
        with pytest.raises((ssl.SSLError, ConnectionResetError, asyncio.IncompleteReadError)):
            await _ask(address, context)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("expired", "expired"),
        ("not_yet_valid", "not yet valid"),
        ("wrong_name", "doesn't match|IP address mismatch"),
        ("unknown_ca", "unable to get local issuer|self.signed"),
    ],
)
async def test_bad_certificate_is_refused(name: str, complaint: str, certificates: Certificates) -> None:
    trusting = ssl.create_default_context(cafile=certificates.ca)
    async with silent(tls=server_context(getattr(certificates, name))) as address:
        with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
            await asyncio.open_connection(address.host, address.port, ssl=trusting)
