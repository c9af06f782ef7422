"""Any history of drains, against a model that looks through all that has happened each time it is asked."""

import asyncio
import logging
from typing import NamedTuple

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidecar.config.model import Awaited, DrainConfig, UntilConfig
from sidecar.core.drain import FORSAKEN_AFTER
from sidecar.core.phase import Phase
from sidecar.runtime.board import Board
from sidecar.runtime.drain import Drainer, StoppingError
from tests.core.builders import result
from tests.fuzz.profile import steps
from tests.runtime.fakes import config, loop_clock
from tests.runtime.virtual import VirtualLoop

CONFIGS = st.builds(
    DrainConfig,
    delay=st.sampled_from([0.0, 2.0, 5.0]),
    deadline=st.sampled_from([3.0, 30.0]),
    until=st.sampled_from([(), (UntilConfig(check="db", status=Awaited.UP),)]),
)


class Run(NamedTuple):
    """A run that has ended, as a letter says."""

    began: float
    ended: float
    letter: str


class History(RuleBasedStateMachine):
    """The real drainer; the model has a list of results, the drain that is under way, and whether we stop."""

    @initialize(drain=CONFIGS)
    def begin(self, drain: DrainConfig) -> None:
        logging.disable()
        self.loop = VirtualLoop()
        self.drain = drain
        self.underway: tuple[float, DrainConfig] | None = None
        self.results: list[Run] = []
        self.is_stopping = False
        self.loop.do(self._start())
        self.runs_end("s", duration=0.0)

    async def _start(self) -> None:
        self.board = Board([config(failure_threshold=1)], started_at=0.0, startup_deadline=300.0)
        self.drainer = Drainer(self.board, self.drain, loop_clock())
        self.running = asyncio.create_task(self.drainer.run_until_stopped())

    @property
    def is_over(self) -> bool:
        """Whether the drain under way has been over at any moment until now."""
        if self.underway is None:
            return False
        began, drain = self.underway
        longest = max(drain.delay, drain.deadline) if drain.until else drain.delay
        moments = [began + drain.delay, *(run.ended for run in self.results)]
        waited = [moment for moment in moments if began + drain.delay <= moment <= self.loop.time()]
        return self.loop.time() >= began + longest or any(map(self._was_up, waited))

    def _was_up(self, moment: float) -> bool:
        """Whether the last run at a moment was a success, and began in the drain."""
        assert self.underway is not None
        last = [run for run in self.results if run.ended <= moment][-1]
        return last.letter == "s" and last.began >= self.underway[0]

    @rule()
    def somebody_asks(self) -> None:
        self.drainer.begin()
        self.underway = self.underway or (self.loop.time(), self.drain)
        self._pass_by()

    @rule()
    def somebody_takes_it_back(self) -> None:
        if self.is_stopping:
            with pytest.raises(StoppingError):
                self.drainer.cancel()
        else:
            assert self.drainer.cancel() is (self.underway is not None)
            self.underway = None
        self._pass_by()

    @precondition(lambda self: not self.is_stopping)
    @rule()
    def a_stop_signal_comes(self) -> None:
        self.drainer.stop()
        self.underway = self.underway or (self.loop.time(), self.drain)
        self.is_stopping = True
        self._pass_by()

    @rule(drain=CONFIGS)
    def the_configuration_changes(self, drain: DrainConfig) -> None:
        self.drainer.adopt(drain)
        self.drain = drain
        self._pass_by()

    @rule(letters=st.sampled_from(["s", "f", "sf"]), duration=st.sampled_from([0.0, 1.0, 4.0]))
    def runs_end(self, letters: str, duration: float) -> None:
        for letter in letters:
            now = self.loop.time()
            self.results.append(Run(now - duration, now, letter))
            self.board.record("db", result(letter, at=now, duration=duration))
            self._pass_by()

    @rule(seconds=st.sampled_from([0.25, 1.0, 2.0, 3.0, 75.0]))
    def time_passes(self, seconds: float) -> None:
        self._pass_by(seconds)

    def _pass_by(self, seconds: float = 0.0625) -> None:
        """Let time pass, at the least so that no two things come at one moment."""
        self.loop.pass_by(seconds)
        if self.underway and not self.is_stopping and self.loop.time() >= self._forsaken_at(*self.underway):
            self.underway = None

    @invariant()
    def the_board_drains_while_a_drain_is_under_way(self) -> None:
        assert (self.board.phase is Phase.DRAINING) is (self.underway is not None)

    @invariant()
    def the_process_ends_with_a_drain_that_is_over_and_a_stop_signal(self) -> None:
        assert self.running.done() is (self.is_stopping and self.is_over)

    @invariant()
    def nobody_is_told_of_more_time_than_is_left(self) -> None:
        began, drain = self.underway or (self.loop.time(), self.drain)
        longest = max(drain.delay, drain.deadline) if drain.until else drain.delay

        assert self.drainer.seconds_left() == max(began + longest - self.loop.time(), 0.0)

    def _forsaken_at(self, began: float, drain: DrainConfig) -> float:
        return began + max(drain.delay, drain.deadline) + FORSAKEN_AFTER

    def teardown(self) -> None:
        logging.disable(logging.NOTSET)
        self.running.cancel()

        assert self.loop.end() == []


TestHistory = History.TestCase
TestHistory.settings = steps(150)
