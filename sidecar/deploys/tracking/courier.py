"""Delivers what a record has pending: all services side by side, to each one event after the other."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Never

from sidecar.core.announcement import BUDGET, Announcement, Origin, announcement_of, pause
from sidecar.core.deploy import (
    LEASE,
    Delivery,
    DeployEvent,
    Progress,
    Receipt,
    Record,
    keep,
    release,
    settle,
)
from sidecar.deploys._service import DeliveryError, Finds, Send, Service
from sidecar.deploys.claims.claim import ClaimError
from sidecar.deploys.tracking.shared import SharedRecord
from sidecar.deploys.tracking.surroundings import Surroundings
from sidecar.support.text import show_duration

RENEW: Final = LEASE / 3
"""Seconds from one renewal of the lease to the next."""
JITTER: Final = (0.8, 1.2)
"""What a pause before another attempt is stretched by."""
LAST_ATTEMPTS_WITHIN: Final = 1.0
"""Seconds that what is pending gets at the end of the process."""
LEFT_WITHIN: Final = 0.4
"""Seconds more that the store gets, to let others take over."""

Key = tuple[str, DeployEvent]
"""A service and an event: what is delivered once."""

log = logging.getLogger("sidecar.deploys")


@dataclass(frozen=True, slots=True)
class _Told:
    """What became of a delivery."""

    progress: Progress
    receipt: Receipt


class Courier:
    """Delivers for the process `name` what the record makes it the courier of, and what no store has.

    What it has told a service once it never tells again; what the store does not take down it keeps until the
    store does. A delivery waits for the one before it to the same service, and so does the queue: it has at
    most four events of each service.
    """

    def __init__(
        self,
        services: Mapping[str, Service],
        *,
        name: str,
        shared: SharedRecord,
        origin: Origin,
        send: Send,
        surroundings: Surroundings,
    ) -> None:
        self._services = services
        self._name = name
        self._shared = shared
        self._origin = origin
        self._send = send
        self._board = surroundings.board
        self._clock = surroundings.clock
        self._draw = surroundings.draw
        self._record: Record | None = None
        self._unclaimed: Record | None = None
        self._told: dict[Key, _Told] = {}
        self._under_way: dict[Key, asyncio.Task[None]] = {}
        self._left_behind: set[Key] = set()
        self._woken = asyncio.Event()
        self._is_ending = asyncio.Event()
        self._complaint = ""

    def take(self, record: Record) -> None:
        """Deliver what the record has pending, as long as it names us as its courier."""
        self._record = record
        self._woken.set()

    def take_unclaimed(self, record: Record) -> None:
        """Deliver what a record has pending that is in no store, and say so."""
        self._unclaimed = record
        self._woken.set()

    def noted(self, record: Record) -> Record:
        """Return the record with all that we have told of it."""
        for (service, event), told in self._told.items():
            record = settle(record, Delivery(service, event), told.progress, told.receipt)
        return record

    async def deliver_forever(self) -> Never:
        """Deliver whatever is taken, and have the store know; never raises."""
        try:
            while True:
                self._begin()
                await self._pause()
                await self._write_down()
        finally:
            self._drop()

    async def finish(self) -> None:
        """Give what is pending one more attempt, and leave what is left to other processes."""
        self._is_ending.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_ATTEMPTS_WITHIN):
                self._begin()
                while self._under_way:
                    await asyncio.wait(self._under_way.values())
                    self._begin()
        self._drop()
        self._tell_left()
        if self._record is not None and self._record.courier == self._name:
            with suppress(TimeoutError, ClaimError):
                async with asyncio.timeout(LEFT_WITHIN):
                    await self._shared.change(lambda found: release(self._updated(found), self._name))

    def _begin(self) -> None:
        """Begin the next delivery to each service that has one, and is not being told something now."""
        left = list(self._left())
        self._board.queue_announcements(len(left))
        busy = {service for service, _ in self._under_way}
        for delivery, record in left:
            if delivery.service not in busy:
                busy.add(delivery.service)
                key = delivery.service, delivery.event
                self._under_way[key] = asyncio.create_task(
                    self._deliver(key, self._announcement(record, delivery.event)),
                    name=f"announce:{delivery.service}:{delivery.event}",
                )

    def _left(self) -> Iterator[tuple[Delivery, Record]]:
        """Yield what is to be delivered, in order, with the record that has it."""
        for record in (self._record if self._is_ours() else None, self._unclaimed):
            for delivery in record.pending if record else ():
                key = delivery.service, delivery.event
                is_done = key in self._told or key in self._left_behind
                if record and delivery.service in self._services and not is_done:
                    yield delivery, record

    def _is_ours(self) -> bool:
        return self._record is not None and self._record.courier == self._name

    def _announcement(self, record: Record, event: DeployEvent) -> Announcement:
        is_unclaimed = record is self._unclaimed
        return announcement_of(record, event, self._origin, is_unclaimed=is_unclaimed)

    def _drop(self) -> None:
        for task in self._under_way.values():
            task.cancel()
        self._under_way.clear()

    async def _pause(self) -> None:
        """Wait until something was taken or told; while there is work, at most until the lease is renewed."""
        has_work = self._is_ours() or bool(self._under_way)
        with suppress(TimeoutError):
            async with asyncio.timeout(RENEW if has_work else None):
                await self._woken.wait()
        self._woken.clear()

    async def _write_down(self) -> None:
        """Have the store know what was told, and that we are alive; without it go on all the same."""
        if not self._is_ours() or self._is_ending.is_set():
            return
        try:
            self._record = await self._shared.change(self._updated)
        except ClaimError as error:
            self._complain_once(error)
            return
        self._complaint = ""
        if not self._is_ours():  # whoever has taken over tells it too, if it is not told yet
            self._drop()

    def _updated(self, found: Record | None) -> Record:
        """Return the record with what was told since; the one that we know if the store has lost it."""
        record = found or self._record
        if record is None:
            raise ClaimError("has no record of this deploy any more")
        return keep(self.noted(record), self._name, self._clock.wall(), self._services)

    async def _deliver(self, key: Key, announcement: Announcement) -> None:
        """Tell one service one event; note what became of it."""
        told = await self._try_until_told(key[0], announcement)
        if told is None:
            self._left_behind.add(key)
        else:
            self._told[key] = told
        self._under_way.pop(key, None)
        self._woken.set()

    async def _try_until_told(self, service: str, announcement: Announcement) -> _Told | None:
        """Return what became of an announcement; None if the process ends before it is told."""
        began, attempts = self._clock.monotonic(), 0
        while True:
            is_last = self._is_ending.is_set()
            attempts += 1
            try:
                return await self._try(service, announcement)
            except DeliveryError as error:
                wait = pause(attempts, retry_after=error.retry_after, jitter=self._draw(*JITTER))
                is_over = self._clock.monotonic() + wait > began + BUDGET
                if error.is_final or is_over:
                    asked = f", and asks to be left alone for {show_duration(error.retry_after)}"
                    why = error.sentence + (asked if error.retry_after > BUDGET else "")
                    return self._give_up(service, announcement, why, attempts)
                if attempts == 1:
                    self._tell_trouble(service, announcement, error.sentence)
            except Exception:
                log.exception("announcing crashed", extra={"service": service, "event": announcement.event})
                return self._give_up(service, announcement, "a bug in the sidecar: see above", attempts)
            if is_last:
                return None
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._is_ending.wait()

    async def _try(self, service: str, announcement: Announcement) -> _Told:
        """Tell a service, unless it knows: an attempt before this one may have ended in the dark."""
        teller = self._services[service]
        if isinstance(teller, Finds):
            with suppress(DeliveryError):
                found = await teller.find(announcement, self._send)
                if found is not None:
                    return self._deliver_as("suppressed", service, announcement, found)
        receipt = await teller.tell(announcement, self._receipt(service), self._send)
        return self._deliver_as("delivered", service, announcement, receipt)

    def _receipt(self, service: str) -> Receipt:
        """Return what the service answered last."""
        told = [each.receipt for (name, _), each in self._told.items() if name == service and each.receipt]
        known = self._record.receipts.get(service, {}) if self._record else {}
        return told[-1] if told else known

    def _deliver_as(self, outcome: str, service: str, announcement: Announcement, receipt: Receipt) -> _Told:
        self._board.count_announcement(service, announcement.event, outcome)
        log.info("announced", extra={"service": service, "event": announcement.event, "outcome": outcome})
        return _Told(Progress.DELIVERED, receipt)

    def _give_up(self, service: str, announcement: Announcement, why: str, attempts: int) -> _Told:
        self._board.count_announcement(service, announcement.event, Progress.GIVEN_UP)
        log.error(
            "announcement given up",
            extra={"service": service, "event": announcement.event, "attempts": attempts, "detail": why},
        )
        return _Told(Progress.GIVEN_UP, {})

    def _tell_trouble(self, service: str, announcement: Announcement, why: str) -> None:
        """Log the first of many attempts that fail: the last comes minutes later."""
        event = announcement.event
        log.warning("cannot announce yet", extra={"service": service, "event": event, "detail": why})

    def _tell_left(self) -> None:
        """Log what this process has not delivered; where there is a claim, another one does."""
        behind = {f"{service} {event}" for service, event in self._left_behind}
        behind |= {f"{delivery.service} {delivery.event}" for delivery, _ in self._left()}
        if behind:
            log.warning("announcements are left behind", extra={"announcements": "; ".join(sorted(behind))})

    def _complain_once(self, error: ClaimError) -> None:
        if error.sentence != self._complaint:
            self._complaint = error.sentence
            log.warning("what was announced cannot be written down", extra={"detail": error.sentence})
