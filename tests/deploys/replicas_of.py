"""Processes of a deploy, without listeners: `python -m tests.deploys.replicas_of SECTION COUNT`.

They are forked when all is imported, so that they begin at the same time, and end when the deploy is live.
"""

import asyncio
import os
import sys

from sidecar.checks import InstalledTypes
from sidecar.checks._redis import redis
from sidecar.config.check import CheckConfig
from sidecar.config.load import load
from sidecar.config.source import Source
from sidecar.core.deploy import DeployEvent
from sidecar.core.result import Outcome, Result
from sidecar.deploys import InstalledServices
from sidecar.deploys._service import Cluster
from sidecar.deploys.tracking import Surroundings, Watch, new_tracking
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.support.loop import SidecarLoop

ALONE = "ungated: true\nchecks: []\n"
"""What a whole configuration has beside the section: a pipeline's reading of it leaves the claim out."""


async def follow(section: str) -> None:
    """Be ready from the first moment, and follow the deploy until it is live."""
    clock, types = Clock(), InstalledServices()
    document = f"ungated: true\nchecks: []\n{section}"
    config = load(Source("replica", document.encode()), InstalledTypes(), {}, services=types)
    assert config.sections.deploy is not None
    board = Board([CheckConfig(name="db", type="tcp")], started_at=clock.monotonic(), startup_deadline=300.0)
    config = load(Source("replica", f"{ALONE}{section}".encode()), InstalledTypes(), {}, services=types)
    assert config.sections.deploy is not None
    tracking = new_tracking(
        config.sections.deploy,
        types,
        pod=f"builds-{os.getpid()}",
        cluster=Cluster(),
        watch=Watch(board, permanent=lambda _: (), fail_fast=None, redact=str, clock=clock),
        redact=str,
        surroundings=Surroundings(board=board, clock=clock),
    )
    succeeded = Result(
        outcome=Outcome.SUCCESS, finished_at=clock.monotonic(), duration=0.0, time=clock.wall()
    )
    board.record("db", succeeded)
    loops = [asyncio.create_task(work, name=name) for name, work in tracking.loops()]
    changed = asyncio.Event()
    board.watch(changed.set)
    while board.deploy_phase is not DeployEvent.SUCCEEDED:
        changed.clear()
        await changed.wait()
    await tracking.aclose()
    for loop in loops:
        loop.cancel()
    await asyncio.wait(loops)


def be_a_replica(section: str) -> int:
    """Follow the deploy in a process of its own; return its id to the parent."""
    child = os.fork()
    if child == 0:
        SidecarLoop().run_until_complete(follow(section))
        os._exit(0)
    return child


if __name__ == "__main__":
    redis.load()
    children = [be_a_replica(sys.argv[1]) for _ in range(int(sys.argv[2]))]
    statuses = [os.waitpid(child, 0)[1] for child in children]
    sys.exit(any(statuses))
