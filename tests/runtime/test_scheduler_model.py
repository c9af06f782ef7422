"""Any history of reloads, failures, losses and requests, against the simplest model of what is to be run."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidecar.config.check import CheckConfig, CheckType
from sidecar.config.model import Config
from sidecar.core.check import CheckFailed, Reason
from sidecar.core.result import Result
from sidecar.core.state import LOCKOUT_DELAY_LIMIT, Status
from sidecar.runtime.board import Board
from sidecar.runtime.changes import compare
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.runner import CANCEL_GRACE
from sidecar.runtime.scheduler import LOSS_SPACING, SPREAD, Scheduler, Surroundings
from tests.fuzz.profile import steps
from tests.runtime.fakes import HoldingCheck, LoadedDie, config, for_ever, loop_clock, now
from tests.runtime.virtual import VirtualLoop

NAMES = ("a", "b", "c")
TIMEOUT = 0.5
SLACK = 0.01
"""Seconds that turns of others, a fraction of a millisecond each, may add."""


class Dependency(HoldingCheck):
    """Does what it is told at the moment, and can be lost."""

    def __init__(self, mood: str) -> None:
        self.mood = mood
        self.is_lost = asyncio.Event()
        super().__init__(self._answer, lose=self.is_lost.wait)

    async def _answer(self) -> None:
        self.is_lost.clear()
        match self.mood:
            case "refused":
                raise CheckFailed(Reason.REFUSED, "nobody listens")
            case "barred":
                raise CheckFailed(Reason.AUTH, "wrong password")
            case "crashing":
                raise SystemExit(1)
            case "hung":
                await for_ever()
            case "slow":
                await asyncio.sleep(TIMEOUT / 2)


@dataclass
class Model:
    """What is known of a check that asks one question: its last result, and what they have settled on."""

    status: Status = Status.UNKNOWN
    streak: int = 0
    last: Result | None = None

    def add(self, result: Result, config: CheckConfig) -> None:
        is_same = self.last is not None and self.last.is_success is result.is_success
        self.streak = self.streak + 1 if is_same else 1
        self.last = result
        if self.streak >= (config.success_threshold if result.is_success else config.failure_threshold):
            self.status = Status.UP if result.is_success else Status.DOWN


class Fleet(RuleBasedStateMachine):
    """The real scheduler on the real board; the model knows the list of checks, and each result."""

    @initialize()
    def begin(self) -> None:
        logging.disable()  # a traceback a crash would be most of the work
        self.loop = VirtualLoop()
        self.dependencies: dict[str, list[Dependency]] = {name: [] for name in NAMES}
        """All that were ever built, by name; the last one is in force if the check is configured."""
        self.mood = dict.fromkeys(NAMES, "up")
        self.configs: tuple[CheckConfig, ...] = ()
        self.models = {name: Model() for name in NAMES}
        self.asked: dict[str, list[float]] = {name: [] for name in NAMES}
        self.loop.do(self._start())

    async def _start(self) -> None:
        clock = loop_clock()
        self.board = Board([], started_at=clock.monotonic(), startup_deadline=300.0)
        self.board.subscribe_results(self._note)
        self.pulse = Pulse(clock)
        self.group = asyncio.TaskGroup()
        await self.group.__aenter__()
        self.beating = self.group.create_task(self.pulse.beat_forever())
        shared = Surroundings(board=self.board, pulse=self.pulse, clock=clock, dice=LoadedDie(0.5))
        self.scheduler = Scheduler(self.group, shared, find=self.build, redact=str)

    @rule(
        wanted=st.lists(
            st.builds(
                config,
                st.sampled_from(NAMES),
                interval=st.sampled_from([1.0, 5.0, 60.0]),
                failure_threshold=st.integers(1, 3),
                timeout=st.just(TIMEOUT),
                initial_delay=st.sampled_from([0.0, 0.0, 2.0]),
            ),
            unique_by=lambda each: each.name,
            max_size=3,
        )
    )
    def reload(self, wanted: list[CheckConfig]) -> None:
        self.loop.do(self._apply(tuple(wanted)))
        self.loop.pass_by(SLACK)

    def _note(self, name: str, result: Result) -> None:
        self.models[name].add(result, self._configured()[name])

    def build(self, wanted: CheckConfig) -> CheckType[CheckConfig]:
        """Return the type of a check, which builds a new dependency each time."""

        def build(built: CheckConfig) -> Dependency:
            self.dependencies[built.name].append(Dependency(self.mood[built.name]))
            return self.dependencies[built.name][-1]

        assert wanted.name in NAMES
        return CheckType(config=CheckConfig, build=build, holds_connection=True)

    async def _apply(self, wanted: tuple[CheckConfig, ...]) -> None:
        changes = compare(Config(checks=self.configs), Config(checks=wanted), frozenset())
        for name in changes.removed | changes.edited:
            self.models[name] = Model()
        self.board.apply(wanted, edited=changes.edited, now=self.loop.time())
        self.scheduler.apply(wanted, changes)
        self.configs = wanted

    @rule(
        name=st.sampled_from(NAMES),
        mood=st.sampled_from(["up", "refused", "barred", "crashing", "hung", "slow"]),
    )
    def change_mood(self, name: str, mood: str) -> None:
        self.mood[name] = mood
        for each in self.dependencies[name]:
            each.mood = mood

    @rule(name=st.sampled_from(NAMES))
    def lose(self, name: str) -> None:
        for each in self.dependencies[name]:
            each.is_lost.set()

    @precondition(lambda self: self.configs)
    @rule(name=st.sampled_from(NAMES))
    def ask_now(self, name: str) -> None:
        before = self._began(name)

        self.loop.do(self._ask(name))
        self.loop.pass_by(TIMEOUT + CANCEL_GRACE + SLACK)

        assert self._began(name) > before or name not in self._configured()

    async def _ask(self, name: str) -> None:
        self.asked[name].append(now())
        self.scheduler.ask_now([name])

    @rule(seconds=st.sampled_from([0.0, 0.3, 1.0, 4.0, 15.0]))
    def time_passes(self, seconds: float) -> None:
        self.loop.pass_by(seconds)

    @invariant()
    def what_is_configured_is_live_and_nothing_else(self) -> None:
        self.loop.pass_by(SLACK)
        names = [entry.config.name for entry in self.board.entries()]
        looping = sorted(
            task.get_name() for task in asyncio.all_tasks(self.loop) if task.get_name().startswith("check:")
        )

        assert names == [each.name for each in self.configs]
        assert looping == sorted(f"check:{name}" for name in names)

    @invariant()
    def runs_of_a_check_never_overlap(self) -> None:
        for built in self.dependencies.values():
            assert all(each.most_at_once <= 1 for each in built)
            assert sum(each.at_once for each in built) <= 1

    @invariant()
    def what_was_replaced_is_closed_once_its_grace_is_over(self) -> None:
        self.loop.pass_by(CANCEL_GRACE + SLACK)
        for name, built in self.dependencies.items():
            ended = built[:-1] if name in self._configured() else built
            assert all(each.closed == 1 for each in ended)
            assert all(each.closed == 0 for each in built[len(ended) :])

    @invariant()
    def the_board_tells_what_the_results_say(self) -> None:
        told = {entry.config.name: (entry.state.status, entry.state.last) for entry in self.board.entries()}

        assert told == {name: (self.models[name].status, self.models[name].last) for name in told}

    @invariant()
    def every_check_is_asked_again_in_time_and_no_loop_of_ours_is_late(self) -> None:
        assert self.pulse.overdue() == {}
        for entry in self.board.entries():
            planned = entry.next_run_at
            limit = max(entry.config.interval, LOCKOUT_DELAY_LIMIT) * (1 + SPREAD)
            assert planned is None or planned - self.loop.time() <= limit

    @invariant()
    def no_loss_makes_a_storm(self) -> None:
        """Of runs that nobody asked for, a loss adds one a second at most to those that are due anyway."""
        least = LOSS_SPACING * (1 - SPREAD / 2) - SLACK
        for name, built in self.dependencies.items():
            for began in (each.began for each in built):
                for first, third in zip(began[:-2], began[2:], strict=True):
                    was_asked = any(first <= moment <= third for moment in self.asked[name])
                    assert third - first > least or was_asked

    def _began(self, name: str) -> int:
        return sum(len(each.began) for each in self.dependencies[name])

    def _configured(self) -> Mapping[str, CheckConfig]:
        return {each.name: each for each in self.configs}

    def teardown(self) -> None:
        logging.disable(logging.NOTSET)
        self.loop.do(self.scheduler.aclose())
        self.beating.cancel()
        self.loop.do(self.group.__aexit__(None, None, None))

        assert all(each.closed == 1 for built in self.dependencies.values() for each in built)
        assert self.loop.end() == []


TestFleet = Fleet.TestCase
TestFleet.settings = steps(15)
