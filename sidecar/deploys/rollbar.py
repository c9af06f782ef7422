"""Creates a deploy in Rollbar, and updates it with how it ended.

`started` creates it; `succeeded`, `failed` and `timed_out` become its status, so that Rollbar lists one
deploy with its start and its end, and matches new errors to it by `environment` and `code_version`. It is
created with its status where nobody has announced its start; with `read_token` a start that a pipeline has
announced in the hour before is found. Rollbar is told the environment, the revision (of which it may refuse
more than 40 characters), `deploy.user` as the local user name, and in the comment of a new deploy
`deploy.comment` and the checks that fail.

What happens twice: an update changes nothing the second time. Rollbar cannot tell that a creation whose
answer was lost is the same: with `read_token` its list of deploys is asked first; without it, or where
that token is refused, the deploy may stand there twice, the first without an end.

Permissions: `token` is a project access token with the scope `post_server_item`, `read_token` one with the
scope `read`.

```yaml
- type: rollbar
  token: ${file:/run/secrets/rollbar/token}
  read_token: ${file:/run/secrets/rollbar/read-token}
  rollbar_username: deployer
```
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from sidecar.config.check import option
from sidecar.config.deploy import ServiceConfig, ServiceType
from sidecar.config.fields import Label
from sidecar.config.headers import Token
from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url
from sidecar.config.problems import Mistake
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import DeployEvent, Receipt
from sidecar.deploys import _words
from sidecar.deploys._service import Answer, Cluster, DeliveryError, Request, Send, as_json
from sidecar.deploys._url import BaseUrl, base_rules, under
from sidecar.support.text import one_line

COMMENT_LIMIT: Final = 2000
"""Characters; Rollbar takes 64,000, which nobody reads."""
CLOCKS_DIFFER_BY: Final = 60.0
"""Seconds by which Rollbar's clock may be behind ours."""
OPEN_FOR: Final = 3600.0
"""Seconds before our start in which somebody else may have announced it: a pipeline, before its build."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RollbarConfig(ServiceConfig):
    """Which project, and who deploys."""

    token: Token = option("Project access token with the scope `post_server_item`.")
    read_token: Token | None = option(
        "Project access token with the scope `read`, so that no deploy is created twice.", default=None
    )
    rollbar_username: Label | None = option("Who deploys, as a user of Rollbar.", default=None)
    base_url: BaseUrl = option(
        "URL of Rollbar's API, or of a gateway to it.", default=Url(scheme="https", host="api.rollbar.com")
    )

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from base_rules(self.base_url)


class Rollbar:
    """Keeps the deploy's number as its receipt."""

    def __init__(self, config: RollbarConfig) -> None:
        self._config = config

    async def tell(self, announcement: Announcement, receipt: Receipt, send: Send) -> Receipt:
        """Create the deploy, or update the one that was created."""
        deploy_id = receipt.get("deploy_id") or await self._find_open(announcement, send)
        if deploy_id:
            _accepted(await send(self._update(deploy_id, announcement.event)))
            return {"deploy_id": deploy_id}
        created = _created(_accepted(await send(self._create(announcement))))
        return {"deploy_id": created} if created else {}

    async def find(self, announcement: Announcement, send: Send) -> Receipt | None:
        """Return the number of the deploy, if it has got as far as is announced."""
        for each in await self._list(announcement, send):
            has_happened = announcement.event in (DeployEvent.STARTED, each.get("status"))
            if has_happened and _began_within(each, announcement, CLOCKS_DIFFER_BY):
                return {"deploy_id": str(each["id"])}
        return None

    async def _find_open(self, announcement: Announcement, send: Send) -> str | None:
        """Return the number of a deploy whose start somebody else announced: a pipeline.

        None as well where Rollbar does not say: it had better be told twice than never.
        """
        if announcement.event is DeployEvent.STARTED:
            return None
        with suppress(DeliveryError):
            for each in await self._list(announcement, send):
                is_open = each.get("status") == DeployEvent.STARTED
                if is_open and _began_within(each, announcement, OPEN_FOR):
                    return str(each["id"])
        return None

    async def _list(self, announcement: Announcement, send: Send) -> Sequence[Mapping[str, Any]]:
        """Return the deploys of the revision in the environment, the newest first, as far as we may see."""
        if self._config.read_token is None:
            return []
        deploy = announcement.deploy
        query = urlencode({"environment": deploy.environment, "page": 1})
        answer = _accepted(await send(self._ask("GET", f"deploys?{query}", self._config.read_token)))
        return [
            each
            for each in _listed(answer)
            if (each.get("environment"), each.get("revision")) == (deploy.environment, deploy.revision)
        ]

    def _create(self, announcement: Announcement) -> Request:
        return self._ask("POST", "deploy", self._config.token, self._description(announcement))

    def _update(self, deploy_id: str, event: DeployEvent) -> Request:
        path = f"deploy/{quote(deploy_id, safe='', errors='replace')}"
        return self._ask("PATCH", path, self._config.token, {"status": event.value})

    def _ask(self, method: str, path: str, token: Secret, body: Mapping[str, str] | None = None) -> Request:
        return Request(
            method=method,
            url=under(self._config.base_url, f"/api/1/{path}"),
            headers={
                "X-Rollbar-Access-Token": token,
                **({"Content-Type": "application/json"} if body else {}),
            },
            body=as_json(body) if body else None,
            answered=Answer(200, as_json({"err": 0, "data": {"deploy_id": 1}})),
        )

    def _description(self, announcement: Announcement) -> Mapping[str, str]:
        comment = "; ".join(filter(None, (announcement.origin.comment, *_words.failures(announcement))))
        told = {
            "environment": announcement.deploy.environment,
            "revision": announcement.deploy.revision,
            "status": announcement.event.value,
            "local_username": announcement.origin.user,
            "rollbar_username": self._config.rollbar_username or "",
            "comment": one_line(comment, limit=COMMENT_LIMIT),
        }
        return {name: text for name, text in told.items() if text}


def _accepted(answer: Answer) -> Mapping[str, Any]:
    """Return what Rollbar said; it also refuses with a 200.

    Raises:
        DeliveryError: it refused.
    """
    said = answer.object()
    if said.get("err") != 0:
        raise DeliveryError(f"answered {answer.code} with {answer.text}")
    return said


def _created(said: Mapping[str, Any]) -> str:
    """Return the number of a new deploy, which stands in either of two places; empty if in none."""
    places = (said.get("data"), said.get("result"))
    numbers = (each.get("deploy_id") or each.get("id") for each in places if isinstance(each, dict))
    return next((str(number) for number in numbers if number), "")


def _listed(said: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    result = said.get("result")
    listed = result.get("deploys") if isinstance(result, dict) else result
    found = listed if isinstance(listed, list) else []
    return [each for each in found if isinstance(each, dict) and each.get("id")]


def _began_within(listed: Mapping[str, Any], announcement: Announcement, seconds: float) -> bool:
    """Whether a listed deploy is no earlier one of the same revision, which a rollback brought back."""
    began = listed.get("start_time")
    return isinstance(began, int | float) and began >= announcement.started_at - seconds


def _build(config: RollbarConfig, _: Cluster) -> Rollbar:
    return Rollbar(config)


service_type = ServiceType(config=RollbarConfig, build=_build)
