"""Stands between a service and those who announce: it is told no secret, and repeats none.

The one place that cuts what a service has answered, because it is blotted there before.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sidecar.core.announcement import Announcement
from sidecar.core.deploy import Receipt
from sidecar.deploys._service import DeliveryError, Finds, Send, Service
from sidecar.support.text import one_line

SENTENCE_LIMIT: Final = 400
"""Characters of a sentence, with what a service answered in it."""

Redact = Callable[[str], str]


def discreet(service: Service, redact: Redact) -> Service:
    """Return the service, with whatever goes in and comes out blotted by `redact`."""
    return _DiscreetFinder(service, redact) if isinstance(service, Finds) else _Discreet(service, redact)


class _Discreet:
    def __init__(self, service: Service, redact: Redact) -> None:
        self._service = service
        self._redact = redact

    async def tell(self, announcement: Announcement, receipt: Receipt, send: Send) -> Receipt:
        with _blotted(self._redact):
            return await self._service.tell(announcement.blotted(self._redact), receipt, send)


class _DiscreetFinder(_Discreet):
    def __init__(self, service: Finds, redact: Redact) -> None:
        super().__init__(service, redact)
        self._finder = service

    async def find(self, announcement: Announcement, send: Send) -> Receipt | None:
        with _blotted(self._redact):
            return await self._finder.find(announcement.blotted(self._redact), send)


@contextmanager
def _blotted(redact: Redact) -> Iterator[None]:
    """Blot, and only then cut, the sentence of what is raised."""
    try:
        yield
    except DeliveryError as error:
        raise DeliveryError(
            one_line(redact(error.sentence), limit=SENTENCE_LIMIT),
            retry_after=error.retry_after,
            is_final=error.is_final,
        ) from error
