"""Our own health: promises kept and broken, and how late the event loop was."""

import asyncio

import pytest

from sidecar.runtime.clock import Clock
from sidecar.runtime.pulse import Pulse
from tests.boards import StoppedClock
from tests.runtime.fakes import loop_clock


def late(pulse: Pulse) -> dict[str, float]:
    return {loop: round(seconds, 3) for loop, seconds in pulse.overdue().items()}


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (0.0, {}),
        (5.0, {}),
        # late, and still within patience
        (15.0, {}),
        (15.001, {"check:db": 10.001}),
        (60.0, {"check:db": 55.0}),
    ],
)
def test_a_loop_is_overdue_ten_seconds_after_it_promised_to_act(
    passed: float, expected: dict[str, float]
) -> None:
    clock = StoppedClock()
    pulse = Pulse(clock.clock)
    pulse.expect("event-loop", within=3600.0)
    pulse.expect("check:db", within=5.0)

    clock.pass_by(passed)

    assert late(pulse) == expected


def test_an_event_loop_that_never_turned_is_overdue() -> None:
    clock = StoppedClock()
    pulse = Pulse(clock.clock)

    clock.pass_by(11.5)

    assert late(pulse) == {"event-loop": 10.5}


def test_a_new_promise_replaces_the_old_one() -> None:
    clock = StoppedClock()
    pulse = Pulse(clock.clock)
    pulse.expect("check:db", within=1.0)
    clock.pass_by(10.9)
    pulse.expect("check:db", within=1.0)
    pulse.expect("event-loop", within=1.0)

    clock.pass_by(10.9)

    assert late(pulse) == {}


def test_nothing_more_is_expected_of_a_loop_that_was_ended() -> None:
    clock = StoppedClock()
    pulse = Pulse(clock.clock)
    pulse.expect("event-loop", within=3600.0)
    pulse.expect("check:db", within=1.0)

    pulse.forget("check:db")
    pulse.forget("check:unheard-of")
    clock.pass_by(100.0)

    assert late(pulse) == {}


def test_the_real_clock_is_read_by_default() -> None:
    assert late(Pulse()) == {}


class Stall:
    """Lets the clock run ahead of the event loop, as a blocking call would."""

    def __init__(self) -> None:
        self._clock = loop_clock()
        self.ahead = 0.0

    def monotonic(self) -> float:
        return self._clock.monotonic() + self.ahead


async def beat(pulse: Pulse, seconds: float) -> None:
    """Let the heartbeat go on for so long."""
    beating = asyncio.create_task(pulse.beat_forever())
    await asyncio.sleep(seconds)
    beating.cancel()
    await asyncio.wait({beating})


@pytest.mark.looptime
async def test_a_beating_event_loop_is_never_overdue_nor_late() -> None:
    pulse = Pulse(loop_clock())

    await beat(pulse, 120.5)

    assert (late(pulse), round(pulse.lag, 3)) == ({}, 0.0)


@pytest.mark.looptime
async def test_the_heart_beats_once_a_second() -> None:
    pulse = Pulse(loop_clock())
    await beat(pulse, 100.5)

    await asyncio.sleep(11.0)

    # the last beat was after 100 s and promised the next within one
    assert late(pulse) == {"event-loop": 10.5}


async def lags(stalls: dict[int, float], *, until: int) -> list[float]:
    """Return the lag shown at the end of each second, with stalls of so long in some seconds."""
    stall = Stall()
    pulse = Pulse(Clock(monotonic=stall.monotonic))
    beating = asyncio.create_task(pulse.beat_forever())
    await asyncio.sleep(0.5)
    shown = []
    for second in range(until):
        stall.ahead += stalls.get(second, 0.0)
        await asyncio.sleep(1.0)
        shown.append(round(pulse.lag, 3))
    beating.cancel()
    await asyncio.wait({beating})
    return shown


@pytest.mark.looptime
async def test_the_lag_shown_is_the_worst_of_this_window_and_the_last() -> None:
    shown = await lags({1: 0.25, 3: 0.1}, until=33)

    # fifteen-second windows: the stall of the first is shown to the end of the second
    assert shown == [0.0] + [0.25] * 28 + [0.0] * 4


@pytest.mark.looptime
async def test_a_worse_lag_is_shown_at_once_and_a_better_one_once_the_worse_is_old() -> None:
    shown = await lags({1: 0.25, 16: 0.1, 18: 0.3}, until=48)

    assert shown == [0.0] + [0.25] * 17 + [0.3] * 26 + [0.0] * 4
