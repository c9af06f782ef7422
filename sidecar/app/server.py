"""The server: its listeners, checks and tellers, from the first moment to the last."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sidecar.app.companions import Companions
from sidecar.app.ending import leave_unsaid, run_to_end
from sidecar.app.garbage import collect_rarely, spare_what_lives
from sidecar.app.needs import find_cluster, find_type, require_drivers
from sidecar.config.check import CheckTypes
from sidecar.config.model import Config
from sidecar.core.check import Reason
from sidecar.core.events import Event, StatusChanged
from sidecar.core.phase import Phase
from sidecar.runtime.board import Board
from sidecar.runtime.changes import Changes
from sidecar.runtime.clock import Clock
from sidecar.runtime.drain import Drainer
from sidecar.runtime.journal import log_event
from sidecar.runtime.latch import LatchKeeper, LatchRecord, read_latch
from sidecar.runtime.lifecycle import Signals
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.reload import Reloader, ReloadRecord
from sidecar.runtime.scheduler import Scheduler, Surroundings
from sidecar.support.loop import SidecarLoop
from sidecar.support.text import Redactor
from sidecar.support.thread import in_thread
from sidecar.web.drains import DrainPages
from sidecar.web.listeners import EVERY_ADDRESS, LOOPBACK, bind, bind_unix, serving
from sidecar.web.probes import Probes
from sidecar.web.site import Handler, RenderMetrics, Site, stamped
from sidecar.web.status import StatusPage

if TYPE_CHECKING:
    from sidecar.kube.here import Here

STOP_LISTENING_WITHIN: Final = 1.0
"""Seconds that requests under way get at the end."""
EXIT_CRASH: Final = 1
EXIT_START_FAILED: Final = 3
SETTLED_AFTER: Final = 10.0
"""Seconds after which what a start allocates is there to stay."""

log = logging.getLogger("sidecar")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a configuration came from, and how to read it again; `read` blocks and raises `ConfigError`."""

    path: Path
    read: Callable[[], Config]


def serve(
    config: Config,
    types: CheckTypes,
    redact: Redactor,
    *,
    origin: Origin | None = None,
    here: "Here | None" = None,
) -> int:
    """Serve until a stop signal; return the exit code: 0, 1 after a crash of our own, 3 after a failed start.

    `redact` blots secrets out of messages, and learns those of every configuration to come. With an
    `origin` the configuration is read again when its file, or one that it names, has changed. `here` is what
    `find_cluster` returned.

    Raises:
        ListenError: a port cannot be listened on.
    """
    server, latch_file = config.sections.server, config.sections.startup.latch_file
    latch = read_latch(Path(latch_file)) if latch_file else LatchRecord()
    main = bind([server.host] if server.host else EVERY_ADDRESS, server.port)
    admin = bind_unix(Path(server.admin_socket)) if server.admin_socket else bind(LOOPBACK, server.admin_port)
    loop = SidecarLoop()
    process = _Process(config, types, redact, origin, latch, here)
    with Signals(
        lambda: _post(loop, process.stop),
        reload=lambda: _post(loop, process.reload),
        longest_drain=process.drainer.seconds_left,
        leave=leave_unsaid,
    ) as signals:
        return run_to_end(loop, process.run(main, admin, when_drained=signals.hurry))


def _post(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Have the loop call from another thread; nobody is left to be told once it is closed."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call)


class _Process:
    """One run of the server, from open listeners to the last closed connection."""

    def __init__(
        self,
        config: Config,
        types: CheckTypes,
        redact: Redactor,
        origin: Origin | None,
        latch: LatchRecord,
        here: "Here | None",
    ) -> None:
        self._config = config
        self._types = types
        self._redact = redact
        self._origin = origin
        self._latch = latch
        self._here = here
        self._why_given_up = ""
        self._metrics: RenderMetrics | None = None
        self._clock = Clock()
        self._pulse = Pulse(self._clock)
        self._reloads = ReloadRecord()
        self._reloader: Reloader | None = None
        proved = latch.proved(config.checks)
        self._board = Board(
            config.checks,
            started_at=self._clock.monotonic(),
            startup_deadline=config.sections.startup.deadline,
            proved=proved,
        )
        self.drainer = Drainer(self._board, config.sections.drain, self._clock)
        if proved:
            log.info("latch restored", extra={"checks": len(proved)})
        self._board.subscribe(log_event)
        self._board.subscribe(self._reload_refused_credentials)

    def stop(self) -> None:
        """Stop as soon as a drain is over."""
        self.drainer.stop()

    def reload(self) -> None:
        """Read the configuration again, if it has a file."""
        if self._reloader is None:
            log.warning("the configuration has no file to read again")
        else:
            self._reloader.wake()

    async def run(
        self, main: list[socket.socket], admin: list[socket.socket], *, when_drained: Callable[[], object]
    ) -> int:
        """Serve until told to stop, and until drained; return the exit code."""
        try:
            async with AsyncExitStack() as listeners:
                for sockets, is_trusted in ((main, False), (admin, True)):
                    await listeners.enter_async_context(
                        serving(
                            self._handler(is_trusted=is_trusted),
                            sockets,
                            bounds=self._config.sections.server,
                            stop_within=STOP_LISTENING_WITHIN,
                        )
                    )
                log.info("listening", extra={"port": _where(main), "admin": _where(admin)})
                await self._run_checks(listeners, when_drained)
        except BaseExceptionGroup as crash:
            log.critical("a loop of our own crashed", exc_info=crash)
            return EXIT_CRASH
        log.info("stopped")
        return EXIT_START_FAILED if self._why_given_up else 0

    def _handler(self, *, is_trusted: bool) -> Handler:
        deploy = self._config.sections.deploy
        revision = deploy.revision if deploy else ""
        probes = Probes(self._board, self._pulse, self._clock, revision=revision)
        pages = dict(DrainPages(self.drainer, is_trusted=is_trusted).paths())
        if is_trusted:
            pages["/status"] = StatusPage(self._board, self._clock, revision=revision).handle
        site = Site(self._board, probes, self._render_metrics, is_trusted=is_trusted, pages=pages)
        return stamped(site.handle, revision) if revision else site.handle

    async def _render_metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics; what writes them, a twentieth of a start, is imported for the first scrape."""
        if self._metrics is None:
            await in_thread(partial(import_module, "sidecar.metrics"), name="import:metrics")
            from sidecar.metrics import metrics_renderer  # noqa: PLC0415 - it just was, off the event loop

            deploy = self._config.sections.deploy
            self._metrics = metrics_renderer(
                self._board, self._pulse, self._reloads, self._clock, deploy=deploy
            )
        return await self._metrics(accept)

    async def _run_checks(self, listeners: AsyncExitStack, when_drained: Callable[[], object]) -> None:
        async with asyncio.TaskGroup() as group:
            scheduler = Scheduler(
                group,
                Surroundings(board=self._board, pulse=self._pulse, clock=self._clock),
                find=partial(find_type, self._types),
                redact=self._redact,
            )
            self.drainer.ask_with(scheduler.ask_now)
            if self._origin is not None:
                self._reloader = self._new_reloader(self._origin, scheduler)
            companions = self._new_companions()
            loops = [group.create_task(loop, name=name) for name, loop in self._loops(companions)]
            try:
                scheduler.start(self._config.checks)
                collect_rarely()
                settled = asyncio.get_running_loop().call_later(SETTLED_AFTER, spare_what_lives)
                await self.drainer.run_until_stopped()
                when_drained()
                settled.cancel()
            finally:
                self._board.enter(Phase.STOPPED)
                await asyncio.gather(
                    scheduler.aclose(),
                    self.drainer.aclose(),
                    listeners.aclose(),
                    companions.announce_the_end(has_given_up=bool(self._why_given_up)),
                )
                for loop in loops:
                    loop.cancel()
                if self._why_given_up:
                    await companions.leave_word(self._why_given_up)

    def _loops(self, companions: Companions) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield what goes on beside the checks, by name."""
        yield "pulse", self._pulse.beat_forever()
        if self._reloader is not None:
            yield "reload", self._reloader.watch_forever()
        latch_file = self._config.sections.startup.latch_file
        if latch_file is not None:
            yield "latch", LatchKeeper(Path(latch_file), self._latch, self._board).keep_forever()
        yield from companions.loops()

    def _new_companions(self) -> Companions:
        return Companions(
            self._config,
            self._types,
            board=self._board,
            here=self._here,
            redact=self._redact,
            clock=self._clock,
            give_up=self._give_up,
        )

    def _give_up(self, why: str) -> None:
        """End at once, because the start failed: nobody is served whom a drain would be for."""
        self._why_given_up = why
        self.drainer.abandon()

    def _new_reloader(self, origin: Origin, scheduler: Scheduler) -> Reloader:
        def read() -> Config:
            config = origin.read()
            require_drivers(config, self._types)
            find_cluster(config, os.environ)  # a restart, which reads that section, must not fail
            return config

        def apply(config: Config, changes: Changes) -> None:
            self._redact.learn(config.secrets)
            self._board.apply(config.checks, edited=changes.edited, now=self._clock.monotonic())
            scheduler.apply(config.checks, changes)
            self.drainer.adopt(config.sections.drain)
            if changes:
                spare_what_lives()

        return Reloader(
            origin.path,
            self._config,
            read=read,
            apply=apply,
            record=self._reloads,
            pulse=self._pulse,
            clock=self._clock,
        )

    def _reload_refused_credentials(self, event: Event) -> None:
        """Have a look at the files when credentials are refused: they may have rotated."""
        last = event.after.last if isinstance(event, StatusChanged) else None
        if last is not None and last.reason is Reason.AUTH and self._reloader is not None:
            self._reloader.wake(quietly=True)


def _where(sockets: list[socket.socket]) -> int | str:
    """Return the port that these sockets listen on, or the path of a unix socket."""
    name: str | tuple[str, int] = sockets[0].getsockname()
    return name if isinstance(name, str) else name[1]
