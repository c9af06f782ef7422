"""What goes on beside checks and listeners: the start is watched, and others are told of us."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.config.check import CheckTypes
from sidecar.config.model import Config, OnDeadline
from sidecar.core.check import Reason
from sidecar.core.start import StartRules
from sidecar.deploys import InstalledServices
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.startup import StartWatch
from sidecar.runtime.termination import LAST_WORDS_WITHIN, Termination
from sidecar.support.text import Redactor

if TYPE_CHECKING:  # what a pod pays for only where it asks the cluster, or announces
    from sidecar.deploys.tracking import Tracking
    from sidecar.events import ReadinessEvents
    from sidecar.kube.client import ApiServer
    from sidecar.kube.here import Here


class Companions:
    """The loops that a configuration wants beside those of its checks, and what they do at the end.

    `here` is what `find_cluster` returned; `give_up` ends the process, and takes the sentence that says why.
    """

    def __init__(
        self,
        config: Config,
        types: CheckTypes,
        *,
        board: Board,
        here: "Here | None",
        redact: Redactor,
        clock: Clock,
        give_up: Callable[[str], None],
    ) -> None:
        self._sections = config.sections
        self._types = types
        self._board = board
        self._here = here
        self._redact = redact
        self._clock = clock
        self._give_up = give_up
        self._termination = Termination(
            Path(self._sections.log.termination_file), board, redact=redact, clock=clock
        )
        self._tracking = self._new_tracking()

    def loops(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield each by name."""
        yield "termination", self._termination.keep_forever()
        yield "startup", self._new_start_watch().watch()
        if self._here is not None and self._sections.kubernetes.readiness_events:
            yield "events", self._new_events(self._here).tell_forever()
        if self._tracking is not None:
            yield from self._tracking.loops()

    async def announce_the_end(self, *, has_given_up: bool) -> None:
        """Tell the deploy's services what has become of it."""
        if self._tracking is not None:
            await self._tracking.aclose(has_given_up=has_given_up)

    async def leave_word(self, why: str) -> None:
        """Have the last thing that people read of this container say why it ended; within 0.2 seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_WITHIN):
                await self._termination.end_with(why)

    def _new_start_watch(self) -> StartWatch:
        startup = self._sections.startup
        return StartWatch(
            self._board,
            StartRules(
                exits_when_overdue=startup.on_deadline is OnDeadline.EXIT, fail_fast=startup.fail_fast
            ),
            permanent=self._permanent_reasons(),
            give_up=self._give_up,
            clock=self._clock,
        )

    def _new_events(self, here: "Here") -> "ReadinessEvents":
        from sidecar.events import ReadinessEvents  # noqa: PLC0415 - see above
        from sidecar.kube.event import write_event  # noqa: PLC0415

        write = partial(write_event, self._new_api(here))
        return ReadinessEvents(self._board, here.pod, write=write, redact=self._redact, clock=self._clock)

    def _new_tracking(self) -> "Tracking | None":
        """Return what follows the deploy that brought us here, if the configuration says which that is."""
        deploy, startup, here = self._sections.deploy, self._sections.startup, self._here
        if deploy is None:
            return None
        from sidecar.deploys import tracking  # noqa: PLC0415 - see above
        from sidecar.deploys._service import Cluster  # noqa: PLC0415

        watch = tracking.Watch(
            self._board,
            permanent=self._permanent_reasons(),
            fail_fast=startup.fail_fast,
            redact=self._redact,
            clock=self._clock,
        )
        return tracking.new_tracking(
            deploy,
            InstalledServices(),
            pod=here.pod.name if here else os.environ.get("POD_NAME") or socket.gethostname(),
            cluster=Cluster(api=self._new_api(here), pod=here.pod) if here else Cluster(),
            watch=watch,
            redact=self._redact,
            surroundings=tracking.Surroundings(board=self._board, clock=self._clock),
        )

    def _new_api(self, here: "Here") -> "ApiServer":
        from sidecar.kube.client import ApiServer  # noqa: PLC0415 - see above

        return ApiServer(here.address, Path(self._sections.kubernetes.service_account))

    def _permanent_reasons(self) -> Callable[[str], frozenset[Reason]]:
        """Return what tells the reasons that waiting does not cure, by check type."""

        @cache
        def permanent(name: str) -> frozenset[Reason]:
            found = self._types.find(name)
            return found.permanent if found else frozenset()

        return permanent
