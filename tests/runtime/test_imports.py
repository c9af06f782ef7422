"""Drivers are imported in a thread, once, before the first run; one that cannot be is its checks' failure."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sidecar.core.check import Reason
from sidecar.core.state import State
from sidecar.runtime.imports import Imports
from sidecar.support.driver import Driver, MissingDriverError
from tests.runtime.fakes import FakeCheck, FakeDriver, nothing, scheduled


@contextmanager
def gate() -> Iterator[threading.Event]:
    """Yield an event that an import waits for; it is set at the end, so that no thread stays."""
    opened = threading.Event()
    try:
        yield opened
    finally:
        opened.set()


def failing(error: BaseException) -> Callable[[], object]:
    def load() -> object:
        raise error

    return load


async def first_states(stage_states: Callable[[], list[State]]) -> list[State]:
    """Return the states once every check has a result."""
    async with asyncio.timeout(10):
        while any(state.last is None for state in stage_states()):  # noqa: ASYNC110 - the board has no event
            await asyncio.sleep(0.001)
    return stage_states()


async def test_a_driver_is_imported_once_in_a_thread_of_its_own_for_all_its_checks() -> None:
    shared, other = FakeDriver("redis.asyncio"), FakeDriver("aioboto3")
    checks = {name: FakeCheck(nothing) for name in "abc"}

    async with scheduled(checks, drivers={"a": [shared], "b": [shared], "c": [shared, other]}) as stage:
        await first_states(lambda: [entry.state for entry in stage.board.entries()])

    assert (shared.threads, other.threads) == (["import:redis.asyncio"], ["import:aioboto3"])


async def test_a_check_runs_only_after_its_drivers_are_imported_and_others_do_not_wait() -> None:
    with gate() as opened:
        slow = FakeDriver("aioboto3", opened.wait)
        checks = {"s3": FakeCheck(nothing), "tcp": FakeCheck(nothing)}
        async with scheduled(checks, drivers={"s3": [FakeDriver("botocore"), slow]}) as stage:
            await first_states(lambda: [list(stage.board.entries())[1].state])
            runs_meanwhile = {name: len(check.began) for name, check in checks.items()}
            opened.set()
            await first_states(lambda: [entry.state for entry in stage.board.entries()])

    assert (runs_meanwhile, len(checks["s3"].began)) == ({"s3": 0, "tcp": 1}, 1)


async def test_the_loop_turns_while_a_driver_is_imported() -> None:
    with gate() as opened:
        imports = Imports()
        loading = asyncio.create_task(imports.load([FakeDriver("aioboto3", opened.wait)]))
        async with asyncio.timeout(5):
            for _ in range(20):
                await asyncio.sleep(0)
        was_done = loading.done()
        opened.set()
        await loading

    assert was_done is False


@pytest.mark.parametrize(
    "error",
    [
        MissingDriverError("the driver redis.asyncio is not installed"),
        ImportError("libssl.so.3: cannot open shared object file"),
        RuntimeError("a driver that asks the network while it is imported"),
        SyntaxError("a driver for a newer Python"),
    ],
)
async def test_a_driver_that_cannot_be_imported_lets_the_checks_run_and_say_so(error: Exception) -> None:
    broken = FakeDriver("redis.asyncio", failing(error))

    async def uses_it() -> None:
        broken.load()

    checks = {"redis": FakeCheck(uses_it), "tcp": FakeCheck(nothing)}
    async with scheduled(checks, drivers={"redis": [broken]}) as stage:
        states = await first_states(lambda: [entry.state for entry in stage.board.entries()])

    reasons = [state.last and state.last.reason for state in states]
    assert reasons == [Reason.UNEXPECTED, None]


async def test_a_driver_that_is_missing_is_named_with_its_remedy() -> None:
    missing = Driver("no_such_driver", extra="redis")

    async def uses_it() -> None:
        missing.load()

    async with scheduled({"db": FakeCheck(uses_it)}, drivers={"db": [missing]}) as stage:
        [state] = await first_states(lambda: [entry.state for entry in stage.board.entries()])

    assert state.last is not None
    assert state.last.message == (
        "the driver no_such_driver is not installed; install the extra: pip install 'sidecar[redis]'"
    )


async def test_an_import_that_hangs_does_not_hold_up_the_end() -> None:
    with gate() as opened:
        check = FakeCheck(nothing)
        began = time.monotonic()
        async with scheduled({"db": check}, drivers={"db": [FakeDriver("aioboto3", opened.wait)]}):
            await asyncio.sleep(0.01)
        took = time.monotonic() - began

    assert (check.began, check.closed, took < 1.0) == ([], 1, True)


async def test_closing_leaves_no_task_behind_even_of_an_import_that_hangs() -> None:
    def importing() -> set[str]:
        return {task.get_name() for task in asyncio.all_tasks()} & {"import:aioboto3"}

    with gate() as opened:
        imports = Imports()
        loading = asyncio.create_task(imports.load([FakeDriver("aioboto3", opened.wait)]))
        await asyncio.sleep(0)
        before = importing()

        await imports.aclose()

        after = importing()
        await asyncio.wait({loading})

    assert (before, after) == ({"import:aioboto3"}, set())


async def test_closing_twice_and_without_imports_is_nothing() -> None:
    imports = Imports()
    await imports.aclose()
    driver = FakeDriver("redis.asyncio")
    await imports.load([driver])
    await imports.aclose()

    await imports.aclose()

    assert driver.threads == ["import:redis.asyncio"]


async def test_one_impatient_check_does_not_call_off_the_import_for_others() -> None:
    with gate() as opened:
        imports, driver = Imports(), FakeDriver("aioboto3", opened.wait)
        impatient = asyncio.create_task(imports.load([driver]))
        patient = asyncio.create_task(imports.load([driver]))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait({impatient})
        opened.set()
        await patient

    assert (impatient.cancelled(), driver.threads) == (True, ["import:aioboto3"])
