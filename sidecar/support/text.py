"""Text for people: durations, addresses in words, and secrets blotted out."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

STARS: Final = "***"
SHORTEST_SECRET: Final = 4
"""Blotting out every `80` because some variable holds it would hide the log, not the secret."""

_UNITS: Final = (("h", 3600.0), ("m", 60.0), ("s", 1.0))
_USERINFO: Final = re.compile(r"(?<=://)[^\s/?#'\"]*@")


def show_duration(seconds: float) -> str:
    """Return `seconds` as the configuration would write it: `500ms`, `10s`, `5m`, `1h`.

    The largest unit that needs no fraction is taken; below 10s milliseconds count, above it whole seconds.
    """
    rounded = round(seconds, 3) if seconds < 10 else float(round(seconds))
    if rounded == 0:
        return "0s"
    for unit, size in _UNITS:
        if rounded >= size and rounded % size == 0:
            return f"{rounded / size:.0f}{unit}"
    return f"{rounded * 1000:.0f}ms"


def show_age(seconds: float) -> str:
    """Return a span in at most two units, for people: `3s`, `2m 5s`, `4h 10m`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    return f"{whole // 3600}h {whole % 3600 // 60}m"


def one_line(text: str, *, limit: int = 300) -> str:
    """Return `text` on one line of printable characters, cut at `limit` of them."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def hide_userinfo(text: str) -> str:
    """Return `text` with what stands between `://` and `@` blotted out, in whatever scheme."""
    return _USERINFO.sub(f"{STARS}@", text)


class Redactor:
    """Blots the given secrets out of any text, also where a driver has quoted or encoded them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Blot these out too from now on."""
        self._secrets |= {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        longest_first = sorted(self._secrets, key=len, reverse=True)
        patterns = [pattern for secret in longest_first for pattern in _patterns(secret)]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def __call__(self, text: str) -> str:
        """Return `text` without any secret, nor any URL's userinfo."""
        known = self._pattern.sub(STARS, text) if self._pattern else text
        return hide_userinfo(known)


def _patterns(secret: str) -> Iterator[str]:
    """Yield regular expressions for the secret as it stands, in a URL, and as code and JSON quote it."""
    yield "".join(map(_in_a_url, secret))
    quoted = {repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    yield from map(re.escape, quoted - {secret})


def _in_a_url(character: str) -> str:
    """Return a regular expression for a character that each library percent-encodes where it likes."""
    encoded = quote(character, safe="", errors="surrogatepass")
    if encoded == character:
        return re.escape(character)
    return f"(?:(?i:{encoded})|{re.escape(character)}{'|[+]' if character == ' ' else ''})"
