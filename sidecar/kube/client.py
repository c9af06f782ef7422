"""The cluster's API over HTTPS, asked as our pod's service account: for Events, Leases and whatever comes.

A connection lasts one request: they are rare, and a new one finds an API server that is alive. Never a proxy,
never a redirect, never a second try: whoever asks decides what a failure means.
"""

import asyncio
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.resolver import ThreadedResolver

from sidecar import __version__
from sidecar.kube.account import Credentials, read_credentials
from sidecar.kube.errors import ApiError
from sidecar.support.text import STARS, one_line
from sidecar.support.thread import OneThread

ANSWERS_WITHIN: Final = 5.0
"""Seconds for one request, from reading the token to the end of the answer."""
ANSWER_LIMIT: Final = 256 * 1024
"""Bytes of an answer; an Event or a Lease has a few thousand."""
LONGEST_RETRY_AFTER: Final = 3600.0


class ApiServer:
    """The API at `address`, with the service account whose files are in a folder. One request at a time."""

    def __init__(self, address: str, account: Path) -> None:
        self._url = f"https://{address}"
        self._account = account
        self._in_thread = OneThread("kube:account")
        self._turn = asyncio.Lock()
        self._credentials: Credentials | None = None
        """Those of the last request, kept because making a TLS context costs 10 ms."""

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send `body` as JSON; return the object that was answered with a 2xx.

        Raises:
            ApiError: there was no such answer within 5 seconds.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWERS_WITHIN):
                    credentials = await self._in_thread(lambda: read_credentials(self._account))
                    self._credentials = credentials
                    return await self._ask(method, path, body, credentials)
            except TimeoutError as error:
                raise ApiError(f"{self._url} did not answer within {ANSWERS_WITHIN:.0f}s") from error

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, credentials: Credentials
    ) -> dict[str, Any]:
        url, context = f"{self._url}{path}", credentials.context
        async with (
            self._new_session(credentials.token) as session,
            session.request(method, url, json=body, ssl=context, allow_redirects=False) as response,
        ):
            with _failures(self._url):
                answer = await _read(response)
            if 200 <= response.status < 300:
                return _object(answer, self._url)
            raise self._refusal(response, answer, credentials.token)

    def _new_session(self, token: str) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=ThreadedResolver(),  # despite its name it asks the event loop
                use_dns_cache=False,
                force_close=True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            headers={
                "Authorization": f"Bearer {token}",
                "User-Agent": f"sidecar/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            auto_decompress=False,
            middlewares=(self._ask_once,),
        )

    async def _ask_once(
        self, request: aiohttp.ClientRequest, send: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Make a lost connection a failure here: aiohttp itself would ask a second time."""
        with _failures(self._url):
            return await send(request)

    def _refusal(self, response: aiohttp.ClientResponse, answer: bytes, token: str) -> ApiError:
        why = one_line(_message(answer).replace(token, STARS))
        sentence = f"{self._url} answered {response.status}{f': {why}' if why else ''}"
        return ApiError(sentence, status=response.status, retry_after=_retry_after(response.headers))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return at most as much of an answer as shows that it is too large."""
    answer = b""
    while len(answer) <= ANSWER_LIMIT and (chunk := await response.content.read(ANSWER_LIMIT)):
        answer += chunk
    return answer


def _object(answer: bytes, url: str) -> dict[str, Any]:
    try:
        value = json.loads(answer) if len(answer) <= ANSWER_LIMIT else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ApiError(f"{url} did not answer as a cluster's API does")
    return value


def _message(answer: bytes) -> str:
    """Return what the API says about a refusal, if it is the API that speaks."""
    try:
        message = json.loads(answer)["message"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
    return message if isinstance(message, str) else ""


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of a `Retry-After`; the API server sends no dates."""
    written = headers.get("Retry-After", "")
    return min(float(written), LONGEST_RETRY_AFTER) if written.isdecimal() else 0.0


@contextmanager
def _failures(url: str) -> Iterator[None]:
    """Turn what aiohttp raises into an `ApiError`."""
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise ApiError(f"{url} showed a certificate that the service account does not trust") from error
    except (OSError, aiohttp.ClientError) as error:
        raise ApiError(f"{url} {_story(error)}") from error


def _story(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ssl.SSLError):
        return "did not speak TLS"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "closed the connection without an answer"
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return f"cannot be asked: {os.strerror(cause.errno).lower()}"
    return "did not answer in HTTP"
