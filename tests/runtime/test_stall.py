"""Steps of a coroutine that are told when they take too long, and change nothing else of it."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import NoReturn

import pytest

from sidecar.runtime.stall import STALL, timed
from tests.boards import StoppedClock


class Watch:
    """Notes what is told, on a clock that passes only when a step blocks."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self._clock = StoppedClock()
        self.block = self._clock.pass_by

    def __call__(self, ask: Callable[[], Awaitable[str]]) -> Awaitable[str]:
        async def work() -> str:
            return await ask()

        return timed(work(), self.told.append, monotonic=self._clock.clock.monotonic)


async def test_a_step_that_blocks_is_told_as_soon_as_it_ends() -> None:
    watch = Watch()
    told_before_the_wait: list[float] = []

    async def ask() -> str:
        watch.block(3.0)
        await asyncio.sleep(0)
        told_before_the_wait.extend(watch.told)
        watch.block(STALL)
        return "answer"

    assert (await watch(ask), told_before_the_wait, watch.told) == ("answer", [3.0], [3.0, STALL])


async def test_what_takes_long_in_short_steps_is_not_told() -> None:
    watch = Watch()

    async def ask() -> str:
        for _ in range(10):
            watch.block(STALL / 2)
            await asyncio.sleep(0)
        return "answer"

    assert (await watch(ask), watch.told) == ("answer", [])


async def test_a_step_that_blocks_and_raises_is_told_too() -> None:
    watch = Watch()

    async def ask() -> NoReturn:
        watch.block(3.0)
        raise KeyError("beds")

    with pytest.raises(KeyError, match="beds"):
        await watch(ask)

    assert watch.told == [3.0]


async def test_a_cancellation_reaches_the_work_which_may_clean_up_and_even_refuse() -> None:
    watch = Watch()

    async def ask() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            watch.block(3.0)
        return "answer"

    task = asyncio.ensure_future(_as_coroutine(watch(ask)))
    await asyncio.sleep(0)
    task.cancel()

    assert (await task, watch.told) == ("answer", [3.0])


async def test_a_cancelled_work_leaves_nothing_for_the_collector() -> None:
    class Connection:
        pass

    held: list[weakref.ref[Connection]] = []

    async def ask() -> str:
        connection = Connection()
        held.append(weakref.ref(connection))
        await asyncio.Event().wait()
        return f"{connection}"

    gc.disable()
    try:
        task = asyncio.ensure_future(_as_coroutine(Watch()(ask)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        del task
        assert held[0]() is None
    finally:
        gc.enable()


async def _as_coroutine(work: Awaitable[str]) -> str:
    return await work
