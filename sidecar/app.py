"""The composition root: the only file that knows everybody."""

import asyncio
import gc
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, NoReturn

from sidecar.config.check import CheckConfig, CheckType, CheckTypes
from sidecar.config.model import Config
from sidecar.config.problems import ConfigError, Place, Problem
from sidecar.core.phase import Phase
from sidecar.core.result import Result
from sidecar.metrics import metrics_renderer
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.journal import log_event
from sidecar.runtime.lifecycle import StopSignals
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.scheduler import Scheduler, Surroundings
from sidecar.runtime.sweep import Report, sweep
from sidecar.support.loop import SidecarLoop
from sidecar.support.text import Redactor
from sidecar.web.listeners import EVERY_ADDRESS, LOOPBACK, bind, serving
from sidecar.web.probes import Probes
from sidecar.web.site import Site

STOP_LISTENING_WITHIN: Final = 1.0
"""Seconds that requests under way get at the end."""
SETTLED_AFTER: Final = 10.0
"""Seconds after which what a start allocates is there to stay."""

log = logging.getLogger("sidecar")


def require_drivers(config: Config, types: CheckTypes) -> None:
    """Make sure that every driver that `config` needs is installed.

    Raises:
        ConfigError: naming the extra to install for each check whose driver is missing.
    """
    problems = [
        Problem(
            config.places.get(check.name, Place("")),
            f"checks.{check.name}.type",
            f"{check.type}: {driver.remedy}",
        )
        for check in config.checks
        for driver in find_type(types, check).drivers
        if not driver.is_installed()
    ]
    if problems:
        raise ConfigError(problems)


def find_type(types: CheckTypes, check: CheckConfig) -> CheckType[Any]:
    """Return the type of a check that was loaded with the same `types`."""
    found = types.find(check.type)
    if found is None:
        raise LookupError(f"the check type {check.type} is gone")
    return found


def serve(config: Config, types: CheckTypes) -> int:
    """Serve until a stop signal; return the exit code: 0, or 1 after a crash of our own.

    Raises:
        ListenError: a port cannot be listened on.
    """
    server = config.sections.server
    main = bind([server.host] if server.host else EVERY_ADDRESS, server.port)
    admin = bind(LOOPBACK, server.admin_port)
    loop = SidecarLoop()
    stopping = asyncio.Event()
    with StopSignals(lambda: loop.call_soon_threadsafe(stopping.set)):
        return run_to_end(loop, _Process(config, types, stopping).run(main, admin))


def check_once(
    checks: Sequence[CheckConfig],
    types: CheckTypes,
    redact: Callable[[str], str],
    *,
    wait: float | None,
    report: Report | None = None,
) -> dict[str, Result]:
    """Run `checks` once each, or with `wait` until all have succeeded or so many seconds have passed."""
    loop = SidecarLoop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(
        sweep(checks, find=partial(find_type, types), redact=redact, wait=wait, report=report or _say_nothing)
    )


def _say_nothing(_config: CheckConfig, _result: Result) -> None: ...


def run_to_end(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, int]) -> int:
    """Run `main` and return its exit code; leave the process at once if a task or thread outlives it."""
    asyncio.set_event_loop(loop)
    code = loop.run_until_complete(main)
    stubborn = asyncio.all_tasks(loop)
    if stubborn:
        log.warning("leaving runs behind that ignore their cancellation", extra={"runs": len(stubborn)})
        leave(code)
    if is_busy_in_threads():
        leave(code)
    loop.close()
    return code


def is_busy_in_threads() -> bool:
    """Whether a thread of ours still works: the interpreter's own end would crash around C code in it."""
    known = {"stop-signals", threading.main_thread().name}
    return any(thread.name not in known for thread in threading.enumerate())


def leave(code: int) -> NoReturn:
    """End the process now, its logs flushed, whatever still hangs in it."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Process:
    """One run of the server, from open listeners to the last closed connection."""

    def __init__(self, config: Config, types: CheckTypes, stopping: asyncio.Event) -> None:
        self._config = config
        self._types = types
        self._stopping = stopping
        self._clock = Clock()
        self._pulse = Pulse(self._clock)
        self._board = Board(
            config.checks,
            started_at=self._clock.monotonic(),
            startup_deadline=config.sections.startup.deadline,
        )
        self._board.subscribe(log_event)

    async def run(self, main: list[socket.socket], admin: list[socket.socket]) -> int:
        """Serve until told to stop; return the exit code."""
        try:
            async with AsyncExitStack() as stack:
                for sockets, is_trusted in ((main, False), (admin, True)):
                    site = self._site(is_trusted=is_trusted)
                    await stack.enter_async_context(
                        serving(
                            site.handle,
                            sockets,
                            bounds=self._config.sections.server,
                            stop_within=STOP_LISTENING_WITHIN,
                        )
                    )
                log.info("listening", extra={"port": _port(main), "admin_port": _port(admin)})
                await self._run_checks()
        except BaseExceptionGroup as crash:
            log.critical("a loop of our own crashed", exc_info=crash)
            return 1
        log.info("stopped")
        return 0

    def _site(self, *, is_trusted: bool) -> Site:
        probes = Probes(self._board, self._pulse, self._clock)
        render_metrics = metrics_renderer(self._board, self._pulse, self._clock)
        return Site(self._board, probes, render_metrics, is_trusted=is_trusted)

    async def _run_checks(self) -> None:
        async with asyncio.TaskGroup() as group:
            heartbeat = group.create_task(self._pulse.beat_forever(), name="pulse")
            scheduler = Scheduler(
                group,
                Surroundings(board=self._board, pulse=self._pulse, clock=self._clock),
                find=partial(find_type, self._types),
                redact=Redactor(self._config.secrets),
            )
            try:
                scheduler.start(self._config.checks)
                _spare_the_collector()
                settled = asyncio.get_running_loop().call_later(SETTLED_AFTER, _spare_the_collector)
                await self._stopping.wait()
                settled.cancel()
            finally:
                self._board.enter(Phase.STOPPED)
                await scheduler.aclose()
                heartbeat.cancel()


def _spare_the_collector() -> None:
    """Keep what lives as long as we do out of the garbage collector's sight.

    With a thousand hanging checks its full collections were what made the slowest probes slow.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _port(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1])
