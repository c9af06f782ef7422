"""What does a fleet do to a dependency?

Simulated in virtual time: 10,000 pods that start within 10s and live an hour, each with one check of 10s and
the default threshold, on a dependency that dies for 5 minutes. What decides is the real code: `settle`,
`varied_delay` and `delay_after_loss`. What waits is a queue of events instead of 10,000 event loops:
`tests/benchmarks` compares it with the real `CheckLoop` in virtual time. Against: the mean of requests a
second at the dependency while nothing happens.
"""

import heapq
from array import array
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Final

from benchmarks.client import undisturbed
from benchmarks.rows import Effort, Findings, Plot, Row, Target
from sidecar.core.check import Reason
from sidecar.core.result import Outcome, Result
from sidecar.core.state import State, settle
from sidecar.runtime.scheduler import delay_after_loss, varied_delay

QUESTION: Final = "What does a fleet do to a dependency?"
PODS: Final = 10_000
STARTS_WITHIN: Final = 10.0
INTERVAL: Final = 10.0
FAILURE_THRESHOLD: Final = 3
TAKES: Final = 0.005
"""Seconds of a run that is answered, or refused."""


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to the dependency: when it dies and when it is back, in seconds; it ends at `until`."""

    dies: float = 1500.0
    returns: float = 1800.0
    until: float = 3600.0

    def is_dead(self, at: float) -> bool:
        """Whether the dependency is dead at a second."""
        return self.dies <= at < self.returns


@dataclass(slots=True)
class Pod:
    """One check in one pod."""

    state: State = field(default_factory=State)
    plan: int = 0
    """Counts plans; an event of an older one is void."""
    due: float = 0.0


class Fleet:
    """Pods whose check holds a connection: its loss is a question, as every run is."""

    def __init__(self, count: int, story: Story, dice: Random) -> None:
        self.asked_at = array("d")
        """When each run began."""
        self.asked_by = array("l")
        """Whose run it was, in the same order."""
        self._story = story
        self._dice = dice
        self._pods = [Pod() for _ in range(count)]
        self._events: list[tuple[float, int, int]] = []

    def live(self) -> None:
        """Run until the end of the story."""
        for number in range(len(self._pods)):
            self._plan(number, self._dice.uniform(0, STARTS_WITHIN))
        self._until(self._story.dies)
        self._lose()
        self._until(self._story.until)

    def _until(self, end: float) -> None:
        while self._events and self._events[0][0] < end:
            at, number, plan = heapq.heappop(self._events)
            if plan == self._pods[number].plan:
                self._run(number, at)

    def _run(self, number: int, at: float) -> None:
        self.asked_at.append(at)
        self.asked_by.append(number)
        pod, ended = self._pods[number], at + TAKES
        pod.state = settle(
            pod.state,
            _result(ended, is_dead=self._story.is_dead(at)),
            failure_threshold=FAILURE_THRESHOLD,
            success_threshold=1,
        )
        delay = varied_delay(
            pod.state, interval=INTERVAL, failure_threshold=FAILURE_THRESHOLD, dice=self._dice
        )
        self._plan(number, ended + delay)

    def _lose(self) -> None:
        """Every pod loses its connection at the moment of the death, and comes back with a question."""
        now = self._story.dies
        for number, pod in enumerate(self._pods):
            self._plan(number, now + delay_after_loss(pod.due - now, inf, self._dice))

    def _plan(self, number: int, at: float) -> None:
        pod = self._pods[number]
        pod.plan += 1
        pod.due = at
        heapq.heappush(self._events, (at, number, pod.plan))


def measure(effort: Effort) -> Findings:
    """Simulate an hour of a fleet; of a small one for a smoke test."""
    pods, story = effort.count(PODS), Story()
    fleet = Fleet(pods, story, Random(1))  # noqa: S311 - the same fleet each time
    with undisturbed():  # millions of runs, and not one of them garbage
        fleet.live()
    rate = Counter(map(int, fleet.asked_at))
    mean = sum(rate[second] for second in range(600, 1500)) / 900
    down = sum(rate[second] for second in range(1560, 1800)) / 240
    start = max(rate[second] for second in range(60))
    death = max(rate[second] for second in range(1500, 1560))
    back = max(rate[second] for second in range(1800, 1900))
    on_death = Counter(
        number
        for at, number in zip(fleet.asked_at, fleet.asked_by, strict=True)
        if story.dies <= at < story.dies + 5
    )
    return Findings(
        [
            Row("requests a second while all is well, a pod", mean / pods, "a second"),
            Row("requests a second while it is dead, against that", down / mean),
            Row("highest second of the start, against the mean", start / mean, target=Target(at_most=2)),
            Row("highest second of the death, against the mean", death / mean),
            Row("highest second of the return, against the mean", back / mean, target=Target(at_most=2)),
            Row("runs of a pod within 5s of the death, mean", on_death.total() / pods, "runs"),
            Row(
                "runs of a pod within 5s of the death, at most",
                max(on_death.values()),
                "runs",
                Target(at_most=FAILURE_THRESHOLD + 1),
            ),
        ],
        [
            f"{pods:,} pods, one hour, {len(fleet.asked_at):,} runs.",
            f"A dead dependency refuses within {TAKES * 1000:.0f} ms.",
        ],
        [
            Plot(
                "fleet",
                f"Requests a second of {pods:,} pods; dead from 1500s to 1800s",
                x="seconds",
                y="requests a second",
                series={"all pods": [(second, rate[second]) for second in range(0, 3600, 4)]},
            )
        ],
    )


def _result(at: float, *, is_dead: bool) -> Result:
    return Result(
        outcome=Outcome.FAILURE if is_dead else Outcome.SUCCESS,
        reason=Reason.REFUSED if is_dead else None,
        finished_at=at,
        duration=TAKES,
        time=at,
    )
