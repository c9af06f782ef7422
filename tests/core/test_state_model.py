"""Any history of runs, against a model that remembers all of it and looks at it anew each time."""

from itertools import groupby, takewhile
from math import inf

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sidecar.core.state import State, Status, next_delay, settle, stale_at
from tests.core.builders import result
from tests.fuzz.profile import steps

LETTERS = "swfab"
SUCCESSES = "sw"


class History(RuleBasedStateMachine):
    """Keeps every result; the state under test keeps what it was given."""

    @initialize(
        failure_threshold=st.integers(1, 4),
        success_threshold=st.integers(1, 4),
        interval=st.sampled_from([0.05, 0.5, 2.0, 10.0, 300.0]),
        timeout=st.sampled_from([0.05, 2.0, 30.0]),
    )
    def begin(self, failure_threshold: int, success_threshold: int, interval: float, timeout: float) -> None:
        self.failure_threshold = failure_threshold
        self.success_threshold = success_threshold
        self.interval = interval
        self.timeout = timeout
        self.now = 0.0
        self.history: list[str] = []
        self.moments: list[float] = []
        self.last = State().last
        self.flips: list[tuple[float, Status]] = [(0.0, Status.UNKNOWN)]
        self.state = State()

    @rule(letter=st.sampled_from(LETTERS), passed=st.floats(0.001, 60), duration=st.floats(0, 40))
    def run_ends(self, letter: str, passed: float, duration: float) -> None:
        self.now += passed
        self.last = result(letter, at=self.now, duration=duration)
        self.history.append(letter)
        self.moments.append(self.now)
        if self.expected_status() is not self.flips[-1][1]:
            self.flips.append((self.now, self.expected_status()))
        self.state = settle(
            self.state,
            self.last,
            failure_threshold=self.failure_threshold,
            success_threshold=self.success_threshold,
        )

    def expected_status(self) -> Status:
        """Return the side of the last streak in the whole history that was long enough."""
        status = Status.UNKNOWN
        for is_success, letters in groupby(letter in SUCCESSES for letter in self.history):
            streak = len(list(letters))
            if is_success and streak >= self.success_threshold:
                status = Status.UP
            elif not is_success and streak >= self.failure_threshold:
                status = Status.DOWN
        return status

    def trailing(self, side: str) -> int:
        return len(list(takewhile(lambda letter: letter in side, reversed(self.history))))

    def expected_reason_since(self) -> float | None:
        """Return the moment of the first of the last runs that all failed as the last one did."""
        if not self.trailing("fab"):
            return None
        return self.moments[-self.trailing(self.history[-1])]

    def expected_delay(self) -> float:
        """Return DESIGN's table "When", read line by line."""
        status, retry = self.flips[-1][1], min(1.0, self.interval)
        if status is Status.UP and self.trailing(SUCCESSES):
            assert self.last is not None
            return max(self.interval - self.last.duration, retry)
        failures = self.trailing("fab")
        if status is not Status.DOWN or failures < self.failure_threshold:
            return retry
        limit = 30.0 if self.history[-1] in "ab" else min(self.interval, 5.0)
        delay = retry
        for _ in range(failures - self.failure_threshold):
            delay *= 2
        return min(delay, limit)

    @invariant()
    def state_tells_the_history(self) -> None:
        expected = State(
            status=self.flips[-1][1],
            since=self.flips[-1][0],
            streak=max(self.trailing(SUCCESSES), self.trailing("fab")),
            has_been_up=Status.UP in [status for _, status in self.flips],
            last=self.last,
            reason_since=self.expected_reason_since(),
        )

        assert self.state == expected

    @invariant()
    def next_run_is_when_the_table_says(self) -> None:
        delay = next_delay(self.state, interval=self.interval, failure_threshold=self.failure_threshold)

        assert delay == self.expected_delay()

    @invariant()
    def no_result_is_stale_before_the_next_run_could_have_replaced_it(self) -> None:
        stale = stale_at(
            self.state,
            interval=self.interval,
            timeout=self.timeout,
            failure_threshold=self.failure_threshold,
        )

        spread = 1.2 * self.expected_delay()
        assert stale == inf if self.last is None else stale > self.now + spread + self.timeout


TestHistory = History.TestCase
TestHistory.settings = steps(60)
