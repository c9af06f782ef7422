"""An announcement as a message in Slack: blocks, and the text that notifications show.

The limits are Slack's: https://docs.slack.dev/reference/block-kit/blocks.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sidecar.core.announcement import Announcement
from sidecar.core.deploy import DeployEvent, FailedCheck
from sidecar.deploys import _words
from sidecar.support.text import one_line

SECTION_LIMIT: Final = 3000
"""Characters of a text in a block."""
PART_LIMIT: Final = 100
"""Characters of a name: none of ours is longer, and a longer one could not be read at a glance."""
LINK_LIMIT: Final = 500
"""Characters of a URL that is linked; a longer one is left out, for half of it would lead elsewhere."""

_LINKABLE: Final = re.compile(r"https?://[^\s|]+")
_SIGNS: Final = {
    DeployEvent.STARTED: ":rocket:",
    DeployEvent.SUCCEEDED: ":white_check_mark:",
    DeployEvent.FAILED: ":x:",
    DeployEvent.TIMED_OUT: ":hourglass:",
}


def compose(announcement: Announcement) -> Mapping[str, Any]:
    """Return the content of a message."""
    commit_url = announcement.origin.commit_url

    def dress(part: str, text: str) -> str:
        shown = _words.short(text) if part == "revision" else one_line(text, limit=PART_LIMIT)
        return f"*{link(commit_url, shown) if part == 'revision' else escape(shown)}*"

    heading = f"{_SIGNS[announcement.event]} {_words.headline(announcement, dress)}"
    lines = [heading, *map(_failure, announcement.failures)]
    details = fit(_details(announcement), " · ")
    return {
        "text": _plain(announcement),
        "blocks": [
            {"type": "section", "text": _mrkdwn(fit(lines, "\n", left=announcement.unnamed))},
            *([{"type": "context", "elements": [_mrkdwn(details)]}] if details else []),
        ],
    }


def escape(text: str) -> str:
    """Return a text without anything that Slack takes for a mention, a link or an entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def link(url: str, text: str) -> str:
    """Return a link where the URL is one that a browser opens; else the text alone."""
    target = escape(url)
    if not _LINKABLE.fullmatch(url) or len(target) > LINK_LIMIT:
        return escape(text)
    return f"<{target}|{escape(text)}>"


def fit(pieces: Iterable[str], joint: str, *, left: int = 0) -> str:
    """Return as many whole pieces as one block has room for, and how many are left out, `left` before."""
    kept = list(pieces)
    while len(shown := joint.join([*kept, *([f"and {left} more"] if left else [])])) > SECTION_LIMIT:
        kept.pop()
        left += 1
    return shown


def _plain(announcement: Announcement) -> str:
    def shorten(part: str, text: str) -> str:
        return escape(_words.short(text) if part == "revision" else one_line(text, limit=PART_LIMIT))

    return _words.headline(announcement, shorten)


def _failure(failed: FailedCheck) -> str:
    said = f": {escape(one_line(failed.message, limit=_words.MESSAGE_LIMIT))}" if failed.message else ""
    return f"• *{escape(failed.name)}* {escape(failed.reason)}{said}"


def _details(announcement: Announcement) -> Iterator[str]:
    """Yield who, what and where, as far as it is known."""
    origin = announcement.origin
    named = (("by", origin.user), ("branch", origin.branch), ("pod", announcement.pod))
    yield from (f"{word} {escape(one_line(text, limit=PART_LIMIT))}" for word, text in named if text)
    if origin.build_url:
        yield link(origin.build_url, "build")
    if origin.comment:
        yield escape(one_line(origin.comment, limit=_words.MESSAGE_LIMIT))
    if announcement.is_unclaimed:
        yield _words.UNCLAIMED


def _mrkdwn(text: str) -> Mapping[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
