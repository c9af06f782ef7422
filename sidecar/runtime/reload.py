"""Watches the configuration and every file that it names; hands on what is new and valid.

A configuration that is refused changes nothing but a log line and a metric. ConfigMaps and Secrets are
swapped by a symbolic link: what a path leads to is compared.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Never

from sidecar.config.model import Config
from sidecar.config.problems import ConfigError
from sidecar.runtime.changes import Changes, changed_paths, compare
from sidecar.runtime.clock import Clock
from sidecar.runtime.pulse import Pulse
from sidecar.support.thread import in_thread

POLL: Final = 2.0
"""Seconds between two looks at the files."""
SETTLE: Final = 0.5
"""Seconds that the files must not have changed before they are read: writers are not done at once."""
RETRY: Final = 10.0
"""Seconds after which a refused configuration is read again: what it names may have appeared since."""
READ_LIMIT: Final = 30.0
"""Seconds that reading may take before `/healthz` says that we hang."""

Fingerprint = tuple[int, int, int, int] | None
"""Device, inode, size and time of writing of what a path leads to; None if it leads to nothing."""
Apply = Callable[[Config, Changes], None]

log = logging.getLogger("sidecar.reload")


@dataclass(slots=True)
class ReloadRecord:
    """How the last reload went; written by the reloader alone."""

    was_successful: bool = True
    last_success_time: float = field(default_factory=time.time)
    """Seconds since the epoch."""


class Reloader:
    """Keeps the configuration in force up to date with its files.

    `read` returns a valid configuration or raises `ConfigError`, and blocks. `apply` puts one into force.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        *,
        read: Callable[[], Config],
        apply: Apply,
        record: ReloadRecord,
        pulse: Pulse,
        clock: Clock,
    ) -> None:
        self._record = record
        self._path = path
        self._config = config
        self._read = read
        self._apply = apply
        self._pulse = pulse
        self._clock = clock
        self._seen: Mapping[Path, Fingerprint] = {}
        self._changed: frozenset[Path] = frozenset()
        """Files that differ from what is in force."""
        self._refusal = ""
        self._refused_at = 0.0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Read the configuration now, whether or not its files have changed."""
        self._woken.set()

    async def watch_forever(self) -> Never:
        """Look at the files for ever; what they hold when this begins is what is in force."""
        self._seen = await self._look()
        while True:
            was_woken = await self._pause(POLL)
            found = await self._settled()
            if was_woken or found != self._seen or self._is_worth_another_try():
                await self._reload(found)

    def _is_worth_another_try(self) -> bool:
        return bool(self._refusal) and self._clock.monotonic() >= self._refused_at + RETRY

    async def _pause(self, seconds: float) -> bool:
        """Wait until it is time, or until somebody wakes us; whether it was that."""
        self._pulse.expect("reload", within=seconds)
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return False
        finally:
            self._pulse.expect("reload", within=READ_LIMIT)
            self._woken.clear()
        return True

    async def _settled(self) -> Mapping[Path, Fingerprint]:
        """Return the files' fingerprints once they stay as they are."""
        found = await self._look()
        while found != self._seen:
            await asyncio.sleep(SETTLE)
            again = await self._look()
            if again == found:
                break
            found = again
            self._pulse.expect("reload", within=READ_LIMIT)
        return found

    async def _look(self) -> Mapping[Path, Fingerprint]:
        paths = {self._path, *self._config.files}
        return await in_thread(lambda: fingerprints(paths), name="reload:look")

    async def _reload(self, found: Mapping[Path, Fingerprint]) -> None:
        """Read all of it, and put it into force or refuse it.

        What was looked at before it was read is what counts as seen: a change meanwhile is found next time.
        """
        self._changed |= changed_paths(self._seen, found)
        self._seen = found
        try:
            config = await in_thread(self._read, name="reload:read")
        except ConfigError as error:
            self._refuse(error)
            return
        self._take(config, compare(self._config, config, self._changed))
        self._changed = frozenset()
        self._seen = {**await self._look(), **found}

    def _take(self, config: Config, changes: Changes) -> None:
        self._apply(config, changes)
        self._config = config
        self._refusal = ""
        self._record.was_successful = True
        self._record.last_success_time = self._clock.wall()
        log.info("configuration reloaded", extra=_fields(changes))

    def _refuse(self, error: ConfigError) -> None:
        """Say once what is wrong, however often it is read."""
        self._record.was_successful = False
        self._refused_at = self._clock.monotonic()
        if str(error) != self._refusal:
            self._refusal = str(error)
            for problem in error.problems:
                log.error(
                    "configuration refused", extra={"place": str(problem.place), "detail": str(problem)}
                )


def fingerprints(paths: Collection[Path]) -> dict[Path, Fingerprint]:
    """Return the fingerprint of what each path leads to; blocks."""
    return {path: _fingerprint(path) for path in paths}


def _fingerprint(path: Path) -> Fingerprint:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _fields(changes: Changes) -> dict[str, str]:
    named: dict[str, Iterable[str]] = {
        "added": changes.added,
        "edited": changes.edited,
        "adjusted": changes.adjusted,
        "removed": changes.removed,
        "waiting_for_restart": changes.waiting,
    }
    return {what: ",".join(sorted(names)) for what, names in named.items() if names}
