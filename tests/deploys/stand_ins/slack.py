"""Slack's chat.postMessage, chat.update and incoming webhooks: https://docs.slack.dev/reference/methods."""

from typing import Any, ClassVar, Final

from tests.deploys.stand_ins.base import TOKEN, Asked, Refused, Said, StandIn, in_json

HOOK: Final = "/services/T0/B0/s3cret"
CHANNEL: Final = "C0123456789"
CONTENT: Final = {"text", "blocks"}
POST: Final = CONTENT | {"channel", "thread_ts", "reply_broadcast", "unfurl_links", "unfurl_media"}
UPDATE: Final = CONTENT | {"channel", "ts"}


class SlackStandIn(StandIn):
    """`accepted` are the messages of the channel, each updated in its place, with `ts` and `thread_ts`."""

    polite: ClassVar[bytes] = b'{"ok": false, "error": "internal_error"}'

    @property
    def hook_url(self) -> str:
        """The URL of the incoming webhook."""
        return f"{self.url}{HOOK}"

    def answer(self, asked: Asked) -> Said:
        if asked.method != "POST":
            raise Refused(405, "method_not_allowed")
        if asked.path == HOOK:
            return self._hook(asked.object())
        if not asked.path.startswith("/api/"):
            raise Refused(404, "no_service")
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            raise Refused(200, "invalid_auth")
        if asked.path == "/api/chat.postMessage":
            return self._post(asked.object())
        if asked.path == "/api/chat.update":
            return self._update(asked.object())
        raise Refused(200, "unknown_method")

    def refuse(self, refused: Refused) -> Said:
        """A method refuses with a 200, a webhook with a word."""
        if refused.code == 200:
            return in_json({"ok": False, "error": refused.why})
        return Said(refused.code, refused.why.encode(), {"Content-Type": "text/plain"})

    def delete_all(self) -> None:
        """Delete every message, as somebody in the channel may."""
        self.accepted.clear()

    def _hook(self, told: dict[str, Any]) -> Said:
        _check_content(told, CONTENT, code=400, error="invalid_payload")
        self.accepted.append(told)
        return Said(200, b"ok", {"Content-Type": "text/plain"})

    def _post(self, told: dict[str, Any]) -> Said:
        _check_content(told, POST, code=200, error="invalid_arguments")
        _require(told.get("channel") in (CHANNEL, "#deploys"), "channel_not_found")
        if "thread_ts" in told:
            self._message(told["thread_ts"], "thread_not_found")
        _require("reply_broadcast" not in told or "thread_ts" in told, "invalid_arguments")
        ts = f"1800000000.{len(self.requests):06}"
        self.accepted.append({**told, "ts": ts})
        return in_json({"ok": True, "channel": CHANNEL, "ts": ts, "message": {"text": told["text"]}})

    def _update(self, told: dict[str, Any]) -> Said:
        _check_content(told, UPDATE, code=200, error="invalid_arguments")
        _require(told.get("channel") == CHANNEL, "channel_not_found")  # an update takes no name
        message = self._message(told.get("ts"), "message_not_found")
        message |= told
        return in_json({"ok": True, "channel": CHANNEL, "ts": told["ts"], "text": told["text"]})

    def _message(self, ts: object, error: str) -> dict[str, Any]:
        messages: list[dict[str, Any]] = self.accepted
        found = next((each for each in messages if each.get("ts") == ts), None)
        if found is None:
            raise Refused(200, error)
        return found


def _require(condition: bool, error: str) -> None:
    if not condition:
        raise Refused(200, error)


def _check_content(told: dict[str, Any], known: set[str], *, code: int, error: str) -> None:
    """Refuse what Block Kit does not have, or has no room for."""
    blocks = told.get("blocks")
    is_fine = (
        not told.keys() - known
        and isinstance(told.get("text"), str)
        and 0 < len(told["text"]) <= 4000
        and isinstance(blocks, list)
        and 0 < len(blocks) <= 50
        and all(map(_is_block, blocks))
    )
    if not is_fine:
        raise Refused(code, error)


def _is_block(block: dict[str, Any]) -> bool:
    match block:
        case {"type": "section", "text": text}:
            return block.keys() == {"type", "text"} and _is_mrkdwn(text)
        case {"type": "context", "elements": [*elements]}:
            return (
                block.keys() == {"type", "elements"}
                and 0 < len(elements) <= 10
                and all(map(_is_mrkdwn, elements))
            )
    return False


def _is_mrkdwn(text: object) -> bool:
    return (
        isinstance(text, dict)
        and text.keys() <= {"type", "text", "verbatim"}
        and text["type"] == "mrkdwn"
        and isinstance(text["text"], str)
        and 0 < len(text["text"]) <= 3000
    )
