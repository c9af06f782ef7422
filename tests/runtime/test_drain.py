"""Drains in compressed time: one clock from the first begin, and every way in which one ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url
from sidecar.config.model import Awaited, DrainConfig, DrainReadyz, NotifyConfig, UntilConfig
from sidecar.core.phase import Phase
from sidecar.core.verdict import Answer, Gate, Probe
from sidecar.runtime.board import Board
from sidecar.runtime.drain import Drainer, Ending, StoppingError
from sidecar.runtime.notify import notify, withdraw
from tests.core.builders import result
from tests.network.fakes import refused, silent
from tests.runtime.fakes import config, loop_clock, now

pytestmark = pytest.mark.looptime

UNTIL_IDLE: Final = DrainConfig(until=(UntilConfig(check="db", status=Awaited.UP),))


class Stage:
    """A board with one check that is up, its drainer, and the task that sees drains through."""

    def __init__(self, drain: DrainConfig, *, gate: Gate = Gate.READINESS) -> None:
        self.board = Board(
            [config(gates=frozenset({gate}), failure_threshold=1)], started_at=now(), startup_deadline=300.0
        )
        self.drainer = Drainer(self.board, drain, loop_clock())
        self.running = asyncio.create_task(self.drainer.run_until_stopped())

    def record(self, letter: str) -> None:
        self.board.record("db", result(letter, at=asyncio.get_running_loop().time()))

    def readyz(self) -> Answer:
        return self.board.verdict(Probe.READYZ, asyncio.get_running_loop().time()).answer

    async def stopped_at(self) -> float:
        """Wait for the end; return the seconds since the test began."""
        await self.running
        return now()


@asynccontextmanager
async def stage(drain: DrainConfig, *, gate: Gate = Gate.READINESS) -> AsyncIterator[Stage]:
    staged = Stage(drain, gate=gate)
    staged.record("s")
    await asyncio.sleep(0)
    try:
        yield staged
    finally:
        staged.running.cancel()
        await asyncio.wait({staged.running})
        await staged.drainer.aclose()


async def test_a_stop_signal_ends_the_process_after_the_delay() -> None:
    async with stage(DrainConfig()) as staged:
        staged.drainer.stop()
        draining = (staged.board.phase, staged.readyz())

        assert (draining, await staged.stopped_at()) == ((Phase.DRAINING, Answer.FAIL), 5.0)


async def test_without_a_delay_it_ends_at_once() -> None:
    async with stage(DrainConfig(delay=0.0)) as staged:
        staged.drainer.stop()

        assert await staged.stopped_at() == 0.0


async def test_a_stop_signal_after_a_prestop_waits_for_what_is_left_of_the_drain() -> None:
    async with stage(DrainConfig()) as staged:
        staged.drainer.begin()
        await asyncio.sleep(3.0)
        staged.drainer.begin()
        left = staged.drainer.seconds_left()
        staged.drainer.stop()

        assert (round(left, 3), await staged.stopped_at()) == (2.0, 5.0)


async def test_a_stop_signal_after_a_drain_that_is_over_ends_at_once() -> None:
    async with stage(DrainConfig()) as staged:
        staged.drainer.begin()
        await asyncio.sleep(8.0)
        before = (staged.running.done(), staged.drainer.seconds_left())
        staged.drainer.stop()

        assert (before, await staged.stopped_at()) == ((False, 0.0), 8.0)


async def test_what_a_drain_waits_for_is_asked_when_it_begins_and_once() -> None:
    asked: list[tuple[float, list[str]]] = []
    async with stage(DrainConfig(until=(UntilConfig(check="db"),))) as staged:
        staged.drainer.ask_with(lambda names: asked.append((now(), list(names))))
        await asyncio.sleep(1.0)
        staged.drainer.begin()
        staged.drainer.stop()

    assert asked == [(1.0, ["db"])]


async def test_a_drain_ends_as_soon_as_its_condition_holds() -> None:
    async with stage(UNTIL_IDLE) as staged:
        await asyncio.sleep(1.0)
        staged.drainer.stop()
        await asyncio.sleep(7.0)
        staged.record("f")
        await asyncio.sleep(1.0)
        was_waiting = not staged.running.done()
        staged.record("s")

        assert (was_waiting, await staged.stopped_at()) == (True, 9.0)


async def test_a_check_that_stays_up_holds_its_condition_with_its_next_run() -> None:
    async with stage(UNTIL_IDLE) as staged:
        await asyncio.sleep(1.0)
        staged.drainer.stop()
        await asyncio.sleep(7.0)
        was_waiting = not staged.running.done()
        staged.record("s")

        assert (was_waiting, await staged.stopped_at()) == (True, 8.0)


async def test_a_condition_that_never_holds_is_waited_for_until_the_deadline() -> None:
    async with stage(UNTIL_IDLE) as staged:
        staged.record("f")
        staged.drainer.stop()

        assert await staged.stopped_at() == 25.0


async def test_the_log_says_what_a_drain_waited_for_in_vain(caplog: pytest.LogCaptureFixture) -> None:
    until = (UntilConfig(check="db", status=Awaited.DOWN), UntilConfig(check="gone"))
    async with stage(DrainConfig(until=until, deadline=10.0)) as staged:
        staged.drainer.stop()
        await staged.stopped_at()

    [told] = [record for record in caplog.records if record.message == "drain is over"]
    assert (told.levelname, vars(told)["waited_in_vain_for"]) == (
        "WARNING",
        "db down; gone: is no check any more",
    )


async def test_a_drain_that_no_stop_signal_follows_leads_back_to_serving(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with stage(DrainConfig()) as staged:
        staged.drainer.begin()
        await asyncio.sleep(84.9)
        before = staged.board.phase
        await asyncio.sleep(0.2)

        assert (before, staged.board.phase, staged.readyz()) == (
            Phase.DRAINING,
            Phase.SERVING,
            # nobody ran the check meanwhile
            Answer.FAIL,
        )
    told = [(line.message, getattr(line, "by", None)) for line in caplog.records]
    assert told == [
        ("drain began", "a request"),
        ("drain is over", None),
        ("drain ended, serving on", "no stop signal"),
    ]


async def test_a_stop_signal_in_the_last_moment_keeps_a_drain_from_being_forsaken() -> None:
    slow = replace(UNTIL_IDLE, delay=100.0)
    async with stage(slow) as staged:
        staged.drainer.stop()

        assert (await staged.stopped_at(), staged.board.phase) == (100.0, Phase.DRAINING)


async def test_a_cancelled_drain_leads_back_at_once_and_the_next_begins_anew() -> None:
    async with stage(DrainConfig()) as staged:
        staged.drainer.begin()
        await asyncio.sleep(3.0)
        cancelled = (staged.drainer.cancel(), staged.drainer.cancel())
        after = (staged.board.phase, staged.readyz())
        await asyncio.sleep(1.0)
        staged.drainer.stop()

        assert (cancelled, after, await staged.stopped_at()) == (
            (True, False),
            (Phase.SERVING, Answer.PASS),
            9.0,
        )


async def test_a_process_that_is_abandoned_ends_at_once_and_drains_nobody() -> None:
    async with stage(DrainConfig(delay=60.0)) as staged:
        await asyncio.sleep(1.0)
        staged.drainer.abandon()

        assert (await staged.stopped_at(), staged.board.phase) == (1.0, Phase.SERVING)


async def test_a_drain_that_ends_the_process_cannot_be_cancelled() -> None:
    async with stage(DrainConfig()) as staged:
        staged.drainer.stop()
        with pytest.raises(StoppingError):
            staged.drainer.cancel()

        assert await staged.stopped_at() == 5.0


async def test_a_drain_of_a_start_leads_back_to_the_start() -> None:
    async with stage(DrainConfig(), gate=Gate.STARTUP) as staged:
        pass
    waiting = Board([config(gates=frozenset({Gate.STARTUP}))], started_at=0.0, startup_deadline=300.0)
    drainer = Drainer(waiting, DrainConfig(), loop_clock())

    drainer.begin()
    during = waiting.phase
    drainer.cancel()

    assert (staged.board.phase, during, waiting.phase) == (Phase.SERVING, Phase.DRAINING, Phase.STARTING)


async def test_readyz_may_be_kept() -> None:
    async with stage(DrainConfig(readyz=DrainReadyz.KEEP)) as staged:
        staged.drainer.begin()
        up = (staged.board.phase, staged.readyz())
        staged.record("f")
        down = staged.readyz()

        assert (up, down) == ((Phase.DRAINING, Answer.PASS), Answer.FAIL)


async def test_a_reload_changes_the_next_drain_and_not_the_one_under_way() -> None:
    async with stage(DrainConfig()) as staged:
        staged.drainer.begin()
        staged.drainer.adopt(DrainConfig(delay=60.0))
        first = staged.drainer.seconds_left()
        staged.drainer.cancel()
        second = staged.drainer.seconds_left()

        assert (round(first, 3), second) == (5.0, 60.0)


async def test_who_waits_is_told_when_the_drain_is_over_even_if_it_goes_on() -> None:
    async with stage(DrainConfig()) as staged:
        staged.drainer.begin()
        ending = await staged.drainer.ended()

        assert (ending, now(), staged.board.phase) == (Ending.OVER, 5.0, Phase.DRAINING)


async def test_who_waits_for_a_drain_that_does_not_begin_is_told_after_two_seconds() -> None:
    async with stage(DrainConfig()) as staged:
        ending = await staged.drainer.ended()

        assert (ending, now(), staged.board.phase) == (Ending.NONE_BEGAN, 2.0, Phase.SERVING)


async def test_who_waits_sees_a_drain_that_begins_shortly_after() -> None:
    async with stage(DrainConfig()) as staged:
        asyncio.get_running_loop().call_later(1.5, staged.drainer.begin)

        assert (await staged.drainer.ended(), now()) == (Ending.OVER, 6.5)


async def test_who_waits_is_told_that_a_drain_was_cancelled() -> None:
    async with stage(DrainConfig()) as staged:
        staged.drainer.begin()
        asyncio.get_running_loop().call_later(1.0, staged.drainer.cancel)

        assert (await staged.drainer.ended(), now()) == (Ending.CANCELLED, 1.0)


class Told(logging.Handler):
    """Hands out what is logged, one line after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put_nowait(record.getMessage())

    async def until(self, line: str) -> None:
        async with asyncio.timeout(10):
            while await self.lines.get() != line:
                pass


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Told]:
    caplog.set_level("INFO")
    handler, log = Told(), logging.getLogger("sidecar.drain")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


@pytest.mark.looptime(False)
async def test_the_file_appears_with_the_drain_and_is_gone_when_it_is_cancelled(
    tmp_path: Path, told: Told
) -> None:
    file = tmp_path / "stop"
    file.touch()
    async with stage(DrainConfig(notify=NotifyConfig(file=str(file)))) as staged:
        await told.until("withdrew the notification")
        at_start = file.exists()
        staged.drainer.begin()
        await told.until("notified the app")
        during = file.exists()
        staged.drainer.cancel()
        await told.until("withdrew the notification")

        assert (at_start, during, file.exists()) == (False, True, False)


async def test_a_post_is_no_file_to_remove(told: Told) -> None:
    async with stage(DrainConfig(notify=NotifyConfig(post=url(None)))) as staged:
        await asyncio.sleep(10)
        staged.drainer.cancel()
        await asyncio.sleep(10)

    assert told.lines.empty()


@pytest.mark.looptime(False)
async def test_a_process_that_ends_without_a_delay_still_notifies_the_app(tmp_path: Path) -> None:
    file = tmp_path / "stop"
    async with stage(DrainConfig(delay=0.0, notify=NotifyConfig(file=str(file)))) as staged:
        staged.drainer.stop()
        await staged.running
        await staged.drainer.aclose()

        assert file.exists()


@pytest.mark.looptime(False)
async def test_a_notification_is_a_post_with_the_credentials_of_its_url(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    seen: list[tuple[str, str, str]] = []

    async def take(request: web.BaseRequest) -> web.Response:
        seen.append((request.method, request.path, request.headers.get("Authorization", "")))
        return web.Response(status=204)

    async with RawTestServer(take) as server:
        await notify(NotifyConfig(post=url(server.port, username="me", password=Secret("pass"))))

    assert (seen, [line.message for line in caplog.records if line.name == "sidecar.drain"]) == (
        [("POST", "/stop", "Basic bWU6cGFzcw==")],
        ["notified the app"],
    )


@pytest.mark.looptime(False)
async def test_a_notification_that_fails_is_logged_and_forgiven(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sidecar.runtime.notify.NOTIFY_WITHIN", 0.2)

    async def refuse(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=500)

    async with silent() as hanging, refused() as closed, RawTestServer(refuse) as broken:
        for port in (hanging.port, closed.port, broken.port):
            await notify(NotifyConfig(post=url(port)))
    await notify(NotifyConfig(file=str(tmp_path / "none" / "stop")))
    await withdraw(NotifyConfig(file=str(tmp_path)))

    told = [line for line in caplog.records if line.name == "sidecar.drain"]
    assert [(line.message, getattr(line, "detail", "")) for line in told] == [
        ("could not notify the app", "no answer within 0s"),
        ("could not notify the app", "connection refused"),
        ("could not notify the app", "it answered 500"),
        ("could not notify the app", "no such file or directory"),
        ("could not withdraw the notification", "is a directory"),
    ]


def url(port: int | None, *, username: str | None = None, password: Secret | None = None) -> Url:
    return Url(scheme="http", host="127.0.0.1", port=port, path="/stop", username=username, password=password)
