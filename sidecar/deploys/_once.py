"""Tells services of one event from where no pod is: side by side, with few attempts, and an end to all of it.

A pod has a claim and time; a job of a pipeline has neither, and somebody waits for it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from random import uniform
from typing import Any, Final

from sidecar.config.deploy import ServiceConfig, ServiceType, ServiceTypes
from sidecar.core.announcement import Announcement, pause
from sidecar.core.deploy import Receipt
from sidecar.deploys._discreet import discreet
from sidecar.deploys._service import Answer, Cluster, DeliveryError, Finds, Request, Send, Service
from sidecar.support.text import show_duration

ATTEMPTS: Final = 5
SECONDS: Final = 30.0
"""For all attempts at one service, and the pauses between them."""
JITTER: Final = (0.8, 1.2)
"""What a pause before another attempt is stretched by."""

log = logging.getLogger("sidecar.deploys")


class Ending(StrEnum):
    """What became of an announcement to one service."""

    DELIVERED = "delivered"
    GIVEN_UP = "gave up"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Told:
    """One service, and what became of the announcement to it."""

    service: ServiceConfig
    ending: Ending
    sentence: str = ""
    """Why, where it was not delivered."""
    receipt: Receipt = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often, and for how many seconds in all, one service is tried."""

    attempts: int = ATTEMPTS
    seconds: float = SECONDS


class Rehearsal:
    """Sends nothing: keeps the requests to a service, which answers as its documentation has it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Answer:
        """Keep a request."""
        self.requests.append(request)
        return request.answered


class Teller:
    """Tells services of one event. Raises nothing: what goes wrong at a service is how that one ends.

    `receipts` are what they answered before, by their labels; `send_for` returns what sends for a service.
    Nothing that `redact` blots is announced.
    """

    def __init__(
        self,
        announcement: Announcement,
        receipts: Mapping[str, Receipt],
        *,
        send_for: Callable[[ServiceConfig], Send],
        redact: Callable[[str], str],
        patience: Patience | None = None,
        draw: Callable[[float, float], float] = uniform,
    ) -> None:
        self._announcement = announcement
        self._receipts = receipts
        self._send_for = send_for
        self._redact = redact
        self._patience = patience or Patience()
        self._draw = draw

    async def tell(self, services: Sequence[ServiceConfig], types: ServiceTypes) -> list[Told]:
        """Tell those that want to hear of the event, side by side; return how each of them ended."""
        found = [(each, types.find(each.type)) for each in services]
        told = [self._tell(each, its) for each, its in found if its and self._is_wanted_by(each, its)]
        return await asyncio.gather(*told)

    def _is_wanted_by(self, service: ServiceConfig, its: ServiceType[Any]) -> bool:
        return self._announcement.event in service.events & its.takes

    async def _tell(self, service: ServiceConfig, its: ServiceType[Any]) -> Told:
        if its.needs_cluster:
            return Told(service, Ending.SKIPPED, "only a pod can tell it")
        try:
            return await self._try_until_told(service, discreet(its.build(service, Cluster()), self._redact))
        except Exception as error:
            log.exception("announcing crashed", extra={"service": service.label})
            return Told(service, Ending.GIVEN_UP, f"unexpected {type(error).__name__}, a bug in the sidecar")

    async def _try_until_told(self, service: ServiceConfig, teller: Service) -> Told:
        """Try so often, and so long, as patience lasts; the attempt that is under way then is broken off."""
        time = asyncio.get_running_loop().time
        end = time() + self._patience.seconds
        attempts, why = 0, f"did not answer within {show_duration(self._patience.seconds)}"
        while True:
            attempts += 1
            try:
                async with asyncio.timeout_at(end):
                    receipt = await self._try(service, teller)
            except TimeoutError:
                return Told(service, Ending.GIVEN_UP, why)
            except DeliveryError as error:
                why = error.sentence
                wait = pause(attempts, retry_after=error.retry_after, jitter=self._draw(*JITTER))
                is_over = attempts == self._patience.attempts or time() + wait >= end
                if error.is_final or is_over:
                    return Told(service, Ending.GIVEN_UP, why)
            else:
                return Told(service, Ending.DELIVERED, receipt=receipt)
            await asyncio.sleep(wait)

    async def _try(self, service: ServiceConfig, teller: Service) -> Receipt:
        """Tell a service, unless it knows: an attempt before this one may have ended in the dark."""
        send = self._send_for(service)
        if isinstance(teller, Finds):
            with suppress(DeliveryError):  # it does not say, and had better be told twice than never
                found = await teller.find(self._announcement, send)
                if found is not None:
                    return found
        return await teller.tell(self._announcement, self._receipts.get(service.label, {}), send)
