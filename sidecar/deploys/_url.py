"""Where services are: a base that their paths stand under, and a hook whose path is a secret."""

from collections.abc import Iterator
from typing import Annotated, Final

from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.problems import Mistake

_WEB: Final = (("https", 443), ("http", 80))

BaseUrl = Annotated[Url, UrlKind(_WEB)]
"""Of the service itself, or of an installation of one's own, which may be under a path."""
HookUrl = Annotated[Url, UrlKind(_WEB, hides_path=True)]
"""Whoever has it may post there: its path is never shown."""


def under(base: Url, path: str) -> str:
    """Return the URL of a path, which begins with a slash, of the service at `base`."""
    return f"{base.bare.rstrip('/')}{path}"


def base_rules(base: Url) -> Iterator[Mistake]:
    """Yield what of a `base_url` would be dropped on the way to a path."""
    if base.username or base.password or base.query:
        yield Mistake("has more than a host and a path; write no user, password or query", key="base_url")


def hook_rules(hook: Url, *, key: str) -> Iterator[Mistake]:
    """Yield what of a hook's URL would not be sent."""
    if hook.username or hook.password:
        yield Mistake("has a user name or a password, which would not be sent; remove it", key=key)
