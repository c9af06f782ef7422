"""The simulated fleet asks as the real loop does."""

import asyncio
from random import Random

import pytest

from benchmarks.fleet import FAILURE_THRESHOLD, INTERVAL, TAKES, Fleet, Story
from sidecar.config.check import CheckConfig
from sidecar.core.check import CheckFailed, Reason
from sidecar.runtime.board import Board
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.runner import Runner
from sidecar.runtime.scheduler import CheckLoop, Surroundings
from tests.runtime.fakes import HoldingCheck, LoadedDie, for_ever, loop_clock, now

STORY = Story(dies=60.0, returns=120.0, until=200.0)


@pytest.mark.looptime
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
async def test_a_simulated_pod_asks_when_a_real_loop_does(share: float) -> None:
    fleet = Fleet(1, STORY, LoadedDie(share))
    fleet.live()

    real = await _asked_by_a_loop(share)

    assert list(fleet.asked_at) == pytest.approx(real, abs=0.02)


async def _asked_by_a_loop(share: float) -> list[float]:
    async def answer() -> None:
        is_dead = STORY.is_dead(now())
        await asyncio.sleep(TAKES)
        if is_dead:
            raise CheckFailed(Reason.REFUSED, "refused")

    async def lose() -> None:
        if now() > STORY.dies:
            await for_ever()
        await asyncio.sleep(STORY.dies - now())

    config = CheckConfig(name="db", type="redis", interval=INTERVAL, failure_threshold=FAILURE_THRESHOLD)
    check, clock, die = HoldingCheck(answer, lose=lose), loop_clock(), LoadedDie(share)
    board = Board([config], started_at=0.0, startup_deadline=300.0)
    runner = Runner(check, name="db", target="db", timeout=config.timeout, clock=clock)
    loop = CheckLoop(config, runner, Surroundings(board=board, pulse=Pulse(clock), clock=clock, dice=die))
    task = asyncio.create_task(loop.run_forever(die.uniform(0, 10)))
    await asyncio.sleep(STORY.until)
    task.cancel()
    await asyncio.wait({task})
    return check.began


def test_a_fleet_is_the_same_each_time() -> None:
    asked = []
    for _ in range(2):
        fleet = Fleet(5, STORY, Random(1))  # noqa: S311 - the same fleet each time
        fleet.live()
        asked.append((fleet.asked_at, fleet.asked_by))

    assert asked[0] == asked[1]
