"""Whatever bytes a client sends to our listeners, it gets no redirect, no secret and no crash, and soon.

The real listeners and the real site, over real sockets: the only 5xx is the 503 of a probe. A drain is
over at once, for `/drained` waits for it by design.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.config.model import DrainConfig, ServerConfig
from sidecar.core.check import Reason
from sidecar.core.verdict import Gate
from sidecar.runtime.drain import Drainer, Ending
from sidecar.runtime.pulse import Pulse
from sidecar.web.drains import DrainPages
from sidecar.web.listeners import LOOPBACK, bind, serving
from sidecar.web.probes import Probes
from sidecar.web.site import Site
from sidecar.web.status import StatusPage
from tests.boards import StoppedClock, board_of, check, failure, metrics_of, success
from tests.fuzz.bench import Bench, bench, told_of
from tests.fuzz.profile import tries

MESSAGE: Final = "what only the trusted may read"
SECRET: Final = "hunter22-of-a-client"
"""What a client says, and nobody repeats."""
ANSWERED_WITHIN: Final = 2.0
"""Seconds, on a machine that is busy; a client that says too little is cut off a little later than this."""
BOUNDS: Final = ServerConfig(read_timeout=0.05, write_timeout=0.5, idle_timeout=0.05)
PROBE: Final = re.compile(rb"(?:GET|HEAD) \S*/(?:livez|readyz|startupz|healthz)")


@pytest.fixture(scope="module")
def stage() -> Iterator[Bench]:
    with bench() as made:
        yield made


class Drained(Drainer):
    """One whose drains are over at once."""

    async def ended(self) -> Ending:
        """Wait for nothing."""
        return Ending.OVER


@asynccontextmanager
async def listening(*, is_trusted: bool) -> AsyncIterator[int]:
    """Serve a board with a check that is up, and one that is down; yield the port."""
    clock = StoppedClock()
    board = board_of(check("up", Gate.STARTUP), check("db", Gate.READINESS), clock=clock)
    board.record("up", success(clock))
    board.record("db", failure(clock, Reason.REFUSED, MESSAGE))
    pulse = Pulse(clock.clock)
    metrics = metrics_of(board, pulse, clock.clock)
    pages = dict(DrainPages(Drained(board, DrainConfig(), clock.clock), is_trusted=is_trusted).paths())
    if is_trusted:
        pages["/status"] = StatusPage(board, clock.clock).handle
    site = Site(board, Probes(board, pulse, clock.clock), metrics, is_trusted=is_trusted, pages=pages)
    sockets = bind(LOOPBACK, 0)
    async with serving(site.handle, sockets, bounds=BOUNDS, stop_within=0.1):
        yield sockets[0].getsockname()[1]


async def told(said: bytes, *, is_trusted: bool) -> bytes:
    """Return all that comes back for some bytes, until we hang up."""
    async with listening(is_trusted=is_trusted) as port, asyncio.timeout(ANSWERED_WITHIN):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(said)
            return await _rest(reader)
        finally:
            writer.transport.abort()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    received = b""
    try:
        while chunk := await reader.read(65536):
            received += chunk
    except ConnectionError:
        pass
    return received


METHODS = st.sampled_from(
    [
        b"GET",
        b"HEAD",
        b"POST",
        b"PUT",
        b"DELETE",
        b"OPTIONS",
        b"TRACE",
        b"CONNECT",
        b"PRI",
        b"get",
        b"G\x00T",
        b"",
    ]
)
PARTS = st.sampled_from(
    [
        b"/",
        b"livez",
        b"readyz",
        b"startupz",
        b"healthz",
        b"metrics",
        b"status",
        b"drain",
        b"drained",
        b"db",
        b"up",
        b"?",
        b"verbose",
        b"exclude=",
        b"&",
        b"=",
        b"%00",
        b"%2e%2e",
        b"..",
        b"%ff",
        b"%",
        b"#",
        b"http://h",
        b"*",
        b":80",
        b"@",
        b"\\",
        b"//",
        b"\xff",
        b"\xc3\xa9",
        b" ",
        b"\t",
        SECRET.encode(),
        b"x" * 2000,
    ]
)
TARGETS = st.lists(PARTS, max_size=6).map(b"".join).map(lambda target: target or b"/")
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 4 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9.9", b"HTTP/1.1 x", b""])
HEADERS = st.sampled_from(
    [
        b"Host: pod",
        b"Host: a, b",
        b"Host:",
        b"Connection: close",
        b"Connection: keep-alive, upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Key: x",
        b"Expect: 100-continue",
        b"Expect: x",
        b"Accept: application/json",
        b"Accept: ;q=,/",
        b"Accept: " + b"a/b;q=0.1," * 100,
        b"Accept: application/openmetrics-text",
        b"Content-Length: 5",
        b"Content-Length: -1",
        b"Content-Length: 5, 5",
        b"Content-Length: 9" + b"9" * 30,
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: x",
        b"Content-Encoding: deflate",
        b"X-Sidecar: 1",
        b"X-Sidecar: 0",
        b"Authorization: Bearer " + SECRET.encode(),
        b"Cookie: a=" + SECRET.encode(),
        b" folded",
        b"no colon",
        b": x",
        b"X-\x00: y",
        b"X: \xff\x00",
        b"X: " + b"y" * 9000,
    ]
)
BODIES = st.sampled_from(
    [b"", b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"5;x=y\r\nhello\r\n", b"\x1f\x8b\x08"]
)
ENDS = st.sampled_from([b"\r\n"] * 5 + [b"\n", b"\r"])


def request(
    method: bytes, target: bytes, version: bytes, headers: list[bytes], body: bytes, end: bytes
) -> bytes:
    return end.join([b" ".join([method, target, version]), *headers, b"", b""]) + body


REQUESTS = st.one_of(
    *[st.builds(request, METHODS, TARGETS, VERSIONS, st.lists(HEADERS, max_size=5), BODIES, ENDS)] * 4,
    st.binary(max_size=100),
    st.sampled_from(
        [b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" * 50, b"\0" * 100]
    ),
)
STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@pytest.mark.parametrize("is_trusted", [False, True])
@tries(150)
@given(said=st.lists(REQUESTS, min_size=1, max_size=3).map(b"".join))
@example(
    said=b"POST /drain HTTP/1.1\r\nHost: pod\r\nX-Sidecar: 1\r\n\r\nGET /readyz?verbose HTTP/1.1\r\n\r\n"
)
@example(said=b"GET /drained HTTP/1.1\r\nHost: pod\r\n\r\nPUT /drained?x HTTP/1.1\r\nHost: pod\r\n\r\n")
def test_whatever_a_client_says(stage: Bench, is_trusted: bool, said: bytes) -> None:
    answer = stage.run(told(said, is_trusted=is_trusted))

    codes = [int(code) for code in STATUS_LINE.findall(answer)]
    assert {*codes} <= {100, 200, 202, 204, 400, 403, 404, 405, 409, 411, 413, 417, 503}, answer
    assert codes.count(503) <= len(PROBE.findall(said)), answer
    assert not told_of(SECRET, answer.decode("latin-1"))
    assert is_trusted or MESSAGE.encode() not in answer
