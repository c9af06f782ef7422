"""Posts to a Slack channel, to be read at a glance.

A message says which revision of what, linked to its commit, went live in which environment and how long it
took, or which checks hold it back and why; which pod saw it, who deployed, the branch and the build. A
recovery is said to be one, and so is what other pods may say as well.

With `token` and `channel` a deploy is one message, which `started` posts and `succeeded` updates; `failed`,
`timed_out` and a recovery are threaded under it, and shown in the channel too. With
`webhook_url`, an incoming webhook, every event is a message of its own.

What happens twice: an update changes nothing the second time. A message whose answer was lost, or that Slack
answered with `internal_error` or `fatal_error`, is posted again and may stand there twice.

Permissions: the bot token needs the scope `chat:write`, and the bot has to be a member of the channel. The
URL of an incoming webhook is a secret as a whole.

```yaml
- type: slack
  token: ${file:/run/secrets/slack/token}
  channel: C0123456789
```
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sidecar.config.check import option
from sidecar.config.deploy import ServiceConfig, ServiceType
from sidecar.config.fields import Label
from sidecar.config.headers import Token
from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url
from sidecar.config.problems import Mistake
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import DeployEvent, Receipt
from sidecar.deploys import _slack_message as message
from sidecar.deploys._service import (
    Answer,
    Cluster,
    DeliveryError,
    Request,
    Send,
    as_json,
    bearer,
)
from sidecar.deploys._url import BaseUrl, HookUrl, base_rules, hook_rules, under

UPDATES: Final = frozenset({DeployEvent.STARTED, DeployEvent.SUCCEEDED})
"""What the message of the deploy itself says."""
PASSING: Final = frozenset(
    {
        "fatal_error",
        "internal_error",
        "rate_limited",
        "ratelimited",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
    }
)
"""Errors that another attempt may not meet: https://docs.slack.dev/reference/methods/chat.postMessage."""
GONE: Final = frozenset(
    {
        "cannot_reply_to_message",
        "cant_update_message",
        "edit_window_closed",
        "message_not_found",
        "thread_not_found",
    }
)
"""Errors of a message that was deleted, or may not be touched any more."""
RATE_LIMIT_LASTS: Final = 30.0
"""Seconds; the answer to a request that is too many says so in a header, or, with a 200, not at all."""


@dataclass(frozen=True, kw_only=True, repr=False)
class SlackConfig(ServiceConfig):
    """Which channel, and by which of the two ways."""

    token: Token | None = option("Token of a bot with the scope `chat:write`; with `channel`.", default=None)
    channel: Label | None = option("The channel's ID, such as C0123456789; with `token`.", default=None)
    webhook_url: HookUrl | None = option("URL of an incoming webhook, in place of the two.", default=None)
    base_url: BaseUrl = option(
        "URL of Slack's API, or of a gateway to it.", default=Url(scheme="https", host="slack.com")
    )

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from base_rules(self.base_url)
        if self.webhook_url is not None:
            yield from hook_rules(self.webhook_url, key="webhook_url")
        ways = (self.token is not None, self.channel is not None, self.webhook_url is not None)
        if ways not in ((True, True, False), (False, False, True)):
            yield Mistake("needs either the keys token and channel, or the key webhook_url alone")


class SlackHook:
    """Posts through an incoming webhook, which returns nothing that could be updated."""

    def __init__(self, url: Url) -> None:
        self._url = url

    async def tell(self, announcement: Announcement, receipt: Receipt, send: Send) -> Receipt:  # noqa: ARG002
        """Post a message."""
        answer = await send(
            Request(
                url=self._url.bare,
                headers={"Content-Type": "application/json; charset=utf-8"},
                body=as_json(message.compose(announcement)),
                answered=Answer(200, b"ok"),
            )
        )
        if answer.body.strip() != b"ok":
            raise DeliveryError(f"answered {answer.code} with something else than ok: {answer.text}")
        return {}


class SlackChannel:
    """Keeps the place of the message that `started` posted as its receipt."""

    def __init__(self, token: Secret, channel: str, base: Url) -> None:
        self._token = token
        self._channel = channel
        self._base = base

    async def tell(self, announcement: Announcement, receipt: Receipt, send: Send) -> Receipt:
        """Post, update, or answer in the thread; a message that is gone is made up for by a new one."""
        if "ts" not in receipt:
            return await self._post(announcement, send)
        try:
            if announcement.event in UPDATES:
                content = {"channel": self._channel, **receipt, **message.compose(announcement)}
                await self._call("chat.update", content, send)
            if announcement.event not in UPDATES or announcement.is_recovery:  # an update rings no bell
                await self._post(announcement, send, thread_ts=receipt["ts"], reply_broadcast=True)
        except _RefusedError as error:
            if error.code not in GONE:
                raise
            return await self._post(announcement, send)
        return receipt

    async def _post(self, announcement: Announcement, send: Send, **thread: object) -> Receipt:
        """Post a message; return its place if it is one to update, which a failure's is not."""
        unfurl = {"unfurl_links": False, "unfurl_media": False}
        content = {"channel": self._channel, **message.compose(announcement), **unfurl, **thread}
        posted = await self._call("chat.postMessage", content, send)
        if announcement.event is not DeployEvent.STARTED or not posted.get("ts"):
            return {}
        return {"channel": str(posted.get("channel", self._channel)), "ts": str(posted["ts"])}

    async def _call(self, method: str, content: Mapping[str, Any], send: Send) -> Mapping[str, Any]:
        """Return what a method answered; Slack refuses with a 200 too.

        Raises:
            DeliveryError: it refused.
        """
        answer = await send(
            Request(
                url=under(self._base, f"/api/{method}"),
                headers={
                    "Authorization": bearer(self._token),
                    "Content-Type": "application/json; charset=utf-8",
                },
                body=as_json(content),
                answered=Answer(200, as_json({"ok": True, "channel": self._channel, "ts": "1.000001"})),
            )
        )
        said = answer.object()
        if said.get("ok") is not True:
            raise _RefusedError(answer, code=str(said.get("error")))
        return said


class _RefusedError(DeliveryError):
    """An answer of 200 with `ok: false`."""

    def __init__(self, answer: Answer, *, code: str) -> None:
        super().__init__(
            f"answered {answer.code} with {answer.text}",
            retry_after=RATE_LIMIT_LASTS if code in ("rate_limited", "ratelimited") else 0.0,
            is_final=code not in PASSING,
        )
        self.code = code


def _build(config: SlackConfig, _: Cluster) -> SlackHook | SlackChannel:
    if config.webhook_url is not None:
        return SlackHook(config.webhook_url)
    if config.token is None or config.channel is None:
        raise ValueError("a rule of the configuration asks for both")
    return SlackChannel(config.token, config.channel, config.base_url)


service_type = ServiceType(config=SlackConfig, build=_build)
