"""Blocking calls, in threads that hold nobody up."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from sidecar.support.thread import OneThread, in_thread
from tests.checks.contract import assert_held, held


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Yield an event that a call hangs on, set at the end at the latest."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_call_returns_from_a_thread_of_its_own() -> None:
    seen = await in_thread(threading.current_thread, name="reader")

    assert (seen.name, seen.daemon, seen is threading.current_thread()) == ("reader", True, False)


async def test_a_call_raises() -> None:
    with pytest.raises(KeyError, match="gone"):
        await in_thread(lambda: {"a": 1}["gone"], name="reader")


async def test_the_loop_runs_on_while_a_call_hangs(hanging: threading.Event) -> None:
    before = held()
    call = asyncio.create_task(in_thread(hanging.wait, name="hanging"))
    other = await in_thread(lambda: "other", name="other")
    assert (other, call.done()) == ("other", False)

    hanging.set()
    assert await call
    await assert_held(before)


async def test_a_cancelled_caller_leaves_the_thread_to_end_by_itself(hanging: threading.Event) -> None:
    before = held()
    call = asyncio.create_task(in_thread(hanging.wait, name="hanging"))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    hanging.set()

    await assert_held(before)


def test_neither_a_hung_call_nor_one_that_ends_late_troubles_the_exit() -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-c", HANG], capture_output=True, text=True, timeout=10, check=False
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "out\n", "")


HANG = """
import asyncio, threading, time
from sidecar.support.thread import in_thread

late = threading.Event()

async def main():
    asyncio.create_task(in_thread(lambda: time.sleep(1000), name="hung"))
    asyncio.create_task(in_thread(late.wait, name="late"))
    await asyncio.sleep(0.05)

asyncio.run(main())
late.set()
next(thread for thread in threading.enumerate() if thread.name == "late").join()
print("out")
"""


class TestOneThread:
    async def test_calls_run_one_after_the_other(self) -> None:
        one, first_may_end = OneThread("one"), threading.Event()
        order: list[int] = []

        def be_first() -> None:
            first_may_end.wait()
            order.append(1)

        first = asyncio.create_task(one(be_first))
        second = asyncio.create_task(one(lambda: order.append(2)))
        await asyncio.sleep(0.01)
        assert order == []

        first_may_end.set()
        await asyncio.gather(first, second)
        assert order == [1, 2]

    async def test_what_hangs_holds_up_the_next_and_adds_no_thread(self, hanging: threading.Event) -> None:
        before, one = held(), OneThread("one")
        for _ in range(5):
            call = asyncio.create_task(one(hanging.wait))
            await asyncio.wait({call}, timeout=0.01)
            call.cancel()
            await asyncio.wait({call})
        threads = [thread.name for thread in threading.enumerate() if thread.name == "one"]
        hanging.set()

        assert threads == ["one"]
        assert await one(lambda: "after") == "after"
        await assert_held(before)

    async def test_a_call_that_fails_after_its_caller_has_gone_is_forgotten(
        self, hanging: threading.Event, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail_late() -> None:
            hanging.wait()
            raise OSError("late")

        one = OneThread("one")
        call = asyncio.create_task(one(fail_late))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        hanging.set()

        assert await one(lambda: "after") == "after"
        assert caplog.text == ""

    async def test_a_call_raises(self) -> None:
        with pytest.raises(KeyError, match="gone"):
            await OneThread("one")(lambda: {"a": 1}["gone"])
