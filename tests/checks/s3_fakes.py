"""Something that answers HTTP as S3, STS or a credentials agent might, and remembers what it was asked."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from urllib.parse import parse_qs

from tests.network import Address, Connection, Fake, talking

Answer = bytes | Callable[["Request"], bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """One request that came in."""

    method: str
    target: str
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form, as STS is sent them."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True, slots=True)
class HttpFake:
    """A fake, and what it was asked so far."""

    fake: Fake
    requests: list[Request] = field(default_factory=list)

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.fake

    @property
    def url(self) -> str:
        """Its URL, for a client without TLS."""
        return f"http://{self.fake}"

    @property
    def asked(self) -> list[str]:
        """The request lines, without the version."""
        return [f"{request.method} {request.target}" for request in self.requests]


@asynccontextmanager
async def answering(*answers: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpFake]:
    """Answer each request on a connection with the next of the answers, the last one for ever."""
    requests: list[Request] = []

    async def script(connection: Connection) -> None:
        while True:
            request = await read_request(connection)
            answer = answers[min(len(requests), len(answers) - 1)]
            requests.append(request)
            await connection.send(answer if isinstance(answer, bytes) else answer(request))

    async with talking(script, tls=tls) as fake:
        yield HttpFake(fake, requests)


async def read_request(connection: Connection) -> Request:
    """Return what a client asks next."""
    head = (await connection.read_until(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    return Request(method, target, headers, await _read_body(connection, headers))


async def _read_body(connection: Connection, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await connection.read_exactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int(await connection.read_until(b"\r\n"), 16):
        body += await connection.read_exactly(size)
        await connection.read_until(b"\r\n")
    await connection.read_until(b"\r\n")
    return body


def response(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """Return an answer; underscores in the names of headers stand for dashes."""
    content = body if isinstance(body, bytes) else body.encode()
    all_headers = {"Content-Length": str(len(content)), "Date": http_date()} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode() + content


def http_date(*, ahead: float = 0.0) -> str:
    """Return the time so many seconds from now, as HTTP writes it."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)


def s3_error(status: int, code: str, message: str = "", *, details: str = "", **headers: str) -> bytes:
    """Return S3's answer for an error; `details` are further elements."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>{details}</Error>"
    )
    return response(status, body, **{"Content_Type": "application/xml", **headers})


def stored(**headers: str) -> bytes:
    """Return S3's answer to a PUT."""
    return response(200, **{"ETag": '"e1"', **headers})


def echo_of(request: Request) -> bytes:
    """Return an error in which everything secret that was sent stands again."""
    told = (request.headers.get(name, "") for name in ("x-amz-security-token", "authorization"))
    return s3_error(400, "InvalidRequest", " ".join(told))


def sts_credentials(*, access_key: str = "ASIAFRESH", expires_in: float = 3600) -> bytes:
    """Return STS' answer to AssumeRoleWithWebIdentity."""
    expiration = (datetime.now(UTC) + timedelta(seconds=expires_in)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return response(
        200,
        '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        "<AssumeRoleWithWebIdentityResult><Credentials>"
        f"<AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>sts-secret-key</SecretAccessKey>"
        f"<SessionToken>sts-session-token</SessionToken><Expiration>{expiration}</Expiration>"
        "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        Content_Type="text/xml",
    )


def sts_error(status: int, code: str, message: str = "") -> bytes:
    """Return STS' answer for an error."""
    return response(
        status,
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        "</ErrorResponse>",
        Content_Type="text/xml",
    )


def agent_credentials(*, expires_in: float = 3600) -> bytes:
    """Return what the agent of EKS Pod Identity answers."""
    expiration = (datetime.now(UTC) + timedelta(seconds=expires_in)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return response(
        200,
        '{"AccessKeyId": "ASIAAGENT", "SecretAccessKey": "agent-secret-key", "Token": "agent-session-token",'
        f' "Expiration": "{expiration}"}}',
        Content_Type="application/json",
    )


def access_key_of(request: Request) -> str:
    """Return the access key that a request was signed with."""
    found = re.search(r"Credential=([^/]*)/", request.headers["authorization"])
    assert found
    return found[1]


async def cancel_at_turn(task: "asyncio.Task[object]", turn: int) -> None:
    """Let the loop make so many turns, then cancel the task and wait for its end."""
    for _ in range(turn):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
