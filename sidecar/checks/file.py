"""Looks at a file: that it exists, that it is young, that it contains a text.

Down means that the path does not exist (`not_found`), may not be looked at (`forbidden`), was last written
longer than `max_age` ago, or does not contain the text in its first 64 KiB (`contract`). A time of writing in
the future counts as now. Only with `contains` must it be a regular file, and one that may be read.

A worker that serves no port can be watched this way: it touches a file in an emptyDir that both containers
mount whenever it has finished a round, and a check with `gates: [liveness, readiness]` and a `max_age` of
several rounds restarts it when it hangs, and holds a rollout back until it works. Not with `gates: startup`:
a native sidecar or an init container would wait for a file of an app that is started only afterwards.

Permissions: to search the folders above the path, and with `contains` to read the file.
Reasons that waiting does not cure: none, for the one who writes the file may still be starting.

```yaml
- name: worker
  type: file
  path: /var/run/worker/heartbeat
  max_age: 2m
  gates: [liveness, readiness]
```
"""

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from sidecar.checks._connect import strerror
from sidecar.config.check import CheckConfig, CheckType, option
from sidecar.config.fields import Text
from sidecar.config.kinds.number import DurationKind
from sidecar.config.kinds.text import PatternKind
from sidecar.config.problems import quoted
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.text import show_age, show_duration
from sidecar.support.thread import OneThread

READ_LIMIT: Final = 64 * 1024
"""Bytes in which the text must stand."""

# No `FilePath`: that is watched for a reload, which every beat of a heartbeat would cause.
WatchedPath = Annotated[str, PatternKind(r"/[^\0]*", "an absolute path; write one that begins with a slash")]
MaxAge = Annotated[float, DurationKind(at_least=1, at_most=365 * 24 * 3600)]


@dataclass(frozen=True, kw_only=True, repr=False)
class FileConfig(CheckConfig):
    """Which file to look at, and what to find."""

    path: WatchedPath = option("Absolute path.")
    max_age: MaxAge | None = option("How long ago it may have been written last.", default=None)
    contains: Text | None = option("Text that it contains.", default=None)

    @property
    def target(self) -> str:
        """The path."""
        return self.path

    @property
    def is_about_file(self) -> bool:
        """True."""
        return True


class FileCheck:
    """Looks in a thread: a file system may hang for ever."""

    def __init__(self, config: FileConfig) -> None:
        self._config = config
        self._in_thread = OneThread(f"file:{config.name}")

    async def run(self) -> None:
        """Look once."""
        await self._in_thread(self._look)

    async def aclose(self) -> None:
        """Hold nothing."""

    def _look(self) -> None:
        path, text = self._config.path, self._config.contains
        try:
            found = Path(path).stat()
            self._judge_age(found)
            if text is not None and text.encode() not in _beginning_of(path, found):
                raise CheckFailed(Reason.CONTRACT, f"{path} does not contain {quoted(text)}")
        except OSError as error:
            raise CheckFailed(_reason_of(error), f"{path}: {strerror(error)}") from error

    def _judge_age(self, found: os.stat_result) -> None:
        age, limit = time.time() - found.st_mtime, self._config.max_age
        if limit is not None and age > limit:
            too_long = f"{show_age(age)} ago, longer than {show_duration(limit)}"
            raise CheckFailed(Reason.CONTRACT, f"{self._config.path} was last written {too_long}")


def _beginning_of(path: str, found: os.stat_result) -> bytes:
    """Return the first bytes of a regular file: a pipe could hang when opened, and a device do something."""
    if not stat.S_ISREG(found.st_mode):
        raise CheckFailed(Reason.CONTRACT, f"{path} is not a regular file")
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        return file.read(READ_LIMIT)


def _reason_of(error: OSError) -> Reason:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return Reason.NOT_FOUND
        case PermissionError():
            return Reason.FORBIDDEN
        case _:
            return Reason.UNAVAILABLE


check_type = CheckType(config=FileConfig, build=FileCheck)
