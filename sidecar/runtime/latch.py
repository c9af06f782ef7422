"""The latch file: what has been up, for the next life of our container.

For each check that has been up, a keyed digest of the question that it asks, secrets included: so that only
the same question, with the same credentials, is taken as answered. The digest gives none of them away.
"""

import dataclasses
import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from pathlib import Path
from typing import Any, Final, Never

from sidecar.config.check import CheckConfig
from sidecar.config.kinds.secret import Secret
from sidecar.runtime.board import Board
from sidecar.runtime.changes import USE_KEYS
from sidecar.runtime.news import News
from sidecar.support.text import one_line
from sidecar.support.thread import in_thread

FORMAT: Final = 1
"""Of the file; one of another format latches nothing."""
KEY_BYTES: Final = 32
RETRY: Final = 30.0
"""Seconds after which a file that could not be written is tried again, if nothing changes before."""
SIZE_LIMIT: Final = 4 * 1024**2
"""Bytes: ten times what a thousand checks take."""

log = logging.getLogger("sidecar.latch")


@dataclass(frozen=True, slots=True)
class LatchRecord:
    """What the file holds: digests by the name of the check, and the key that they were made with."""

    key: bytes = field(default_factory=lambda: secrets.token_bytes(KEY_BYTES), repr=False)
    digests: Mapping[str, str] = field(default_factory=dict)

    def with_proved(self, configs: Iterable[CheckConfig]) -> "LatchRecord":
        """Return the record in which these checks, and no others, have been up."""
        return LatchRecord(self.key, {each.name: digest(each, self.key) for each in configs})

    def proved(self, configs: Iterable[CheckConfig]) -> frozenset[str]:
        """Return the names of those checks that have been up as they are configured."""
        return frozenset(
            each.name
            for each in configs
            if each.name in self.digests and self.digests[each.name] == digest(each, self.key)
        )


def digest(config: CheckConfig, key: bytes) -> str:
    """Return a keyed digest of what a check asks: of every key but those that say how its answer is used.

    An edit of those keeps a check's state in a reload, and so it does here.
    """
    told = json.dumps([type(config).__name__, *_told_section(config, USE_KEYS)])
    return blake2b(told.encode("utf-8", "surrogatepass"), key=key).hexdigest()


def read_latch(path: Path) -> LatchRecord:
    """Return what the file holds; nothing, under a new key, if there is none. Blocks, raises nothing.

    A file that cannot be read or understood costs one log line, and latches nothing.
    """
    try:
        return _parse(_read(path))
    except FileNotFoundError:
        return LatchRecord()
    except OSError as error:
        _complain("latch cannot be read", path, error.strerror or str(error))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        _complain("latch cannot be read", path, "it is no latch of ours")
    return LatchRecord()


def write_latch(path: Path, record: LatchRecord) -> None:
    """Have the file hold `record`, in one step; blocks.

    Raises:
        OSError: the file is as it was before.
    """
    body = {
        "format": FORMAT,
        "key": record.key.hex(),
        "checks": dict(record.digests),
    }
    temporary = path.with_name(f"{path.name}.new")
    try:
        _write_through(temporary, json.dumps(body).encode())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


class LatchKeeper:
    """Writes the latch file whenever a check has been up for the first time as it is configured."""

    def __init__(
        self,
        path: Path,
        record: LatchRecord,
        board: Board,
        *,
        write: Callable[[Path, LatchRecord], None] = write_latch,
    ) -> None:
        self._path = path
        self._record = record
        self._board = board
        self._write = write
        self._complaint = ""

    async def keep_forever(self) -> Never:
        """Keep the file up to date, from a thread: a disk that hangs or is full holds nobody up."""
        news = News(self._board)
        known = self._proved()
        again = inf
        while True:
            await news.within(again)
            proved = self._proved()
            if again < inf or _has_news(proved, known):
                known = proved
                again = inf if await self._save(proved.values()) else RETRY

    def _proved(self) -> dict[str, CheckConfig]:
        entries = self._board.entries()
        return {entry.config.name: entry.config for entry in entries if entry.state.has_been_up}

    async def _save(self, proved: Iterable[CheckConfig]) -> bool:
        """Write the file; return whether that worked."""
        configs = tuple(proved)

        def save() -> LatchRecord:
            record = self._record.with_proved(configs)
            self._write(self._path, record)
            return record

        try:
            self._record = await in_thread(save, name="latch")
        except OSError as error:
            self._complain_once(error.strerror or str(error))
            return False
        self._complaint = ""
        return True

    def _complain_once(self, detail: str) -> None:
        if detail != self._complaint:
            self._complaint = detail
            _complain("latch cannot be written", self._path, detail)


def _has_news(proved: Mapping[str, CheckConfig], known: Mapping[str, CheckConfig]) -> bool:
    """Whether a check has been up that had not; one that is gone or must prove itself anew is no news."""
    return any(known.get(name) != config for name, config in proved.items())


def _read(path: Path) -> bytes:
    """Return the content; of a pipe nothing, without waiting for a writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - of a descriptor
        return file.read(SIZE_LIMIT)


def _parse(content: bytes) -> LatchRecord:
    """Return the record that the content holds.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, RecursionError: it is none of ours.
    """
    body = json.loads(content)
    if body["format"] != FORMAT:
        raise ValueError("of another format")
    key, checks = bytes.fromhex(body["key"]), body["checks"].items()
    if len(key) != KEY_BYTES:
        raise ValueError("no key of ours")
    return LatchRecord(key, {str(name): str(told) for name, told in checks})


def _write_through(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Have the renaming outlive a crash of the node, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _complain(what: str, path: Path, why: str) -> None:
    log.warning(what, extra={"file": str(path), "detail": one_line(why).lower()})


def _told_section(section: Any, left_out: Iterable[str] = ()) -> Iterator[tuple[str, Any]]:
    for each in dataclasses.fields(section):
        if each.name not in left_out:
            yield each.name, _told(getattr(section, each.name))


def _told(value: Any) -> Any:
    """Return a value as JSON can write it, the same in every process; secrets in the clear."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, re.Pattern):
        return [value.pattern, value.flags]
    if dataclasses.is_dataclass(value):
        return list(_told_section(value))
    if isinstance(value, Mapping):
        return _told(sorted(value.items()))
    if isinstance(value, tuple | list | frozenset):
        told = [_told(each) for each in value]
        return sorted(told, key=json.dumps) if isinstance(value, frozenset) else told
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
