"""Asks the sidecars of a deploy's pods whether it is live: every address of a name, again and again.

The name is that of a headless Service. It is looked up anew each round, since pods come and go, and each
address is asked directly: neither a proxy nor a balance of the load may choose who answers.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from pycares import AresError

from sidecar import __version__
from sidecar.checks._aiohttp import body_within, new_session, request_failures
from sidecar.config.fields import REVISION_LIMIT
from sidecar.core.arrival import Arrival, Course, Heard, judge
from sidecar.core.check import CheckFailed
from sidecar.core.deploy import DeployEvent
from sidecar.support.loop import new_resolver
from sidecar.support.net import is_literal, show_address
from sidecar.support.resolver import ABSENT
from sidecar.support.text import one_line

ANSWERS_WITHIN: Final = 5.0
"""Seconds for one address, and for the look-up of all."""
ASKED_AT_ONCE: Final = 200
"""Addresses: each takes a socket, and a job of a pipeline often has no more than 1,024."""
ANSWER_LIMIT: Final = 1024**2
"""Bytes: thousands of checks, each with its reason."""
TEXT_LIMIT: Final = 100
"""Characters of what a check says."""

Report = Callable[[str], object]
"""Called with each line that says how far the deploy has got, if it is another than the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """Where the sidecars of a deploy are, and what is awaited of them."""

    host: str
    port: int
    revision: str
    at_least: int = 1
    """Addresses that have to be there."""


async def until_arrived(pods: Pods, *, interval: float, timeout: float, report: Report) -> Arrival:  # noqa: ASYNC109
    """Return when the deploy is live or has failed, or after so many seconds what is known by then."""
    arrival = judge((), pods.revision, at_least=pods.at_least, unknown="nobody has answered yet")
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            while arrival.course is Course.UNDER_WAY:
                found = await look(pods)
                if found.progress != arrival.progress:
                    report(found.progress)
                arrival = found
                if arrival.course is Course.UNDER_WAY:
                    await asyncio.sleep(interval)
    return arrival


async def look(pods: Pods) -> Arrival:
    """Ask every address once, side by side; return what the answers mean."""
    try:
        addresses, unknown = await _addresses(pods.host, pods.port), ""
    except _UnknownError as error:
        addresses, unknown = [], str(error)
    turns = asyncio.Semaphore(ASKED_AT_ONCE)

    async def ask(address: str) -> Heard:
        async with turns:
            return await _ask(address, pods.port)

    heard = await asyncio.gather(*map(ask, addresses))
    return judge(heard, pods.revision, at_least=pods.at_least, unknown=unknown)


class _UnknownError(Exception):
    """No address is known; the message says why."""


async def _addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a name, in an order that does not change from round to round.

    Raises:
        _UnknownError: there are none, or nobody says.
    """
    if is_literal(host):
        return [host]
    resolver = new_resolver()
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            found = await resolver.addresses(host, port)
    except TimeoutError:
        raise _UnknownError(f"nobody says where {host} is") from None
    except UnicodeError:
        raise _UnknownError(f"{host} is no name of a host") from None
    except AresError as error:
        is_absent = error.args[0] in ABSENT
        said = f"{host} has no address" if is_absent else f"nobody says where {host} is"
        raise _UnknownError(said) from error
    finally:
        resolver.close()
    return sorted({each.addr[0].decode() for each in found})


async def _ask(address: str, port: int) -> Heard:
    """Return what an address answers; whoever is no sidecar, or takes too long, is not answering."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            return await _converse(address, port)
    except (TimeoutError, CheckFailed):
        return Heard(address=address, is_sidecar=False)


async def _converse(address: str, port: int) -> Heard:
    site = f"http://{show_address(address, port)}"
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": _OURSELVES}
    with request_failures(site):
        async with (
            new_session(site) as session,
            session.get(f"{site}/readyz", headers=headers, allow_redirects=False) as response,
        ):
            body = await body_within(response, ANSWER_LIMIT)
            if response.headers.get("Server") != "sidecar" or response.status not in (200, 503):
                return Heard(address=address, is_sidecar=False)
            heard = _read(address, _object(body or b""))
            revision = _revision(response.headers.get("X-Revision")) or heard.revision
            return replace(heard, revision=revision, is_ready=response.status == 200)


def _read(address: str, body: dict[str, Any]) -> Heard:
    return Heard(
        address=address,
        revision=_revision(body.get("releaseId")),
        phase=next((each for each in DeployEvent if each == body.get("deploy")), None),
        failures=tuple(_failures(body.get("checks"))),
    )


def _failures(checks: object) -> Sequence[str]:
    """Return each failing check and why, as the body of a probe has them: a list of one by its name."""
    if not isinstance(checks, dict):
        return []
    failing = [
        (name, line)
        for name, lines in checks.items()
        for line in (lines if isinstance(lines, list) else [])
        if isinstance(line, dict) and line.get("status") == "fail"
    ]
    return [_text(f"{name} {line.get('output', '')}".strip()) for name, line in failing]


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _revision(said: object) -> str:
    """Return what was said in place of a revision: whole if it can be one."""
    return _text(said, limit=REVISION_LIMIT)


def _text(said: object, *, limit: int = TEXT_LIMIT) -> str:
    return one_line(said, limit=limit) if isinstance(said, str) else ""


_OURSELVES: Final = f"sidecar/{__version__}"
