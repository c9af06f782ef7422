"""Tells the app that a drain has begun, so that it takes no more work: best effort, logged, never raised."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp.resolver import ThreadedResolver

from sidecar.config.fields import Url
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
            await in_thread(lambda: file.unlink(missing_ok=True), name="drain:withdraw")


async def _post(url: Url) -> None:
    """Send an empty POST; raises what aiohttp does, also for an answer that is neither 2xx nor 3xx."""
    connector = aiohttp.TCPConnector(resolver=ThreadedResolver(), force_close=True)  # asks the event loop
    auth = (
        aiohttp.BasicAuth(url.username or "", url.password.reveal() if url.password else "")
        if url.username or url.password
        else None
    )
    async with (
        aiohttp.ClientSession(connector=connector, auth=auth) as session,
        session.post(url.bare, allow_redirects=False) as response,
    ):
        response.raise_for_status()


@contextmanager
def _forgiven(what: str, target: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        log.warning(what, extra={"target": target, "detail": f"no answer within {NOTIFY_WITHIN:.0f}s"})
    except aiohttp.ClientResponseError as error:
        log.warning(what, extra={"target": target, "detail": f"it answered {error.status}"})
    except (OSError, aiohttp.ClientError) as error:
        detail = (getattr(error, "strerror", None) or type(error).__name__).lower()
        log.warning(what, extra={"target": target, "detail": detail})
