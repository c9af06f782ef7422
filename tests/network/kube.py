"""A cluster's API: real bytes over TLS on a loopback socket; it answers as told and remembers who asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from typing import Any, Final, TypeVar

from tests.network.fakes import Connection, Fake, talking
from tests.network.tls import Certificates, server_context

CREATED: Final = 201
SILENCE: Final = b""
"""An answer that never comes."""


@dataclass(frozen=True)
class Request:
    """What somebody asked."""

    line: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class FakeApi:
    """Answers each request with the next of `answers`, and with a 201 when there is none left."""

    fake: Fake | None = None
    answers: list[bytes] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    usual: bytes = field(default_factory=lambda: answer(CREATED))
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> str:
        """Where it listens, `host:port`."""
        assert self.fake is not None
        return f"{self.fake.host}:{self.fake.port}"

    @property
    def environ(self) -> dict[str, str]:
        """What the kubelet, and the shipped manifest, put into a container's environment."""
        assert self.fake is not None
        return {
            "KUBERNETES_SERVICE_HOST": self.fake.host,
            "KUBERNETES_SERVICE_PORT": str(self.fake.port),
            "POD_NAME": "builds-0",
            "POD_NAMESPACE": "ci",
            "POD_UID": "0c0ffee0-1",
        }

    async def until_asked(self, times: int, *, within: float = 10.0) -> Request:
        """Wait until so many requests have come; return the last of them."""
        async with asyncio.timeout(within):
            while len(self.requests) < times:
                self._arrived.clear()
                await self._arrived.wait()
        return self.requests[times - 1]

    async def converse(self, connection: Connection) -> None:
        """Be the API on one connection."""
        head = (await connection.read_until(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await connection.read_exactly(int(headers.get("Content-Length", "0")))
        self.requests.append(Request(head[0], headers, json.loads(body) if body else None))
        self._arrived.set()
        told = self.answers.pop(0) if self.answers else self.answer_to(self.requests[-1])
        if told:
            await connection.send(told)
        else:
            await connection.until_closed()

    def answer_to(self, request: Request) -> bytes:  # noqa: ARG002 - for those who look at it
        """Return the answer when none is prepared."""
        return self.usual


def answer(code: int, body: object = None, **headers: str) -> bytes:
    """Return an HTTP response with a JSON body."""
    text = json.dumps({"kind": "Event"} if body is None else body)
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {code} So\r\nContent-Length: {len(text)}\r\n{more}\r\n{text}".encode()


A = TypeVar("A", bound=FakeApi)


@asynccontextmanager
async def serving_api(certificates: Certificates) -> AsyncIterator[FakeApi]:
    """Serve until the end of the block."""
    async with serving(FakeApi(), certificates) as api:
        yield api


@asynccontextmanager
async def serving(api: A, certificates: Certificates) -> AsyncIterator[A]:
    """Serve this API until the end of the block."""
    async with talking(api.converse, tls=server_context(certificates.good)) as fake:
        api.fake = fake
        yield api


def service_account(folder: Path, certificates: Certificates) -> Path:
    """Write what the kubelet mounts into a folder, with the token `a-token`, and return it."""
    folder.mkdir(exist_ok=True)
    copyfile(certificates.ca, folder / "ca.crt")
    (folder / "token").write_text("a-token")
    return folder
