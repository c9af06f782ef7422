"""Sends the requests of services over HTTP: a connection each, by way of the proxy, and never twice."""

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from yarl import URL

from sidecar import __version__
from sidecar.checks._aiohttp import body_within, new_session, request_failures
from sidecar.checks._connect import client_tls
from sidecar.config.kinds.secret import Secret
from sidecar.core.check import CheckFailed
from sidecar.deploys._service import Answer, DeliveryError, Request
from sidecar.support.net import show_address
from sidecar.support.proxy import proxy_for

ANSWERS_WITHIN: Final = 10.0
"""Seconds for one request, from the look-up of the name to the end of the answer."""
ANSWER_LIMIT: Final = 1024 * 1024
"""Bytes of an answer; a list of deploys is the longest."""
TRY_AGAIN: Final = frozenset({408, 421, 425, 429})
"""Client errors that another attempt may not meet; so may none of the 5xx."""
LONGEST_RETRY_AFTER: Final = 3600.0


async def send(request: Request) -> Answer:
    """Return the answer to one request.

    Raises:
        DeliveryError: there was none within 10 seconds, or it was a refusal. A redirect is one: what was
            configured is not what would be asked.
    """
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            return await _send(request)
    except TimeoutError as error:
        raise DeliveryError(f"{_site(request.url)} did not answer within {ANSWERS_WITHIN:.0f}s") from error
    except CheckFailed as error:
        raise DeliveryError(error.message) from error


async def _send(request: Request) -> Answer:
    site, parts = _site(request.url), urlsplit(request.url)
    context = await client_tls(None) if parts.scheme == "https" else True
    with request_failures(site):
        async with (
            new_session(site) as session,
            session.request(
                request.method,
                URL(request.url, encoded=True),
                data=request.body,
                headers=_headers(request.headers),
                allow_redirects=False,
                proxy=proxy_for(parts.scheme, parts.hostname or "", parts.port),
                ssl=context,
            ) as response,
        ):
            body = await body_within(response, ANSWER_LIMIT)
            if body is None:
                raise DeliveryError(f"{site} answered {response.status} with more than {ANSWER_LIMIT} bytes")
            answer = Answer(response.status, body)
            if 200 <= answer.code < 300 or answer.code in request.accepts:
                return answer
            raise _refusal(site, answer, response.headers)


def _headers(headers: Mapping[str, str | Secret]) -> dict[str, str]:
    own = {"User-Agent": f"sidecar/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    revealed = {
        name: value.reveal() if isinstance(value, Secret) else value for name, value in headers.items()
    }
    return {**own, **revealed}


def _refusal(site: str, answer: Answer, headers: Mapping[str, str]) -> DeliveryError:
    return DeliveryError(
        f"{site} answered {answer.code}{f': {answer.text}' if answer.body else ''}",
        retry_after=_retry_after(headers),
        is_final=answer.code < 500 and answer.code not in TRY_AGAIN,
    )


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of a `Retry-After`; a date, which no service of ours sends, is none."""
    written = headers.get("Retry-After", "")
    is_number = written.isascii() and written.isdecimal() and len(written) < 10
    return min(float(written), LONGEST_RETRY_AFTER) if is_number else 0.0


def _site(url: str) -> str:
    """Return who is asked, for messages: a webhook's path is a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{show_address(parts.hostname or '', parts.port)}"
