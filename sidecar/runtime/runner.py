"""One run of one check, contained: it ends at its deadline and turns every end into a `Result`.

Knows nothing of schedules or states.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from sidecar.core.check import Check, CheckFailed, Reason
from sidecar.core.result import Outcome, Result
from sidecar.runtime.clock import Clock
from sidecar.runtime.pacer import Pacer
from sidecar.runtime.stall import timed
from sidecar.support.driver import MissingDriverError
from sidecar.support.text import one_line, show_age, show_duration

CANCEL_GRACE: Final = 0.1
"""Seconds that a cancelled run gets to clean up before it is left behind."""
CLOSE_LIMIT: Final = 1.0
"""Seconds that a check gets to close itself."""
MESSAGE_LIMIT: Final = 1000
"""Characters: enough for a check that tells of several violated rules at once."""

Ask = Callable[[], Awaitable[object]]

log = logging.getLogger(__name__)


class _Ending(NamedTuple):
    outcome: Outcome
    reason: Reason | None = None
    message: str = ""


class Runner:
    """Runs one check, one run at a time, each within `timeout` seconds.

    `target` is what the check asks, in words for a message; `redact` blots secrets out of every message;
    `pacer` keeps the runs of many checks from beginning, and from being cancelled, all at once. Whoever made
    the runner closes it.
    """

    def __init__(
        self,
        check: Check,
        *,
        name: str,
        target: str,
        timeout: float,
        redact: Callable[[str], str] = str,
        pacer: Pacer | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.check = check
        self.timeout = timeout
        self._name = name
        self._target = target
        self._redact = redact
        self._pacer = pacer or Pacer()
        self._clock = clock or Clock()
        self._lost: Ask | None = getattr(check, "lost", None)
        """What a `HoldsConnection` adds; to ask for the type would read a third party's properties."""
        self._left_behind: dict[asyncio.Task[_Ending], float] = {}
        """Since which monotonic second."""
        self._logged: tuple[str, ...] = ()

    async def run(self) -> Result:
        """Run the check once and return how it ended, within `timeout` + 0.1 seconds, whatever it does.

        Where a run was left behind it gets one more `timeout` to end before; where many checks run at once,
        each also waits for its turn. Raises nothing but the caller's own cancellation, which also cancels
        the run.
        """
        await self._pacer.turn()
        started = self._clock.monotonic()
        opened = self._connections_opened()
        ending = await self._await_left_behind() or await self._run_to_deadline()
        finished = self._clock.monotonic()
        return Result(
            outcome=ending.outcome,
            reason=ending.reason,
            message=one_line(self._redact(ending.message), limit=MESSAGE_LIMIT),
            finished_at=finished,
            duration=finished - started,
            time=self._clock.wall(),
            connections_opened=self._connections_opened() - opened,
        )

    async def lost_within(self, seconds: float) -> bool:
        """Wait at most so many seconds; return early, and True, if the connection was lost."""
        if self._left_behind or self._lost is None:
            await asyncio.sleep(seconds)
            return False
        return await self._end_by(seconds, self._lost, name=f"lost:{self._name}") is not None

    async def aclose(self) -> None:
        """Close the check, within 1.1 seconds; safe twice."""
        await self._end_by(CLOSE_LIMIT, self.check.aclose, name=f"close:{self._name}")

    async def _await_left_behind(self) -> _Ending | None:
        """Give a run that was left behind one more deadline to end: until it has, no other may start."""
        if not self._left_behind:
            return None
        _, hanging = await asyncio.wait(self._left_behind, timeout=self.timeout)
        if not hanging:
            return None
        hung = show_age(self._clock.monotonic() - min(self._left_behind[task] for task in hanging))
        return self._timed_out(f"a run that ignores its cancellation has hung for {hung}")

    async def _run_to_deadline(self) -> _Ending:
        ending = await self._end_by(self.timeout, self.check.run, name=f"run:{self._name}")
        return ending or self._timed_out(f"gave no answer within {show_duration(self.timeout)}")

    async def _end_by(self, limit: float, ask: Ask, *, name: str) -> _Ending | None:
        """Return how `ask` ended by itself within `limit` seconds; None if it had to be cancelled.

        A task awaited from outside: `asyncio.timeout` would wait for ever for one that ignores cancellation.
        """
        task = asyncio.create_task(self._contained(ask), name=name)
        try:
            await asyncio.wait({task}, timeout=limit)
            if not task.done():
                await self._pacer.turn()
            return self._ending_of(task) if task.done() else None
        finally:
            await self._end(task)

    async def _end(self, task: asyncio.Task[_Ending]) -> None:
        """Cancel what has not ended, give it its grace, then leave it behind: kept, never forgotten."""
        if task.done():
            return
        task.cancel()
        self._left_behind[task] = self._clock.monotonic()
        task.add_done_callback(self._left_behind.pop)
        await asyncio.wait({task}, timeout=CANCEL_GRACE)
        if not task.done():
            self._log_once("stubborn", "run ignores its cancellation")

    async def _contained(self, ask: Ask) -> _Ending:
        """Return how `ask` ended. The one place that contains `BaseException`.

        A SystemExit or KeyboardInterrupt that leaves a task would end the event loop.
        """
        try:
            return _answered(await timed(_ask(ask), self._stalled, monotonic=self._clock.monotonic))
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                raise
            ending = self._failed(error)
            _cut_loose(error)
            return ending

    def _failed(self, error: BaseException) -> _Ending:
        match error:
            case CheckFailed():
                return _Ending(Outcome.FAILURE, error.reason, error.message)
            case MissingDriverError():
                return _Ending(Outcome.FAILURE, Reason.UNEXPECTED, str(error))
            case TimeoutError():
                return self._timed_out("timed out")
            case _:
                return self._crashed(error)

    def _ending_of(self, task: asyncio.Task[_Ending]) -> _Ending:
        """Return how a finished task ended; one that we did not cancel was cancelled by the check itself."""
        return self._crashed(asyncio.CancelledError()) if task.cancelled() else task.result()

    def _timed_out(self, what: str) -> _Ending:
        return _Ending(Outcome.FAILURE, Reason.TIMEOUT, f"{self._target}: {what}")

    def _crashed(self, error: BaseException) -> _Ending:
        crash = type(error).__name__
        self._log_once(crash, "check crashed", error)
        return _Ending(Outcome.FAILURE, Reason.UNEXPECTED, f"unexpected {crash}")

    def _stalled(self, seconds: float) -> None:
        """Say who it was: while it lasted no probe was answered, and the kubelet may ask why."""
        self._log_once("stall", "check blocked the event loop", seconds=round(seconds, 1))

    def _log_once(self, bug: str, message: str, error: BaseException | None = None, **fields: object) -> None:
        """Log a bug of the check once, not once a run."""
        if bug not in self._logged:
            self._logged += (bug,)
            log.error(message, exc_info=error, extra={"check": self._name, **fields})

    def _connections_opened(self) -> int:
        """Return how many connections the check says that it has opened; a third party's may say anything."""
        try:
            return int(getattr(self.check, "connections_opened", 0))
        except Exception as error:  # noqa: BLE001 - a bug of the check, which has answered all the same
            self._log_once("count", "check cannot count its connections", error)
            return 0


async def _ask(ask: Ask) -> object:
    """Return the answer; what is no coroutine fails here, as the check's own bug."""
    return await ask()


def _answered(answer: object) -> _Ending:
    """Return the ending of a check that answered.

    Raises:
        TypeError: neither None nor a sentence, as `return False` from a third party's check would be.
    """
    if answer is None or answer == "":
        return _Ending(Outcome.SUCCESS)
    if isinstance(answer, str):
        return _Ending(Outcome.WARNING, None, answer)
    raise TypeError(f"a check returns None or a sentence, not {type(answer).__name__}")


def _cut_loose(error: BaseException | None) -> None:
    """Take the frames from an error and from those that it came of.

    The frames of many a library hold an error whose traceback holds them: circles that only the garbage
    collector ends, of up to a hundred objects a failed run.
    """
    while error is not None and error.__traceback__ is not None:
        error = error.with_traceback(None).__context__


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
