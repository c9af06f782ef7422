"""Keeps the record of our deploy in step with what we see of ourselves, and has somebody deliver it."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Final, Never

from sidecar.core.deploy import (
    BAD_NEWS,
    DeployEvent,
    Fact,
    Plan,
    Process,
    Record,
    Witness,
    deadline_at,
    due,
    is_foreign,
    next_moment,
    step,
)
from sidecar.deploys.claims.claim import ClaimError
from sidecar.deploys.tracking.courier import Courier
from sidecar.deploys.tracking.shared import SharedRecord
from sidecar.deploys.tracking.surroundings import Surroundings
from sidecar.deploys.tracking.watch import Watch

SILENT_AFTER: Final = 30.0
"""Seconds of silence of the store after which bad news is announced without it: it may be what is broken."""
SPREAD: Final = 2.0
"""Seconds over which processes look that see the same at the same time."""
TAKEOVER_SPREAD: Final = 5.0
"""The same, of those who would take over from a courier."""
RENEW_EVERY: Final = 600.0
"""Seconds from one look at a record to the next at most, so that the store keeps it, or has it again."""
FIRST_RETRY: Final = 1.0
"""Seconds from a look that failed to the next; doubled up to the longest."""
LONGEST_RETRY: Final = 15.0
ENOUGH_DOUBLINGS: Final = 4

log = logging.getLogger("sidecar.deploys")


class Tracker:
    """Looks at the record when there is something to say, to take over, or to renew.

    The `plan` is as it is configured; the store may know better which deploy it is.
    """

    def __init__(
        self,
        plan: Plan,
        process: Process,
        *,
        watch: Watch,
        shared: SharedRecord,
        courier: Courier,
        surroundings: Surroundings,
    ) -> None:
        self.plan = plan
        self._process = process
        self._watch = watch
        self._shared = shared
        self._courier = courier
        self._board = surroundings.board
        self._clock = surroundings.clock
        self._draw = surroundings.draw
        self._is_identified = False
        self._record: Record | None = None
        self._deadline_at: float | None = None
        self._began = Fact(event=DeployEvent.STARTED, time=self._clock.wall(), pod=process.pod)
        self._look_at = self._clock.monotonic()
        self._silent_since: float | None = self._look_at
        self._failures = 0
        self._complaint = ""
        self._announced: Fact | None = None
        """What was announced while the store was silent."""
        self._logged: set[DeployEvent] = set()
        self._woken = asyncio.Event()
        watch.changed = self._woken.set

    async def track_forever(self) -> Never:
        """Look whenever it is time; never raises."""
        while True:
            if self._is_time():
                await self._look()
            await self._pause()

    async def finish(self) -> None:
        """Have a last look: the start was given up, and whoever waits for it shall know why."""
        if due(self._record, self.plan, self._witness()) is not None:
            await self._look()

    def _is_time(self) -> bool:
        """Whether to look now. A store that is silent is asked again when that is planned, not before."""
        now = self._clock.monotonic()
        return now >= self._look_at or now >= self._next_moment()

    async def _look(self) -> None:
        try:
            if not self._is_identified:
                self.plan = replace(self.plan, deploy=await self._shared.identify())
                self._is_identified = True
            record = await self._shared.change(self._step)
        except ClaimError as error:
            self._miss(error)
        else:
            self._hear(record)

    def _step(self, found: Record | None) -> Record:
        """Return the record after our look; a store that has lost it gets back what we know."""
        known = found or self._record
        if known is not None and is_foreign(known, self.plan):
            return known
        return self._courier.noted(step(known, self.plan, self._witness()))

    def _witness(self) -> Witness:
        return Witness(
            process=self._process,
            sighting=self._watch.sighting,
            now=self._clock.monotonic(),
            time=self._clock.wall(),
            began_at=self._began.time,
            deadline_at=self._deadline_at,
            announced=self._announced,
        )

    def _hear(self, record: Record) -> None:
        """Take note of what the store holds, and say when to look again though nothing happens."""
        self._failures, self._silent_since = 0, None
        if is_foreign(record, self.plan):
            self._leave_alone(record)
            return
        if self._complaint:
            log.info("the deploy's record can be kept again")
        self._complaint = ""
        self._log_news(record)
        self._record = record
        if self._deadline_at is None:
            self._deadline_at = deadline_at(record, self.plan, self._witness())
        self._board.follow_deploy(record.phase)
        if record.courier == self._process.name:
            self._courier.take(record)
        self._look_at = self._clock.monotonic() + self._patience(record)

    def _patience(self, record: Record) -> float:
        """Return the seconds until a courier is to be relieved, or until the record is to be renewed."""
        if not record.pending_for(self.plan.audience) or record.courier == self._process.name:
            return RENEW_EVERY
        time = self._clock.wall()
        left = record.courier_until - time if record.is_held(time) else 0.0
        return left + self._draw(0.0, TAKEOVER_SPREAD)

    async def _pause(self) -> None:
        """Wait until it is time to look, or until we see something else of ourselves.

        What many see at the same time they look at one after the other.
        """
        until = min(self._look_at, self._next_moment() + self._draw(0.0, SPREAD))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(until - self._clock.monotonic(), 0.0)):
                await self._woken.wait()
        self._woken.clear()

    def _next_moment(self) -> float:
        if self._silent_since is not None or self._record is None:
            return inf
        return next_moment(self._record, self.plan, self._witness())

    def _miss(self, error: ClaimError) -> None:
        """Take note that the store is silent; say what cannot wait for it."""
        now = self._clock.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        wait = min(FIRST_RETRY * 2.0**self._failures, LONGEST_RETRY)
        self._failures = min(self._failures + 1, ENOUGH_DOUBLINGS)
        self._look_at = now + wait * self._draw(0.8, 1.2)
        if error.sentence != self._complaint:
            self._complaint = error.sentence
            log.warning("the deploy's record cannot be kept", extra={"detail": error.sentence})
        if now >= self._silent_since + SILENT_AFTER and self._announced is None:
            self._tell_unclaimed()

    def _tell_unclaimed(self) -> None:
        """Announce bad news though nobody knows what others announce; good news can wait for the store."""
        known = self._record or Record(deploy=self.plan.deploy, facts=(self._began,))
        if due(known, self.plan, self._witness()) not in BAD_NEWS:
            return
        told = step(replace(known, deliveries=(), courier=""), self.plan, self._witness())
        self._announced = told.facts[-1]
        self._log(self._announced)
        self._board.follow_deploy(told.phase)
        self._courier.take_unclaimed(told)

    def _leave_alone(self, record: Record) -> None:
        """Take no part in the deploy of another revision; say so once, and look whether it is over."""
        self._look_at = self._clock.monotonic() + RENEW_EVERY
        sentence = f"it is that of the revision {record.deploy.revision}; write another one for each deploy"
        if sentence != self._complaint:
            log.error("deploy.id is taken", extra={**self._fields(), "detail": sentence})
        self._complaint = sentence

    def _log_news(self, record: Record) -> None:
        if self._record is None and record.facts[0].time < self._began.time:
            log.info("deploy is known", extra={**self._fields(), "phase": record.phase})
            self._logged.update(fact.event for fact in record.facts)
        for fact in record.facts:
            if fact.event not in self._logged:
                self._log(fact)

    def _log(self, fact: Fact) -> None:
        self._logged.add(fact.event)
        checks = "; ".join(
            ": ".join(filter(None, (each.name, each.reason, each.message))) for each in fact.failures
        )
        log.log(
            logging.ERROR if fact.event in BAD_NEWS else logging.INFO,
            "deploy %s",
            fact.event.replace("_", " "),
            extra={**self._fields(), "seen_by": fact.pod, **({"checks": checks} if checks else {})},
        )

    def _fields(self) -> dict[str, str]:
        return {"revision": self.plan.deploy.revision, "deploy": self.plan.deploy.id}
