"""Tells whoever looks at our pod: a Kubernetes Event for each change of the readiness verdict.

Best effort, and nobody waits for it: an API that hangs or refuses costs a line in the log, and the end of the
process leaves an attempt behind. When something is told decides `core.telling`.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from random import uniform
from typing import Final, Never

from sidecar.core.telling import Readiness, Telling, attempt, due_at, fail, observe, readiness_of, succeed
from sidecar.core.verdict import Line, Mark, Probe, Verdict
from sidecar.kube.errors import ApiError
from sidecar.kube.event import Event, EventType, summarize
from sidecar.kube.here import Pod
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.news import News

SPREAD: Final = 2.0
"""Seconds over which pods that lose one dependency together begin to say so."""
JITTER: Final = (0.8, 1.2)
"""What a pause before another attempt is stretched by."""
ACTION: Final = "JudgeReadiness"
RIGHT: Final = "allow the pod's service account to create events of events.k8s.io, as k8s/events does"
NOTES: Final = {Readiness.READY: "every check that gates readiness is up", Readiness.DRAINING: "draining"}

log = logging.getLogger("sidecar.events")


class ReadinessEvents:
    """Follows the verdict of `/readyz`. `write` raises `ApiError`; `redact` blots secrets out of a note."""

    def __init__(
        self,
        board: Board,
        pod: Pod,
        *,
        write: Callable[[Event], Awaitable[None]],
        redact: Callable[[str], str],
        clock: Clock,
        draw: Callable[[float, float], float] = uniform,
    ) -> None:
        self._board = board
        self._pod = pod
        self._write = write
        self._redact = redact
        self._clock = clock
        self._draw = draw
        self._telling = Telling(counted_at=clock.monotonic())
        self._complaint = ""

    async def tell_forever(self) -> Never:
        """Tell each change, as often as `core.telling` allows; never raises."""
        news = News(self._board)
        while True:
            now = self._clock.monotonic()
            verdict = self._board.verdict(Probe.READYZ, now)
            self._observe(readiness_of(verdict), now)
            if due_at(self._telling, now) <= now:
                await self._tell(verdict)
                now = self._clock.monotonic()
            await news.within(min(verdict.expires_at, due_at(self._telling, now)) - now)

    def _observe(self, readiness: Readiness, now: float) -> None:
        spread = self._draw(0.0, SPREAD)
        self._telling = observe(self._telling, readiness, now, time=self._clock.wall(), spread=spread)

    async def _tell(self, verdict: Verdict) -> None:
        self._telling = attempt(self._telling, self._clock.monotonic())
        try:
            await self._write(self._event(verdict))
        except ApiError as error:
            self._complain_once(error)
            self._telling = fail(
                self._telling,
                self._clock.monotonic(),
                retry_after=error.retry_after,
                jitter=self._draw(*JITTER),
            )
        else:
            self._recant()
            self._telling = succeed(self._telling)

    def _event(self, verdict: Verdict) -> Event:
        readiness = readiness_of(verdict)
        return Event(
            pod=self._pod,
            type=EventType.WARNING if readiness is Readiness.NOT_READY else EventType.NORMAL,
            reason=readiness,
            action=ACTION,
            note=summarize([self._redact(each) for each in self._sentences(readiness, verdict)]),
            time=self._telling.time,
        )

    def _sentences(self, readiness: Readiness, verdict: Verdict) -> Iterator[str]:
        if self._telling.left_out:
            yield f"changes left out before this one: {self._telling.left_out}"
        if readiness in NOTES:
            yield NOTES[readiness]
        else:
            yield from (_story(line) for line in verdict.lines if line.mark is Mark.FAILED)

    def _complain_once(self, error: ApiError) -> None:
        """Log a failure unless the last one was of its kind: what the API says may differ each time."""
        complaint = str(error.status or error.sentence)
        if complaint != self._complaint:
            self._complaint = complaint
            remedy = {"remedy": RIGHT} if error.status == 403 else {}
            log.warning("kubernetes event cannot be written", extra={"detail": error.sentence, **remedy})

    def _recant(self) -> None:
        if self._complaint:
            self._complaint = ""
            log.info("kubernetes events are written again")


def _story(line: Line) -> str:
    return ": ".join(part for part in (f"{line.name} {line.text}", line.reason, line.message) if part)
