"""Watches the configuration and every file that it names; hands on what is new and valid.

A configuration that is refused changes nothing but a log line and a metric. ConfigMaps and Secrets are
swapped by a symbolic link, all of their files at once: what a path leads to is compared, by its content.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
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
SETTLE_LIMIT: Final = 10
"""How often that is waited for: a file that is always being written holds up no reload for ever."""
RETRY: Final = 10.0
"""Seconds after which a refused configuration is read again: what it names may have appeared since."""
READ_LIMIT: Final = 30.0
"""Seconds that reading may take before `/healthz` says that we hang."""

DIGEST_LIMIT: Final = 16 * 1024**2
"""Bytes of a file that are compared."""

Apply = Callable[[Config, Changes], None]

log = logging.getLogger("sidecar.reload")


@dataclass(frozen=True, slots=True)
class Sight:
    """What a path led to when it was looked at; equal are those of equal content."""

    digest: bytes | None
    """None if it led to nothing that can be read."""
    inode: tuple[int, int, int, int] | None = field(compare=False)
    """Device, inode, size and time of writing: as long as they stay, so does the content."""


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
        self._seen: Mapping[Path, Sight] = {}
        self._changed: frozenset[Path] = frozenset()
        """Files that differ from what is in force."""
        self._refusal = ""
        self._refused_at = 0.0
        self._woken = asyncio.Event()
        self._is_asked = False
        """Whether somebody waits to hear of a reload."""

    def wake(self, *, quietly: bool = False) -> None:
        """Read the configuration now, whether or not its files have changed; `quietly` tells of news only."""
        self._is_asked = self._is_asked or not quietly
        self._woken.set()

    async def watch_forever(self) -> Never:
        """Look at the files for ever; what they hold when this begins is what is in force."""
        self._seen = await self._look()
        while True:
            was_woken = await self._pause(POLL)
            found = await self._settled()
            is_news = was_woken or found != self._seen or self._is_worth_another_try()
            await (self._reload(found) if is_news else self._keep(found))

    async def _keep(self, found: Mapping[Path, Sight]) -> None:
        """Remember files that hold the same, under another inode perhaps."""
        self._seen = found

    def _is_worth_another_try(self) -> bool:
        return bool(self._refusal) and self._clock.monotonic() >= self._refused_at + RETRY

    async def _pause(self, seconds: float) -> bool:
        """Wait until it is time, or until somebody wakes us; whether it was that."""
        self._pulse.expect("reload", within=seconds)
        try:
            async with asyncio.timeout(seconds):  # `wait_for` of Python 3.11 may swallow a cancellation
                await self._woken.wait()
        except TimeoutError:
            return False
        finally:
            self._pulse.expect("reload", within=READ_LIMIT)
            self._woken.clear()
        return True

    async def _settled(self) -> Mapping[Path, Sight]:
        """Return what the files hold once they stay as they are, or have changed for long enough."""
        found = await self._look()
        for _ in range(SETTLE_LIMIT):
            if found == self._seen:
                break
            await asyncio.sleep(SETTLE)
            before, found = found, await self._look()
            if found == before:
                break
        return found

    async def _look(self) -> Mapping[Path, Sight]:
        paths, known = {self._path, *self._config.files}, self._seen
        return await in_thread(lambda: look(paths, known), name="reload:look")

    async def _reload(self, found: Mapping[Path, Sight]) -> None:
        """Read all of it, and put it into force or refuse it.

        What was looked at before it was read is what counts as seen: a change meanwhile is found next time.
        """
        self._changed |= changed_paths(self._seen, found)
        is_told, self._is_asked = self._is_asked or found != self._seen or bool(self._refusal), False
        self._seen = found
        try:
            config = await in_thread(self._read, name="reload:read")
        except ConfigError as error:
            self._refuse(error)
            return
        changes = compare(self._config, config, self._changed)
        self._take(config, changes)
        if is_told or changes:
            log.info("configuration reloaded", extra=_fields(changes))
        self._changed = frozenset()
        self._seen = {**await self._look(), **found}

    def _take(self, config: Config, changes: Changes) -> None:
        self._apply(config, changes)
        self._config = config
        self._refusal = ""
        self._record.was_successful = True
        self._record.last_success_time = self._clock.wall()

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


def look(paths: Iterable[Path], known: Mapping[Path, Sight]) -> dict[Path, Sight]:
    """Return what each path leads to; blocks, and reads only what is not as it was `known`."""
    return {path: _look_at(path, known.get(path)) for path in paths}


def _look_at(path: Path, known: Sight | None) -> Sight:
    try:
        found = path.stat()
        inode = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
        if known is not None and known.inode == inode:
            return known
        return Sight(_digest(path), inode)
    except OSError:
        return Sight(None, None)


def _digest(path: Path) -> bytes:
    """Return a digest of a file's content; of a pipe nothing, without waiting for a writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with open(descriptor, "rb", closefd=False) as file:
            return blake2b(file.read(DIGEST_LIMIT) or b"").digest()
    finally:
        os.close(descriptor)  # which a folder's would not be: it cannot be opened as a file


def _fields(changes: Changes) -> dict[str, str]:
    named: dict[str, Iterable[str]] = {
        "added": changes.added,
        "edited": changes.edited,
        "adjusted": changes.adjusted,
        "removed": changes.removed,
        "sections": changes.sections,
        "waiting_for_restart": changes.waiting,
    }
    return {what: ",".join(sorted(names)) for what, names in named.items() if names}
