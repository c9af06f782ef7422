"""Turns: one at a time, in order, and none is lost."""

import asyncio
import time

import pytest

from sidecar.runtime.pacer import PACE, Pacer


@pytest.mark.looptime
async def test_the_first_turn_is_given_at_once() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    await Pacer().turn()

    assert loop.time() == began


@pytest.mark.looptime
async def test_many_who_ask_together_get_turns_apart_and_in_order() -> None:
    loop, pacer = asyncio.get_running_loop(), Pacer()
    began = loop.time()
    turns: list[tuple[int, float]] = []

    async def ask(number: int) -> None:
        await pacer.turn()
        turns.append((number, round((loop.time() - began) / PACE)))

    await asyncio.gather(*(ask(number) for number in range(5)))

    assert turns == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]


@pytest.mark.looptime
async def test_without_a_pace_one_turn_is_given_a_round_of_the_loop() -> None:
    loop, pacer = asyncio.get_running_loop(), Pacer(pace=0.0)
    began = loop.time()
    turns: list[int] = []

    async def ask() -> None:
        await pacer.turn()
        turns.append(len(rounds))

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    rounds: list[None] = []
    while len(turns) < len(asking):
        rounds.append(None)
        await asyncio.sleep(0)

    assert len(set(turns)) == len(turns)
    assert loop.time() == began


async def test_a_loop_that_is_behind_gives_one_turn_a_round() -> None:
    pacer = Pacer()
    rounds: list[None] = []
    turns: list[int] = []

    async def ask() -> None:
        time.sleep(2 * PACE)  # noqa: ASYNC251 - what a thousand tasks that wake together do
        await pacer.turn()
        turns.append(len(rounds))

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    while len(turns) < len(asking):
        rounds.append(None)
        await asyncio.sleep(0)

    assert len(set(turns)) == len(turns)


async def test_nobody_overtakes_one_who_waits_on_a_loop_that_is_behind() -> None:
    pacer = Pacer()
    turns: list[str] = []

    async def ask(name: str) -> None:
        await pacer.turn()
        turns.append(name)

    await ask("first")
    waiting = asyncio.create_task(ask("second"))
    await asyncio.sleep(0)
    time.sleep(2 * PACE)  # noqa: ASYNC251 - its turn is due, and the timer has had no chance
    await asyncio.gather(asyncio.create_task(ask("third")), waiting)

    assert turns == ["first", "second", "third"]


async def test_a_turn_for_which_nobody_waits_sets_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, pacer = asyncio.get_running_loop(), Pacer()
    timers: list[float] = []
    monkeypatch.setattr(loop, "call_at", lambda when, *_args, **_context: timers.append(when))

    for _ in range(3):
        await pacer.turn()
        time.sleep(2 * PACE)  # noqa: ASYNC251 - a rest without a timer
        await asyncio.sleep(0)

    assert timers == []


@pytest.mark.looptime
async def test_one_who_gave_up_waiting_holds_up_nobody() -> None:
    pacer = Pacer()
    await pacer.turn()
    impatient = asyncio.create_task(pacer.turn())
    patient = asyncio.create_task(pacer.turn())
    await asyncio.sleep(0)

    impatient.cancel()
    await patient

    assert impatient.cancelled()


@pytest.mark.looptime
async def test_after_a_rest_a_turn_is_given_at_once_again() -> None:
    loop, pacer = asyncio.get_running_loop(), Pacer()
    await pacer.turn()
    await asyncio.sleep(10 * PACE)
    began = loop.time()

    await pacer.turn()

    assert loop.time() == began


@pytest.mark.looptime
async def test_where_all_who_waited_gave_up_the_next_gets_a_turn_at_once() -> None:
    loop, pacer = asyncio.get_running_loop(), Pacer()
    await pacer.turn()
    impatient = asyncio.create_task(pacer.turn())
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(2 * PACE)
    began = loop.time()

    await pacer.turn()

    assert (impatient.cancelled(), loop.time()) == (True, began)
