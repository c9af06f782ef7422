"""What a slow, hostile or heavy client may cost: each bound, with clients on raw sockets."""

import asyncio
import gc
import logging
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from sidecar.config.model import ServerConfig
from sidecar.web.connection import Connection, Crowd, affordable
from sidecar.web.listeners import LOOPBACK, bind, serving

REQUEST = b"GET /readyz HTTP/1.1\r\nHost: pod\r\n\r\n"
POST = b"POST /readyz HTTP/1.1\r\nHost: pod\r\n"
BIG = 16 << 20
"""Bytes of an answer that no kernel takes off us as a whole."""
SOON, LATE = 0.15, 30.0
"""Seconds: a bound under test, and those that are not."""


@dataclass
class Client:
    """A connection of which nothing is read unless a test says so."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """Return the body of the next response."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        return await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Return what still comes until the server ends the connection."""
        received = b""
        try:
            while chunk := await self.reader.read(1 << 20):
                received += chunk
        except ConnectionResetError:
            pass
        return received

    async def drip(self, data: bytes) -> None:
        """Send a byte every 10 ms until the server ends the connection."""
        try:
            for each in data:
                await self.send(bytes([each]))
                await asyncio.sleep(0.01)
        except ConnectionError:
            return
        raise AssertionError("nobody stopped the drip")


@dataclass
class Stage:
    """A server whose answers a test controls, and its clients."""

    port: int
    asked: int = 0
    body: bytes = b"ok"
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)
    clients: list[Client] = field(default_factory=list)
    unsent: list[int] = field(default_factory=list)
    """Bytes of earlier answers that had not left when a request began to be handled."""

    async def handle(self, request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        self.asked += 1
        self.unsent.append(request.transport.get_write_buffer_size())
        self.is_asked.set()
        await self.may_answer.wait()
        return web.Response(body=self.body)

    async def client(self, *, receive_buffer: int | None = None) -> Client:
        raw = socket.socket()
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.connect(("127.0.0.1", self.port))
        self.clients.append(Client(*await asyncio.open_connection(sock=raw, limit=4096)))
        return self.clients[-1]


@asynccontextmanager
async def stage(**bounds: Any) -> AsyncIterator[Stage]:
    """A server that answers at once, with these bounds and those that no test waits for."""
    sockets = bind(LOOPBACK, 0)
    served = Stage(sockets[0].getsockname()[1])
    served.may_answer.set()
    lax = {"read_timeout": LATE, "write_timeout": LATE, "idle_timeout": LATE}
    config = ServerConfig(**{**lax, **bounds})
    async with asyncio.timeout(8), serving(served.handle, sockets, bounds=config, stop_within=0.1):
        try:
            yield served
        finally:
            for each in served.clients:
                each.writer.transport.abort()


async def test_a_head_that_drips_is_cut_off() -> None:
    async with stage(read_timeout=SOON) as served:
        client = await served.client()

        await client.drip(b"GET /readyz HTTP/1.1\r\nHost: " + b"x" * 1000)

    assert served.asked == 0


async def test_a_head_that_drips_behind_a_good_request_is_cut_off() -> None:
    async with stage(read_timeout=SOON) as served:
        client = await served.client()
        await client.send(REQUEST)
        await client.answer()

        await client.drip(b"GET /readyz HTTP/1.1\r\nHost: " + b"x" * 1000)

    assert served.asked == 1


async def test_a_head_that_stops_half_way_is_cut_off() -> None:
    async with stage(read_timeout=SOON) as served:
        client = await served.client()
        await client.send(REQUEST[:-1])

        rest = await client.rest()

    assert (rest, served.asked) == (b"", 0)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 9000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n2328\r\n"]
)
async def test_a_body_that_drips_is_answered_without_it_and_cut_off(framing: bytes) -> None:
    async with stage(read_timeout=SOON) as served:
        client = await served.client()
        await client.send(POST + framing)
        body = await client.answer()

        await client.drip(b"x" * 1000)

    assert (body, served.asked) == (b"ok", 1)


async def test_a_body_that_never_comes_is_cut_off() -> None:
    async with stage(read_timeout=SOON) as served:
        client = await served.client()
        await client.send(POST + b"Content-Length: 9000\r\n\r\n")

        rest = await client.rest()

    assert rest.endswith(b"ok")


async def test_a_request_in_pieces_that_come_in_time_leaves_a_connection_that_stays() -> None:
    async with stage(read_timeout=SOON) as served:
        client = await served.client()
        for piece in (REQUEST[:9], REQUEST[9:20], REQUEST[20:]):
            await client.send(piece)
            await asyncio.sleep(0.01)
        await client.answer()
        await asyncio.sleep(2 * SOON)
        await client.send(REQUEST)

        body = await client.answer()

    assert body == b"ok"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1000) for n in range(100)),
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
        b"GET /" + b"x" * 1_000_000,
        b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000,
        b"\r\n" * 500_000,
    ],
    ids=["many-lines", "countless-lines", "long-target", "long-line", "blank-lines"],
)
async def test_a_head_beyond_the_limit_never_reaches_the_handler(head: bytes) -> None:
    async with stage(max_request_bytes=16_384) as served:
        client = await served.client()
        sending = asyncio.create_task(client.send(head))

        rest = await client.rest()
        await asyncio.wait([sending])

    assert served.asked == 0
    assert rest[:16] in (b"", b"HTTP/1.0 400 Bad")
    assert sending.exception() is None or isinstance(sending.exception(), ConnectionError)


async def test_a_body_beyond_the_limit_is_cut_off_long_before_its_end() -> None:
    async with stage(max_request_bytes=16_384) as served:
        client = await served.client()
        await client.send(POST + b"Content-Length: 1000000000\r\n\r\n")
        await client.answer()

        with pytest.raises(ConnectionError):
            await client.send(b"x" * 100_000_000)


async def test_a_request_that_is_handled_outlives_every_bound() -> None:
    async with stage(read_timeout=SOON, write_timeout=SOON, idle_timeout=SOON) as served:
        served.may_answer.clear()
        plain, with_a_body = await served.client(), await served.client()
        await plain.send(REQUEST)
        await with_a_body.send(POST + b"Content-Length: 4\r\n\r\n")
        await asyncio.sleep(SOON / 2)
        await with_a_body.send(b"ab")
        await asyncio.sleep(3 * SOON)
        served.may_answer.set()

        bodies = [await plain.answer(), await with_a_body.answer()]

    assert bodies == [b"ok", b"ok"]


@pytest.mark.parametrize("requests", [0, 1])
async def test_an_idle_connection_is_closed(requests: int) -> None:
    async with stage(idle_timeout=SOON) as served:
        client = await served.client()
        await client.send(REQUEST * requests)

        rest = await client.rest()

    assert rest.count(b"ok") == requests


@pytest.mark.parametrize("last", [b"", b"Connection: close\r\n"])
async def test_an_answer_that_nobody_reads_is_cut_off(last: bytes) -> None:
    async with stage(write_timeout=SOON) as served:
        served.body = b"x" * BIG
        client = await served.client(receive_buffer=4096)
        await client.send(REQUEST[:-2] + last + b"\r\n")
        await served.is_asked.wait()
        await asyncio.sleep(2 * SOON)

        rest = await client.rest()

    assert len(rest) < BIG


async def test_an_answer_that_is_read_in_time_leaves_a_connection_that_stays() -> None:
    async with stage(write_timeout=8 * SOON) as served:
        served.body = b"x" * BIG
        client = await served.client()
        await client.send(REQUEST)
        await served.is_asked.wait()
        await asyncio.sleep(SOON / 2)
        first = await client.answer()
        served.body = b"ok"
        await asyncio.sleep(9 * SOON)
        await client.send(REQUEST)

        assert (len(first), await client.answer()) == (BIG, b"ok")


async def test_no_answer_is_made_before_the_one_ahead_of_it_has_left() -> None:
    async with stage(write_timeout=SOON) as served:
        served.body = b"x" * 10_000
        client = await served.client(receive_buffer=4096)
        await client.send(REQUEST * 300)
        await served.is_asked.wait()
        await asyncio.sleep(3 * SOON)
        await client.rest()

    assert 1 < served.asked < 300
    assert set(served.unsent) == {0}


async def test_one_connection_too_many_closes_the_one_without_a_request_for_longest() -> None:
    async with stage(max_connections=3) as served:
        clients = [await served.client() for _ in range(3)]
        for each in (clients[1], clients[0], clients[2]):
            await each.send(REQUEST)
            await each.answer()
        newcomer = await served.client()

        assert await clients[1].rest() == b""
        for each in (clients[0], clients[2], newcomer):
            await each.send(REQUEST)
            assert await each.answer() == b"ok"


async def test_a_connection_whose_request_is_handled_makes_no_room_and_a_newcomer_then_finds_none() -> None:
    async with stage(max_connections=2) as served:
        served.may_answer.clear()
        waiting = [await served.client() for _ in range(2)]
        for each in waiting:
            await each.send(REQUEST)
        while served.asked < 2:
            served.is_asked.clear()
            await served.is_asked.wait()
        newcomer = await served.client()

        assert await newcomer.rest() == b""
        served.may_answer.set()
        assert [await each.answer() for each in waiting] == [b"ok", b"ok"]


async def test_one_unread_answer_too_many_cuts_off_the_first() -> None:
    async with stage(max_unread=2) as served:
        served.body = b"x" * BIG
        clients = []
        for n in range(3):
            clients.append(await served.client(receive_buffer=4096))
            await clients[-1].send(REQUEST)
            while served.asked <= n:
                served.is_asked.clear()
                await served.is_asked.wait()
        cut = await clients[0].rest()

        assert len(cut) < BIG
        assert [len(await each.answer()) for each in clients[1:]] == [BIG, BIG]


async def test_a_client_that_has_read_after_all_is_no_longer_one_of_the_unread() -> None:
    async with stage(max_unread=1) as served:
        served.body = b"x" * BIG
        late, blocked = await served.client(receive_buffer=4096), await served.client(receive_buffer=4096)
        await late.send(REQUEST)
        await late.answer()
        served.is_asked.clear()
        await blocked.send(REQUEST)
        await served.is_asked.wait()
        await asyncio.sleep(SOON)
        served.body = b"ok"
        await late.send(REQUEST)

        assert await late.answer() == b"ok"


def test_a_connection_that_has_left_does_not_come_back_by_what_it_still_says() -> None:
    crowd, gone, guest = Crowd(room=1, room_unread=1), FakeConnection(), FakeConnection()
    crowd.join(gone)
    crowd.leave(gone)
    crowd.hear(gone)
    crowd.join(guest)

    assert (gone.is_cut_off, guest.is_cut_off) == (False, False)


class FakeConnection(Connection):
    """A connection that nobody made."""

    def __init__(self) -> None:
        self.is_cut_off = False
        self._current_request = None

    def cut_off(self) -> None:
        self.is_cut_off = True


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello \r\n\r\n",
        b"<script>alert(1)</script>\r\n\r\n",
        REQUEST + b"<script>alert(1)</script>\r\n\r\n" * 50,
        b"GET / HTTP/1.1\r\nHost pod <script>\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: <script>\r\n\r\n",
    ],
    ids=["tls", "no-method", "behind-a-request", "header-without-colon", "no-length"],
)
async def test_garbage_gets_one_plain_400_that_quotes_nothing_and_names_no_version(garbage: bytes) -> None:
    async with stage() as served:
        client = await served.client()
        await client.send(garbage)

        *_, answer = (await client.rest()).partition(b"HTTP/1.0 400")

    assert answer.endswith(b"\r\n\r\nbad request\n")
    assert b"Server: sidecar\r\n" in answer
    assert (b"script" in answer, b"aiohttp" in answer, answer.count(b"HTTP/1")) == (False, False, 0)


async def test_a_crash_of_ours_is_a_plain_500_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with stage() as served:
        served.body = object()  # type: ignore[assignment]  # of which no response can be made
        answers = []
        for _ in range(3):
            client = await served.client()
            await client.send(REQUEST)
            answers.append(await client.answer())

    assert answers == [b"500 Internal Server Error\n\nServer got itself in trouble"] * 3
    told = [record for record in caplog.records if record.name == "sidecar.web"]
    assert [(each.levelname, each.message, each.exc_info is not None) for each in told] == [
        ("ERROR", "answering a request crashed", True)
    ]


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(resource.RLIM_INFINITY, 1000), (1 << 20, 1000), (1024, 256), (3, 1)],
)
def test_a_listener_takes_a_quarter_of_the_descriptors_at_most(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, connections: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", {resource.RLIMIT_NOFILE: (descriptors, 1 << 20)}.__getitem__)

    assert affordable(1000) == connections


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        REQUEST[:-1],
        b"garbage\r\n\r\n",
        b"GET /" + b"x" * 1_000_000,
    ],
    ids=["answered", "unfinished", "garbage", "endless"],
)
async def test_no_connection_leaves_a_cycle_that_waits_for_the_collector(
    caplog: pytest.LogCaptureFixture, request_: bytes
) -> None:
    caplog.set_level(
        logging.CRITICAL, logger="aiohttp"
    )  # as in the process; a record would keep its traceback
    async with stage() as served:
        gc.collect()
        gc.disable()
        try:
            client = await served.client()
            with suppress(ConnectionError):
                await client.send(request_)
            with suppress(TimeoutError):
                await asyncio.wait_for(client.rest(), SOON)
            client.writer.transport.abort()
            await asyncio.sleep(SOON / 3)

            assert [each for each in gc.get_objects() if type(each) is Connection] == []
        finally:
            gc.enable()


def test_aiohttp_still_counts_requests_and_keeps_the_current_one_where_we_look() -> None:
    assert {"_request_count", "_current_request", "_messages"} <= set(web.RequestHandler.__slots__)
