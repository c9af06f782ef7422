"""Creates a release in Sentry, and a deploy of it once it is live.

`started` creates the release, with `repository` and `commits` if they are given; `succeeded` creates a deploy
of it in the environment, with its start, its end and the page of the build, and the release before it where
nobody has. Sentry has no deploy that failed: `failed` and `timed_out` are not announced. `release` has to be
what the app gives its SDK.

What happens twice: a release is created once, however often. A deploy is named after `deploy.service` and
`deploy.id`; where an answer was lost, the release's deploys are asked for that name first, so that it is
created twice only if two pods ask at the same moment.

Permissions: the token needs the scope `org:ci`, which a token of the organization has, or `project:releases`.

```yaml
- type: sentry
  organization: example
  projects: [shop-backend]
  token: ${file:/run/secrets/sentry/token}
  repository: example/shop
```
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import quote

from sidecar.config.check import option
from sidecar.config.deploy import ServiceConfig, ServiceType
from sidecar.config.fields import Label
from sidecar.config.headers import Token
from sidecar.config.kinds.text import PatternKind
from sidecar.config.kinds.url import Url
from sidecar.config.problems import Mistake
from sidecar.config.shape import OneOrMany
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import Deploy, DeployEvent, Receipt
from sidecar.deploys import _words
from sidecar.deploys._service import Answer, Cluster, DeliveryError, Request, Send, as_json, bearer
from sidecar.deploys._url import BaseUrl, base_rules, under

NAME_LIMIT: Final = 64
"""Characters of a deploy's name."""
URL_LIMIT: Final = 200
"""Characters of a URL for which Sentry's tables have room."""
TAKES: Final = frozenset({DeployEvent.STARTED, DeployEvent.SUCCEEDED})

Slug = Annotated[str, PatternKind(r"[A-Za-z0-9_-]+", "a slug; write what stands in the URL of its page")]


@dataclass(frozen=True, kw_only=True, repr=False)
class SentryConfig(ServiceConfig):
    """Which release of which projects."""

    organization: Slug = option("The organization's slug.")
    projects: Annotated[tuple[Slug, ...], OneOrMany()] = option("Slugs of the projects that are deployed.")
    token: Token = option("Token with the scope `org:ci` or `project:releases`.")
    release: Label | None = option("The release's name; the revision if left out.", default=None)
    repository: Label | None = option(
        "Repository of the commits, as Sentry's integration names it; without `commits` it is asked for "
        "those since the last release.",
        default=None,
    )
    commits: Annotated[tuple[Label, ...], OneOrMany()] = option(
        "Commits of the release; with `repository`.", default=()
    )
    base_url: BaseUrl = option(
        "URL of Sentry: of a region, or of an installation of your own.",
        default=Url(scheme="https", host="sentry.io"),
    )

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from base_rules(self.base_url)
        if not self.projects:
            yield Mistake("is empty; write the slug of at least one project", key="projects")
        if self.commits and self.repository is None:
            yield Mistake("needs the key repository beside it: a commit is of one", key="commits")
        if not self.events & TAKES:
            yield Mistake("has nothing that Sentry knows; write started, succeeded or both", key="events")


class Sentry:
    """Keeps the release's name as its receipt, and the deploy's number once there is one."""

    def __init__(self, config: SentryConfig) -> None:
        self._config = config

    async def tell(self, announcement: Announcement, receipt: Receipt, send: Send) -> Receipt:
        """Create the release unless it was, and on success the deploy."""
        release = self._release(announcement)
        if not receipt:
            _field("version", await send(self._new_release(announcement)))
        if announcement.event is DeployEvent.STARTED:
            return {"release": release}
        return {"release": release, "deploy": _field("id", await send(self._new_deploy(announcement)))}

    async def find(self, announcement: Announcement, send: Send) -> Receipt | None:
        """Return the number of the deploy if there is one. A release is not looked for: it is there once."""
        if announcement.event is DeployEvent.STARTED:
            return None
        answer = await send(self._list(announcement))
        wanted = (announcement.deploy.environment, _name(announcement.deploy))
        for each in [] if answer.code == 404 else _listed(answer):
            if (each.get("environment"), each.get("name")) == wanted:
                return {"release": self._release(announcement), "deploy": str(each.get("id", ""))}
        return None

    def _new_release(self, announcement: Announcement) -> Request:
        release = self._release(announcement)
        told = {"version": release, "projects": [*self._config.projects], **self._commits(announcement)}
        body = {**told, **_page(announcement.origin.commit_url)}
        return self._ask("POST", "releases/", body=body, answered={"version": release})

    def _commits(self, announcement: Announcement) -> Mapping[str, Any]:
        repository = self._config.repository
        if repository is None:
            return {}
        if self._config.commits:
            return {"commits": [{"id": each, "repository": repository} for each in self._config.commits]}
        return {"refs": [{"repository": repository, "commit": announcement.deploy.revision}]}

    def _new_deploy(self, announcement: Announcement) -> Request:
        body = {
            "environment": announcement.deploy.environment,
            "name": _name(announcement.deploy),
            "projects": [*self._config.projects],
            "dateStarted": _words.instant(announcement.started_at),
            "dateFinished": _words.instant(announcement.time),
            **_page(announcement.origin.build_url),
        }
        return self._ask("POST", self._deploys(announcement), body=body, answered={"id": "1"})

    def _list(self, announcement: Announcement) -> Request:
        return self._ask("GET", self._deploys(announcement), answered=[], accepts=frozenset({404}))

    def _ask(
        self,
        method: str,
        path: str,
        *,
        answered: object,
        body: Mapping[str, Any] | None = None,
        accepts: frozenset[int] = frozenset(),
    ) -> Request:
        organization = quote(self._config.organization, safe="")
        return Request(
            method=method,
            url=under(self._config.base_url, f"/api/0/organizations/{organization}/{path}"),
            headers={
                "Authorization": bearer(self._config.token),
                **({"Content-Type": "application/json"} if body else {}),
            },
            body=as_json(body) if body else None,
            accepts=accepts,
            answered=Answer(201 if body else 200, as_json(answered)),
        )

    def _deploys(self, announcement: Announcement) -> str:
        return f"releases/{quote(self._release(announcement), safe='')}/deploys/"

    def _release(self, announcement: Announcement) -> str:
        return self._config.release or announcement.deploy.revision


def _name(deploy: Deploy) -> str:
    """Return what tells a deploy from every other of its release in its environment."""
    readable = f"{deploy.service} {deploy.id}"
    return readable if len(readable) <= NAME_LIMIT else deploy.key


def _page(url: str) -> Mapping[str, str]:
    """Return a URL as a field, if it is one that Sentry takes."""
    is_taken = url.startswith(("https://", "http://")) and len(url) <= URL_LIMIT
    return {"url": url} if is_taken else {}


def _field(name: str, answer: Answer) -> str:
    """Return what was created.

    Raises:
        DeliveryError: the answer is not about that.
    """
    said = answer.object()
    if not said.get(name):
        raise DeliveryError(f"answered {answer.code} without {name}: {answer.text}")
    return str(said[name])


def _listed(answer: Answer) -> list[Mapping[str, Any]]:
    return [each for each in answer.array() if isinstance(each, dict)]


def _build(config: SentryConfig, _: Cluster) -> Sentry:
    return Sentry(config)


service_type = ServiceType(config=SentryConfig, build=_build, takes=TAKES)
