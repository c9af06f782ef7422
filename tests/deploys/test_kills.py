"""A process is killed at every step that it takes: nothing is left out, and twice comes only what must."""

import asyncio
from dataclasses import dataclass, field

import pytest

from sidecar.core.check import Reason
from sidecar.core.deploy import LEASE
from tests.deploys.replicas import KnowingService, Replica, Service, World
from tests.runtime.fakes import for_ever

pytestmark = pytest.mark.looptime

LONG_ENOUGH = 200.0
"""Seconds in which a deploy is over whoever was killed in between: two leases, and 30s of readiness."""


@dataclass
class Assassin:
    """Kills its victim at its step number `at`; knows what that step was."""

    at: int
    steps: list[str] = field(default_factory=list)
    victim: Replica | None = None

    async def __call__(self, what: str) -> None:
        self.steps.append(what)
        if len(self.steps) == self.at and self.victim is not None:
            self.victim.kill()
            await for_ever()

    @property
    def has_struck(self) -> bool:
        return len(self.steps) >= self.at


async def live(world: World, assassin: Assassin, *, fails: bool) -> None:
    """Have a pod come up, or fail and recover, of which the first process is killed; others follow it."""
    await asyncio.sleep(1)  # so that no process is killed before the assassin knows it
    assassin.victim = world.replica(step=assassin)
    world.replica()
    for replica in world.replicas:
        replica.say(Reason.AUTH if fails else None)
    await asyncio.sleep(LONG_ENOUGH)
    for replica in world.replicas:
        replica.say()
    await asyncio.sleep(LONG_ENOUGH)
    await world.end()


@pytest.mark.parametrize(
    ("fails", "story"),
    [(False, ["started", "succeeded"]), (True, ["started", "failed", "succeeded"])],
    ids=["comes up", "recovers"],
)
async def test_whoever_is_killed_leaves_nothing_out_and_repeats_only_what_nobody_knows(
    fails: bool, story: list[str]
) -> None:
    assassin, repeated = Assassin(0), set()
    while assassin.has_struck:
        assassin = Assassin(assassin.at + 1)
        forgetful, knowing = Service(), KnowingService()
        await live(World({"slack": forgetful, "sentry": knowing}), assassin, fails=fails)
        told = assassin.at, assassin.steps
        assert (knowing.events, list(dict.fromkeys(forgetful.events))) == (story, story), told
        if forgetful.events != story:
            repeated.add(assassin.at)
            assert (len(forgetful.events), is_in_the_dark(assassin)) == (len(story) + 1, True), told

    assert (assassin.at > 10, len(repeated) > 0) == (True, True)


def is_in_the_dark(assassin: Assassin) -> bool:
    """Whether Slack may have been told something that the store does not know when the process is killed."""
    done = assassin.steps[: assassin.at]
    asked = [index for index, step in enumerate(done) if step.startswith("slack is told")]
    told = [index for index, step in enumerate(done) if step.startswith("slack was told")]
    written = [index for index, step in enumerate(done) if step == "replaced"]
    return len(told) < len(asked) or bool(told and (not written or written[-1] < told[-1]))


async def test_a_process_that_is_killed_again_and_again_leaves_the_deploy_announced() -> None:
    slack = Service(takes=1.0)
    world = World({"slack": slack})
    for _ in range(20):
        pod = world.replica()
        pod.say()
        await asyncio.sleep(LEASE + 3.5)
        pod.kill()
    await world.end()

    assert list(dict.fromkeys(slack.events)) == ["started", "succeeded"]
