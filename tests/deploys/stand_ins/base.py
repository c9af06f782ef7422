"""What the stand-ins share: HTTP on a real socket, what was accepted and refused, and how to misbehave.

    async with RollbarStandIn() as rollbar:
        rollbar.misbehave(Misbehaviour.UNAVAILABLE, times=2)
        ...  # a courier that knows `rollbar.url`
        await rollbar.until_accepted(1)

A subclass says in `answer` what the service does with a request; it raises `Refused` for what is broken.
"""

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, ClassVar, Final, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.network.fakes import Connection, Fake, talking

RETRY_AFTER: Final = 7
TOKEN: Final = "s3cret/with:odd@chars"
"""What every stand-in asks for, wherever its service wants a token."""


class Misbehaviour(StrEnum):
    """What a service may do instead of its work."""

    HANG = "takes the request and never answers"
    RATE_LIMIT = "answers 429 with Retry-After"
    UNAVAILABLE = "answers 503"
    FORBID = "answers 403"
    REDIRECT = "sends the client elsewhere"
    GARBAGE = "answers 200 with a page for people"
    POLITE = "answers 200, and says in the body that it refused"
    CLOSE = "closes without an answer"
    RESET = "resets the connection"
    NO_HTTP = "speaks another protocol"
    ENDLESS = "never ends its answer"
    LOSE_ANSWER = "does its work, and closes without an answer"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By name in lower case."""
    body: bytes

    def object(self) -> dict[str, Any]:
        """Return the JSON object of the body, sent as one."""
        kind = self.headers.get("content-type", "").partition(";")[0]
        expect(kind == "application/json", 415, f"the content type is {kind!r}")
        try:
            found = json.loads(self.body)
        except ValueError as error:
            raise Refused(400, "the body is no JSON") from error
        expect(isinstance(found, dict), 400, "the body is no object")
        return dict(found)


@dataclass(frozen=True)
class Said:
    """One answer."""

    code: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_bytes(self) -> bytes:
        """Return it as HTTP has it."""
        headers = {"Content-Length": str(len(self.body)), "Connection": "close", **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.code} So\r\n{head}\r\n".encode() + self.body


class Refused(Exception):
    """The request is not as the service documents it."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


def expect(condition: bool, code: int, why: str) -> None:
    """Refuse a request that breaks a rule."""
    if not condition:
        raise Refused(code, why)


def text_within(told: Mapping[str, Any], name: str, limit: int, *, is_required: bool = False) -> None:
    """Refuse a field that is no text, or too long a one."""
    if name not in told:
        expect(not is_required, 422, f"{name} is missing")
        return
    value = told[name]
    expect(isinstance(value, str) and 0 < len(value) <= limit, 422, f"{name} is no text of 1 to {limit}")


def only(told: Mapping[str, Any], known: set[str]) -> None:
    """Refuse a field that is not documented."""
    expect(not told.keys() - known, 422, f"unknown: {sorted(told.keys() - known)}")


class StandIn:
    """A service on a port of its own: `async with` serves it. Once left it may be served again."""

    polite: ClassVar[bytes] = b'{"ok": false}'
    """The body of an answer of 200 that is a refusal."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Asked] = []
        """Whatever came, in order; what was met with a misbehaviour too."""
        self.accepted: list[Any] = []
        """What the service has done, in order."""
        self.refusals: list[str] = []
        """Why requests were refused."""
        self._port = port
        self._tls = tls
        self._stack = contextlib.AsyncExitStack()
        self._misbehaviours: list[Misbehaviour] = []
        self._words: list[Said] = []
        self._always: Misbehaviour | None = None
        self._news = asyncio.Event()
        self._fake: Fake | None = None

    @property
    def fake(self) -> Fake:
        """Where it listens, with the counts of connections."""
        assert self._fake is not None
        return self._fake

    @property
    def url(self) -> str:
        """The base that the paths of the service stand under."""
        return f"{'https' if self._tls else 'http'}://{self.fake.host}:{self.fake.port}"

    def misbehave(self, how: Misbehaviour, *, times: int | None = None) -> None:
        """Misbehave for so many requests, or until told to `behave`."""
        if times is None:
            self._always = how
        else:
            self._misbehaviours += [how] * times

    def say(self, code: int, body: object) -> None:
        """Answer the next request with this, whatever it is: an object in JSON, a text as it stands."""
        self._words.append(Said(code, body.encode()) if isinstance(body, str) else in_json(body, code))

    def behave(self) -> None:
        """Be well from now on."""
        self._always = None
        self._misbehaviours = []

    async def until_accepted(self, times: int, *, within: float = 10.0) -> None:
        """Wait until so much has been done."""
        await self._until(lambda: len(self.accepted) >= times, within)

    async def until_asked(self, times: int, *, within: float = 10.0) -> None:
        """Wait until so many requests have come."""
        await self._until(lambda: len(self.requests) >= times, within)

    async def __aenter__(self) -> Self:
        self._fake = await self._stack.enter_async_context(
            talking(self._converse, tls=self._tls, port=self._port)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def answer(self, asked: Asked) -> Said:
        """Do what is asked for, and say so.

        Raises:
            Refused: the service would refuse it.
        """
        raise NotImplementedError

    def refuse(self, refused: Refused) -> Said:
        """Return how the service says no."""
        return in_json({"message": refused.why}, refused.code)

    async def _until(self, condition: Callable[[], bool], within: float) -> None:
        async with asyncio.timeout(within):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def _converse(self, connection: Connection) -> None:
        asked = await _read(connection)
        self.requests.append(asked)
        how = self._misbehaviours.pop(0) if self._misbehaviours else self._always
        if how in (None, Misbehaviour.LOSE_ANSWER):
            said = self._answer(asked)
            self._news.set()
            if how is None:
                await connection.send(said.as_bytes())
            return
        self._news.set()
        await self._misbehave(connection, how)

    def _answer(self, asked: Asked) -> Said:
        if self._words:
            return self._words.pop(0)
        try:
            return self.answer(asked)
        except Refused as refused:
            self.refusals.append(refused.why)
            return self.refuse(refused)

    async def _misbehave(self, connection: Connection, how: Misbehaviour) -> None:
        match how:
            case Misbehaviour.HANG:
                await connection.until_closed()
            case Misbehaviour.RESET:
                connection.reset()
            case Misbehaviour.NO_HTTP:
                await connection.send(b"220 mail.test ESMTP\r\n")
            case Misbehaviour.ENDLESS:
                await _speak_without_end(connection)
            case _ if how in self._sayings():
                await connection.send(self._sayings()[how].as_bytes())

    def _sayings(self) -> Mapping[Misbehaviour, Said]:
        return {
            Misbehaviour.RATE_LIMIT: Said(429, b"slow down", {"Retry-After": str(RETRY_AFTER)}),
            Misbehaviour.UNAVAILABLE: Said(503, b"<h1>Service Unavailable</h1>"),
            Misbehaviour.FORBID: Said(403, b"not you"),
            Misbehaviour.REDIRECT: Said(307, headers={"Location": f"{self.url}/elsewhere"}),
            Misbehaviour.GARBAGE: Said(200, b"<html>Please sign in to the network</html>"),
            Misbehaviour.POLITE: Said(200, self.polite, {"Content-Type": "application/json"}),
        }


def in_json(body: object, code: int = 200) -> Said:
    """Return an answer in JSON."""
    return Said(code, json.dumps(body).encode(), {"Content-Type": "application/json"})


async def _read(connection: Connection) -> Asked:
    head = (await connection.read_until(b"\r\n\r\n")).decode().splitlines()
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
    body = await connection.read_exactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Asked(method, unquote(parts.path), dict(parse_qsl(parts.query)), headers, body)


async def _speak_without_end(connection: Connection) -> None:
    """Send 4 MB, chunk by chunk, as fast as they are taken; then nothing more."""
    await connection.send(b"HTTP/1.1 200 So\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(64):
        await connection.send(b"x" * 65536)
    await connection.until_closed()
