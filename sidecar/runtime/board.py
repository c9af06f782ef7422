"""Where everything stands: the state and the tally of each check, the phase and the latch.

The board is the single writer of all of them. Tellers read it, and ask `version` whether what they rendered
is still true.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sidecar.config.check import CheckConfig
from sidecar.core.check import Reason
from sidecar.core.deploy import DeployEvent
from sidecar.core.events import Event, StartupPassed, StatusChanged
from sidecar.core.phase import Phase, after_drain, after_startup
from sidecar.core.result import Outcome, Result
from sidecar.core.state import State, Status, settle, stale_at
from sidecar.core.verdict import (
    Gate,
    Latch,
    Probe,
    Standing,
    Verdict,
    has_started,
    judge,
    judge_one,
    pending_after_edit,
)

DURATION_BUCKETS: Final = (0.005, 0.05, 0.5, 2.0)
"""Upper bounds in seconds; a fifth bucket has no bound."""

OUTCOMES_KEPT: Final = 20
"""How many of a check's last outcomes people are shown."""

NONE_PENDING: Final[frozenset[Gate]] = frozenset()
"""One for all: Python makes an empty one of 216 bytes each time."""

Listener = Callable[[Event], None]
ResultListener = Callable[[str, Result], None]
"""Takes the name of a check and its result."""


@dataclass(slots=True)
class Tally:
    """Plain counts of one check since it was configured. Written by the board alone."""

    runs: Counter[Outcome] = field(default_factory=Counter)
    failures: Counter[Reason] = field(default_factory=Counter)
    transitions: Counter[Status] = field(default_factory=Counter)
    durations: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BUCKETS) + 1))
    """Runs by bucket, not cumulated."""
    duration_sum: float = 0.0
    """Seconds."""
    connections_opened: int = 0
    last_success_time: float | None = None
    """Seconds since the epoch."""

    def add(self, result: Result) -> None:
        """Count one result."""
        self.runs[result.outcome] += 1
        if result.reason is not None:
            self.failures[result.reason] += 1
        if result.is_success:
            self.last_success_time = result.time
        self.durations[bisect_left(DURATION_BUCKETS, result.duration)] += 1
        self.duration_sum += result.duration
        self.connections_opened += result.connections_opened


@dataclass(slots=True)
class Entry:
    """One check on the board."""

    config: CheckConfig
    state: State
    tally: Tally = field(default_factory=Tally)
    runs_in_status: int = 0
    pending: frozenset[Gate] = NONE_PENDING
    """Gates that an edit gave it while we were serving; none once it has been up."""
    recent: tuple[Outcome, ...] = ()
    """The last outcomes, the oldest first."""
    next_run_at: float | None = None
    """Monotonic seconds; None while a run is under way, or before the check's driver is there."""
    _standing: Standing | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def standing(self) -> Standing:
        """What a verdict needs to know; kept, since probes ask far more often than it changes."""
        kept = self._standing
        if kept is None or kept.state is not self.state or kept.pending is not self.pending:
            kept = self._standing = self._stand()
        return kept

    def _stand(self) -> Standing:
        config = self.config
        return Standing(
            name=config.name,
            gates=config.gates,
            state=self.state,
            pending=self.pending,
            stale_at=stale_at(
                self.state,
                interval=config.interval,
                timeout=config.timeout,
                failure_threshold=config.failure_threshold,
            ),
        )


class Board:
    """States, tallies, phase and latch of the process.

    `started_at` is the monotonic second of our start; `startup_deadline` the seconds that a start may take;
    `proved` the names of the checks that have been up before our start, in another life of the container.
    """

    def __init__(
        self,
        configs: Sequence[CheckConfig],
        *,
        started_at: float,
        startup_deadline: float,
        proved: Collection[str] = (),
    ) -> None:
        self.version = 0
        """Rises whenever an answer may have changed, but for what time alone changes."""
        self.turns = 0
        """Rises with `version` whenever a probe may pass that failed, or fail that passed."""
        self.phase = Phase.STARTING
        self.latch = Latch(startup_passed=False, liveness_deadline=started_at + startup_deadline)
        self.requests: Counter[tuple[str, int]] = Counter()
        """Answered probes by path and code."""
        self.announcements: Counter[tuple[str, DeployEvent, str]] = Counter()
        """Announcements by service, event and outcome."""
        self.queued_announcements = 0
        self.deploy_phase: DeployEvent | None = None
        """What has become of the deploy that brought us here, as far as we know."""
        self.started_at = started_at
        self._entries = {
            each.name: Entry(each, State(since=started_at, has_been_up=each.name in proved))
            for each in configs
        }
        self._keeps_ready = False
        self._listeners: list[Listener] = []
        self._result_listeners: list[ResultListener] = []
        self._watchers: list[Callable[[], None]] = []
        self._pass_startup(started_at)

    def subscribe(self, listener: Listener) -> None:
        """Have every event from now on told to `listener`, which must be quick and must not raise."""
        self._listeners.append(listener)

    def subscribe_results(self, listener: ResultListener) -> None:
        """Have every result from now on told to `listener`, once it is settled; as quick, and as safe."""
        self._result_listeners.append(listener)

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have `watcher` called at each rise of the version; it must be quick and must not raise."""
        self._watchers.append(watcher)

    def entries(self) -> Iterator[Entry]:
        """Yield the checks in their configured order, to be read only."""
        yield from self._entries.values()

    def standings(self) -> list[Standing]:
        """Return what verdicts are judged from, in the configured order."""
        return [entry.standing for entry in self._entries.values()]

    def state(self, name: str) -> State:
        """Return the state of a check.

        Raises:
            KeyError: no check has this name.
        """
        return self._entries[name].state

    def verdict(self, probe: Probe, now: float) -> Verdict:
        """Return what `probe` answers at the monotonic second `now`."""
        return judge(probe, self.standings(), self._phase_shown, self.latch, now)

    def verdict_on(self, name: str, probe: Probe, now: float) -> Verdict | None:
        """Return what `probe` answers about one check; None if no check has this name."""
        entry = self._entries.get(name)
        return judge_one(probe, entry.standing, self.latch, now) if entry else None

    def count_request(self, probe: str, code: int) -> None:
        """Count one answered probe."""
        self.requests[probe, code] += 1

    def count_announcement(self, service: str, event: DeployEvent, outcome: str) -> None:
        """Count one announcement that came to its end."""
        self.announcements[service, event, outcome] += 1

    def queue_announcements(self, count: int) -> None:
        """Note how many announcements this process has to deliver yet."""
        self.queued_announcements = count

    def follow_deploy(self, phase: DeployEvent | None) -> None:
        """Note what has become of our deploy."""
        if phase is not self.deploy_phase:
            self.deploy_phase = phase
            self._change()

    def apply(self, configs: Sequence[CheckConfig], *, edited: Collection[str], now: float) -> None:
        """Have these checks from now on, those of `edited` without the state that they had under their name.

        Once startup has passed an edit by itself changes no answer: one that reaches every pod at once takes
        none out, and lets none in.
        """
        self._entries = {
            each.name: self._entry(each, is_edited=each.name in edited, now=now) for each in configs
        }
        self._turn()
        self._pass_startup(now)

    def plan(self, name: str, at: float | None) -> None:
        """Note the monotonic second of a check's next run; None while one is under way."""
        self._entries[name].next_run_at = at

    def record(self, name: str, result: Result) -> State:
        """Take down one more result of a check; return the state that it settled into."""
        entry = self._entries[name]
        before = entry.state
        was_stale = entry.standing.is_stale(result.finished_at)
        entry.state = settle(
            before,
            result,
            failure_threshold=entry.config.failure_threshold,
            success_threshold=entry.config.success_threshold,
        )
        if entry.state.status is Status.UP:
            entry.pending = NONE_PENDING
        entry.tally.add(result)
        entry.runs_in_status += 1
        entry.recent = (*entry.recent[-OUTCOMES_KEPT + 1 :], result.outcome)
        has_turned = was_stale or _settled(entry.state) != _settled(before)
        if has_turned and entry.config.gates:
            self._turn()
        elif has_turned or _story(entry.state) != _story(before):
            self._change()
        if entry.state.status is not before.status:
            self._tell(self._change_status(entry, before))
            self._pass_startup(result.finished_at)
        for listener in self._result_listeners:
            listener(name, result)
        return entry.state

    def enter(self, phase: Phase) -> None:
        """Go on to another phase."""
        if phase is not self.phase:
            self.phase = phase
            self._turn()

    def drain(self, *, keeps_ready: bool) -> None:
        """Go on to draining; one that `keeps_ready` leaves `/readyz` as it is."""
        self._keeps_ready = keeps_ready
        self.enter(Phase.DRAINING)

    def resume(self) -> None:
        """Go back to where a drain began."""
        self.enter(after_drain(startup_passed=self.latch.startup_passed))

    @property
    def _phase_shown(self) -> Phase:
        is_hidden = self.phase is Phase.DRAINING and self._keeps_ready
        return after_drain(startup_passed=self.latch.startup_passed) if is_hidden else self.phase

    def _entry(self, config: CheckConfig, *, is_edited: bool, now: float) -> Entry:
        old = self._entries.get(config.name)
        pending = self._pending(old, config, is_edited=is_edited, now=now)
        if old is None or is_edited:
            tally = old.tally if old and old.config.type == config.type else Tally()
            return Entry(config, State(since=now), tally, pending=pending)
        return replace(old, config=config, pending=pending)

    def _pending(
        self, old: Entry | None, config: CheckConfig, *, is_edited: bool, now: float
    ) -> frozenset[Gate]:
        if not self.latch.startup_passed:
            return NONE_PENDING
        return pending_after_edit(old.standing if old else None, config.gates, now, is_edited=is_edited)

    def _change_status(self, entry: Entry, before: State) -> StatusChanged:
        entry.tally.transitions[entry.state.status] += 1
        runs_before, entry.runs_in_status = entry.runs_in_status - 1, 0
        return StatusChanged(
            name=entry.config.name,
            type=entry.config.type,
            before=before,
            after=entry.state,
            runs_before=runs_before,
        )

    def _pass_startup(self, at: float) -> None:
        if not self.latch.startup_passed and has_started(self.standings()):
            self.latch = replace(self.latch, startup_passed=True)
            self.enter(after_startup(self.phase))
            self._tell(StartupPassed(after=at - self.started_at))

    def _turn(self) -> None:
        self.turns += 1
        self._change()

    def _change(self) -> None:
        self.version += 1
        for watcher in self._watchers:
            watcher()

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)


def _settled(state: State) -> tuple[object, ...]:
    """Return what of a state decides whether a probe passes."""
    return state.status, state.has_been_up


def _story(state: State) -> tuple[object, ...] | None:
    """Return what else of a state a verdict shows: a fresher result with the same story tells nothing new."""
    return (state.last.outcome, state.last.reason, state.last.message) if state.last else None
