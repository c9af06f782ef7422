"""How a Redis is named, whoever asks there: a check, or the claim of a deploy."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import parse_qs

from sidecar.config.check import Endpoint, option
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.problems import Mistake

_NUMBER: Final = re.compile(r"[0-9]{0,9}")


@dataclass(frozen=True, kw_only=True, repr=False)
class RedisEndpoint(Endpoint):
    """Which Redis, and which of its databases."""

    url: Annotated[Url, UrlKind((("redis", 6379), ("rediss", 6379), ("unix", None)))] = option(
        "URL: redis://HOST:PORT/DATABASE, rediss:// for TLS, or unix:///PATH?db=DATABASE."
    )

    @property
    def database(self) -> int:
        """The database's number."""
        return int(self._database or 0)

    @property
    def _database(self) -> str:
        asked_for = parse_qs(self.url.query).get("db")
        if asked_for:
            return asked_for[0]
        return "" if self.url.scheme == "unix" else self.url.path[1:]

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        if not _NUMBER.fullmatch(self._database):
            yield Mistake("names no database; write its number, such as redis://redis:6379/0", key="url")
        if self.url.scheme == "unix" and (self.url.host or not self.url.path):
            yield Mistake("names no socket; write its whole path, such as unix:///run/redis.sock", key="url")
        if self.tls is not None and self.url.scheme != "rediss":
            yield Mistake("has no use without TLS; write the URL with rediss://", key="tls")
