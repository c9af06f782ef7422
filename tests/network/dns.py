"""A DNS server that answers, lies in wait, or keeps silent, over UDP and TCP on one port (RFC 1035)."""

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType
from typing import Final, Self

from tests.network.fakes import GARBAGE, Connection, Fake, talking


class Rcode(IntEnum):
    """What an answer may say instead of records."""

    NOERROR = 0
    SERVFAIL = 2
    NXDOMAIN = 3
    REFUSED = 5


_TYPES: Final = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
_NAMES: Final = {number: name for name, number in _TYPES.items()}
_RESPONSE: Final = 0x8580  # QR, AA, RD, RA
_TRUNCATED: Final = 0x0200


@dataclass(frozen=True, slots=True)
class Query:
    """One question that came in."""

    name: str
    type: str
    over_tcp: bool


class FakeDns:
    """A DNS server: `async with FakeDns({"good.test": ["127.0.0.1"]}) as dns:`, then ask `dns.address`.

    Args:
        records: By name, each an address, or a type and its data as a zone file has them: `CNAME good.test`,
            `TXT hello`, `MX 10 mail.test`, `SRV 0 0 443 good.test`. A name without a record of the type asked
            for has none (NOERROR); a name that is not here does not exist (NXDOMAIN).
        silent: Names that are never answered for, and all names below them.
        slow: Seconds that an answer for a name, and all names below it, takes.
        failing: What to answer for a name instead of records.
        truncated: Names for which UDP answers only that TCP has more to say.
        ttl: Seconds that whoever asked may keep an answer.
    """

    address: Fake
    """Where to ask."""

    def __init__(
        self,
        records: Mapping[str, Sequence[str]] | None = None,
        *,
        silent: Collection[str] = (),
        slow: Mapping[str, float] | None = None,
        failing: Mapping[str, Rcode] | None = None,
        truncated: Collection[str] = (),
        ttl: int = 60,
    ) -> None:
        self._records = dict(records or {})
        self._silent = silent
        self._slow = dict(slow or {})
        self._failing = dict(failing or {})
        self._truncated = truncated
        self._ttl = ttl
        self._garbled: Collection[str] = ()
        self._stack = contextlib.AsyncExitStack()
        self._udp = contextlib.ExitStack()
        self._answers: set[asyncio.Task[None]] = set()
        self.queries: list[Query] = []

    async def __aenter__(self) -> Self:
        self.address = await self._stack.enter_async_context(talking(self._talk))
        self._stack.enter_context(self._udp)
        self._udp.enter_context(self._listening())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for answer in self._answers:
            answer.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)
        await self._stack.aclose()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.setblocking(False)
            udp.bind((self.address.host, self.address.port))
            loop.add_reader(udp, self._receive, udp)
            try:
                yield
            finally:
                loop.remove_reader(udp)

    @contextlib.contextmanager
    def trouble(
        self,
        *,
        silent: Collection[str] = (),
        slow: Mapping[str, float] | None = None,
        failing: Mapping[str, Rcode] | None = None,
        garbled: Collection[str] = (),
    ) -> Iterator[None]:
        """Answer for these names as the options of those names say, or with nonsense, inside the block."""
        before = self._silent, self._slow, self._failing
        self._silent, self._slow, self._failing = silent, dict(slow or {}), dict(failing or {})
        self._garbled = garbled
        try:
            yield
        finally:
            self._silent, self._slow, self._failing = before
            self._garbled = ()

    @contextlib.contextmanager
    def refuse(self) -> Iterator[None]:
        """Listen on the port no more, until the end of the block."""
        self.address.shut()
        self._udp.close()
        try:
            yield
        finally:
            self.address.open()
            self._udp.enter_context(self._listening())

    def _receive(self, udp: socket.socket) -> None:
        packet, client = udp.recvfrom(65536)
        answer = asyncio.create_task(self._answer(udp, packet, client), name="fake-dns")
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

    async def _answer(self, udp: socket.socket, packet: bytes, client: tuple[str, int]) -> None:
        reply = await self._reply(packet, over_tcp=False)
        if reply is not None and udp.fileno() >= 0:
            udp.sendto(reply, client)

    async def _talk(self, connection: Connection) -> None:
        while True:
            (length,) = struct.unpack("!H", await connection.read_exactly(2))
            reply = await self._reply(await connection.read_exactly(length), over_tcp=True)
            if reply is None:
                await connection.until_closed()
                return
            await connection.send(struct.pack("!H", len(reply)) + reply)

    async def _reply(self, packet: bytes, *, over_tcp: bool) -> bytes | None:
        identity, question, name, kind = _read_question(packet)
        self.queries.append(Query(name, _NAMES.get(kind, str(kind)), over_tcp))
        if _closest(name, self._silent) is not None:
            return None
        delayed = _closest(name, self._slow)
        if delayed is not None:
            await asyncio.sleep(self._slow[delayed])
        if name in self._garbled:
            return GARBAGE
        if name in self._truncated and not over_tcp:
            return struct.pack("!6H", identity, _RESPONSE | _TRUNCATED, 1, 0, 0, 0) + question
        rcode = self._failing.get(name, Rcode.NOERROR if name in self._records else Rcode.NXDOMAIN)
        answers = [] if rcode else list(self._matching(name, kind))
        return (
            struct.pack("!6H", identity, _RESPONSE | rcode, 1, len(answers), 0, 0)
            + question
            + b"".join(answers)
        )

    def _matching(self, name: str, kind: int) -> Iterator[bytes]:
        """Yield the records of a type for a name, and for the name that it stands for."""
        for text in self._records.get(name, ()):
            its_kind, data = _parse(text)
            if its_kind in (kind, _TYPES["CNAME"]):
                yield _encode_name(name) + struct.pack("!HHIH", its_kind, 1, self._ttl, len(data)) + data
            if its_kind == _TYPES["CNAME"] != kind:
                yield from self._matching(text.split()[1].rstrip("."), kind)


def _closest(name: str, names: Collection[str]) -> str | None:
    """Return the name itself, or the closest name above it, that is one of the names."""
    labels = name.split(".")
    candidates = (".".join(labels[start:]) for start in range(len(labels)))
    return next((candidate for candidate in candidates if candidate in names), None)


def _read_question(packet: bytes) -> tuple[int, bytes, str, int]:
    """Return identity, the question's bytes, its name in lower case, and its type."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode("ascii"))
        at += 1 + packet[at]
    (kind,) = struct.unpack_from("!H", packet, at + 1)
    return struct.unpack_from("!H", packet)[0], packet[12 : at + 5], ".".join(labels).lower(), kind


def _parse(text: str) -> tuple[int, bytes]:
    """Return type and data of a record."""
    kind, _, rest = text.partition(" ")
    match kind, rest.split():
        case "TXT", _:
            return _TYPES[kind], bytes([len(rest)]) + rest.encode()
        case "CNAME" | "NS" | "PTR", [target]:
            return _TYPES[kind], _encode_name(target)
        case "MX", [preference, target]:
            return _TYPES[kind], struct.pack("!H", int(preference)) + _encode_name(target)
        case "SRV", [priority, weight, port, target]:
            numbers = struct.pack("!3H", int(priority), int(weight), int(port))
            return _TYPES[kind], numbers + _encode_name(target)
        case _:
            address = ipaddress.ip_address(text)
            return _TYPES["A" if address.version == 4 else "AAAA"], address.packed


def _encode_name(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\x00"
