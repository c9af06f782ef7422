"""What happened to a deploy, in the words in which people are told."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from sidecar.core.announcement import Announcement
from sidecar.core.deploy import DeployEvent, FailedCheck
from sidecar.support.text import one_line, show_age

UNCLAIMED: Final = "the store of the claim is silent, so that other pods may say the same"
SHORT_SHA: Final = 12
MESSAGE_LIMIT: Final = 300
"""Characters of a failing check's message."""

_LASTED: Final = " after {lasted}"
_LIVE: Final = "{service} {revision} is live in {environment}" + _LASTED
_RECOVERED: Final = "{service} {revision} has recovered: it is live in {environment}" + _LASTED
_HEADLINES: Final = {
    DeployEvent.STARTED: "{service} {revision} is being deployed to {environment}",
    DeployEvent.SUCCEEDED: _LIVE,
    DeployEvent.FAILED: "{service} {revision} has failed in {environment}" + _LASTED,
    DeployEvent.TIMED_OUT: "{service} {revision} is still not live in {environment}" + _LASTED,
}


def headline(announcement: Announcement, dress: Callable[[str, str], str] = lambda _, text: text) -> str:
    """Return the one sentence that matters.

    `dress` is given the word for a part, such as `revision`, and its text; it returns how the part is shown.
    """
    deploy = announcement.deploy
    parts = {"service": deploy.service, "revision": deploy.revision, "environment": deploy.environment}
    template = _RECOVERED if announcement.is_recovery else _HEADLINES[announcement.event]
    if not announcement.lasted:  # a pipeline that kept no receipts, and does not know when it began
        template = template.removesuffix(_LASTED)
    shown = {part: dress(part, text) for part, text in parts.items()}
    return template.format(**shown, lasted=show_age(announcement.lasted))


def failures(announcement: Announcement) -> Iterator[str]:
    """Yield each failing check, with its reason and what it said; and how many are not named."""
    yield from map(failure, announcement.failures)
    if announcement.unnamed:
        yield f"and {announcement.unnamed} more"


def failure(failed: FailedCheck) -> str:
    """Return one failing check, its reason and what it said."""
    said = one_line(failed.message, limit=MESSAGE_LIMIT)
    return f"{failed.name}: {failed.reason}{f', {said}' if said else ''}"


def instant(time: float) -> str:
    """Return seconds since the epoch as RFC 3339 has them, with milliseconds."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def short(revision: str) -> str:
    """Return a revision at a length that is read at a glance: a git SHA is cut, as git itself does."""
    is_sha = len(revision) >= 40 and all(each in "0123456789abcdef" for each in revision)
    return revision[:SHORT_SHA] if is_sha else one_line(revision, limit=100)
