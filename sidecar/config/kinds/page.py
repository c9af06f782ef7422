"""The kind of a page's URL: what a browser opens, and what is told to people as it stands."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from sidecar.config.interpolate import Part, Scalar
from sidecar.config.kinds.kind import Schema, shown
from sidecar.config.kinds.url import UrlKind
from sidecar.config.problems import Mistake, quoted

REVISION: Final = "{revision}"
"""Stands for the revision in the page of a commit."""

_WEB: Final = UrlKind((("https", 443), ("http", 80)))
_SITE: Final = re.compile(r"(?:[^/?#]*//)?[^/?#]*")
_BRACES: Final = re.compile(r"\{[^{}]*\}?|\}")


@dataclass(frozen=True, slots=True)
class PageKind:
    """An address in the web that anybody may see; `placeholders` may stand behind its host."""

    placeholders: tuple[str, ...] = ()

    def parse(self, scalar: Scalar) -> str:
        """Return it as it is written."""
        site = _SITE.match(scalar.text)
        url = _WEB.parse(Scalar(scalar.raw, (Part(site[0] if site else ""),)))
        if url.username or url.password:
            raise Mistake(
                f"{shown(scalar)} has a user or a password, which everybody would be told; remove it"
            )
        fault = next(self._faults(scalar.text), None)
        if fault:
            raise Mistake(f"{shown(scalar)} {fault}")
        return scalar.text

    def secrets(self, scalar: Scalar) -> Iterable[str]:  # noqa: ARG002 - a kind's signature
        """Yield nothing."""
        return ()

    def show(self, value: str) -> str:
        """Return it as it is written."""
        return value

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return _WEB.describe()

    def _faults(self, text: str) -> Iterator[str]:
        if not text.isprintable() or " " in text:
            yield "has a blank or a control character; percent-encode it, such as %20 for a blank"
        for found in _BRACES.findall(text):
            if found not in self.placeholders:
                known = f"write {' or '.join(self.placeholders)}, or " if self.placeholders else "write "
                yield f"has {quoted(found)}, which stands for nothing here; {known}%7B and %7D for the braces"


Page = Annotated[str, PageKind()]
CommitPage = Annotated[str, PageKind((REVISION,))]
