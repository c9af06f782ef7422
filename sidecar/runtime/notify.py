"""Tells the app that a drain has begun, so that it takes no more work: best effort, logged, never raised."""

import asyncio
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp.resolver import ThreadedResolver

from sidecar.config.kinds.url import Url
from sidecar.config.model import NotifyConfig
from sidecar.support.thread import in_thread

NOTIFY_WITHIN: Final = 2.0
"""Seconds that the app, or a file system, gets to take it."""

log = logging.getLogger("sidecar.drain")


async def notify(config: NotifyConfig) -> None:
    """Tell the app, within 2 seconds; what goes wrong is logged."""
    target = str(config.post or config.file)
    with _forgiven("could not notify the app", target):
        async with asyncio.timeout(NOTIFY_WITHIN):
            if config.post is not None:
                await _post(config.post)
            if config.file is not None:
                await in_thread(Path(config.file).touch, name="drain:notify")
        log.info("notified the app", extra={"target": target})


async def withdraw(config: NotifyConfig) -> None:
    """Remove the file that told the app, if there is one, within 2 seconds; a POST cannot be taken back."""
    if config.file is None:
        return
    file = Path(config.file)
    with _forgiven("could not withdraw the notification", config.file):
        async with asyncio.timeout(NOTIFY_WITHIN):
            was_there = await in_thread(lambda: _remove(file), name="drain:withdraw")
        if was_there:
            log.info("withdrew the notification", extra={"target": config.file})


def _remove(file: Path) -> bool:
    """Remove a file; return whether there was one."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


async def _post(url: Url) -> None:
    """Send an empty POST; raises what aiohttp does, also for an answer that is neither 2xx nor 3xx."""
    connector = aiohttp.TCPConnector(resolver=ThreadedResolver(), force_close=True)  # asks the event loop
    async with (
        aiohttp.ClientSession(connector=connector, headers=_credentials(url)) as session,
        session.post(url.bare, allow_redirects=False) as response,
    ):
        response.raise_for_status()


def _credentials(url: Url) -> dict[str, str]:
    if url.username is None and url.password is None:
        return {}
    password = url.password.reveal() if url.password else ""
    return {"Authorization": aiohttp.encode_basic_auth(url.username or "", password)}


@contextmanager
def _forgiven(what: str, target: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        log.warning(what, extra={"target": target, "detail": f"no answer within {NOTIFY_WITHIN:.0f}s"})
    except aiohttp.ClientResponseError as error:
        log.warning(what, extra={"target": target, "detail": f"it answered {error.status}"})
    except (OSError, aiohttp.ClientError) as error:
        log.warning(what, extra={"target": target, "detail": _why(error)})


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number is not None and number > 0 else type(error).__name__
