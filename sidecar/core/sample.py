"""How many messages are looked at, for how long, and where in a message its identifier is."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_INDEX: Final = re.compile(r"[0-9]{1,9}")
"""Of an item in a list; no body holds more items."""


class Source(StrEnum):
    """The part of a message that an identifier is in."""

    MESSAGE_ID = "message_id"
    HEADER = "header"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What of a message is looked at."""

    is_persistent: bool = False
    message_id: str | None = None
    headers: Mapping[str, object] | None = None
    body: bytes = b""

    def __repr__(self) -> str:
        return "<Message>"


@dataclass(frozen=True, slots=True)
class Identifier:
    """Where the identifier of a message is: `message_id`, `header:NAME`, or `json:/pointer` into the body."""

    source: Source = Source.MESSAGE_ID
    path: str = ""
    """The header's name, or a JSON pointer (RFC 6901)."""

    @classmethod
    def parse(cls, text: str) -> "Identifier":
        """Return what a text such as `header:x-id` means.

        Raises:
            ValueError: with a sentence that says what may be written.
        """
        source, _, path = text.partition(":")
        if text == Source.MESSAGE_ID:
            return cls()
        if source == Source.HEADER and path:
            return cls(Source.HEADER, path)
        if source == Source.JSON and path.startswith("/"):
            return cls(Source.JSON, path)
        raise ValueError("write message_id, header:NAME or json:/pointer")

    def __str__(self) -> str:
        """Return it in words."""
        if self.source is Source.MESSAGE_ID:
            return "message_id"
        return f"header {self.path}" if self.source is Source.HEADER else f"value at {self.path}"

    def of(self, message: Message) -> bytes | None:
        """Return the identifier of a message; None if it has none: an empty one, or no text and no number."""
        if self.source is Source.MESSAGE_ID:
            return _written(message.message_id)
        if self.source is Source.HEADER:
            return _written((message.headers or {}).get(self.path))
        return _written(_pointed_at(self.path, message.body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What is wanted of a look at messages: at most `count` of each way, within `seconds`."""

    count: int
    seconds: float
    identifier: Identifier = Identifier()


def _written(value: object) -> bytes | None:
    """Return a text or a number as bytes, by which 1 and "1" differ; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | bytes | int) or value in ("", b""):
        return None
    return repr(value).encode(errors="surrogatepass")


def _pointed_at(pointer: str, body: bytes) -> object:
    """Return what a JSON pointer leads to; None if the body is no JSON, or has nothing there."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for part in pointer.removeprefix("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(key)
        elif isinstance(found, list) and _INDEX.fullmatch(key) and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found
