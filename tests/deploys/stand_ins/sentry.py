"""Sentry's releases and deploys: https://docs.sentry.io/api/releases/ and getsentry/sentry's serializers."""

import re
from datetime import datetime
from typing import Any, Final

from tests.deploys.stand_ins.base import (
    TOKEN,
    Asked,
    Refused,
    Said,
    StandIn,
    expect,
    in_json,
    only,
    text_within,
)

ORGANIZATION: Final = "example"
PROJECTS: Final = frozenset({"shop-backend", "shop-worker"})
REPOSITORY: Final = "example/shop"
RELEASE: Final = {"version", "projects", "ref", "url", "dateReleased", "commits", "refs"}
DEPLOY: Final = {"environment", "name", "url", "projects", "dateStarted", "dateFinished"}
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class SentryStandIn(StandIn):
    """`accepted` are the deploys that were created; `releases` the releases by version, as first created."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.releases: dict[str, dict[str, Any]] = {}

    def answer(self, asked: Asked) -> Said:
        expect(asked.headers.get("authorization") == f"Bearer {TOKEN}", 401, "Invalid token")
        expect(asked.path.endswith("/"), 404, "no slash at the end")
        match asked.method, asked.path.strip("/").split("/"):
            case "POST", ["api", "0", "organizations", str(name), "releases"] if name == ORGANIZATION:
                return self._create_release(asked.object())
            case method, ["api", "0", "organizations", str(name), "releases", *version, "deploys"] if (
                name == ORGANIZATION
            ):
                release = "/".join(version)
                expect(release in self.releases, 404, "The requested resource does not exist")
                return self._list(release) if method == "GET" else self._create_deploy(release, asked)
        raise Refused(404, "The requested resource does not exist")

    def refuse(self, refused: Refused) -> Said:
        return in_json({"detail": refused.why}, refused.code)

    def _create_release(self, told: dict[str, Any]) -> Said:
        only(told, RELEASE)
        text_within(told, "version", 200, is_required=True)
        expect(not re.search(r"[\r\n\f\t/\\]", told["version"]), 400, "version is invalid")
        _check_projects(told.get("projects"))
        _check_url(told)
        for each in told.get("refs", []):
            only(each, {"repository", "commit", "previousCommit"})
            text_within(each, "commit", 64, is_required=True)
            expect(each.get("repository") == REPOSITORY, 400, f"Invalid repository names: {each}")
        for each in told.get("commits", []):
            only(each, {"id", "repository", "message", "author_name", "author_email", "timestamp"})
            text_within(each, "id", 64, is_required=True)
            text_within(each, "repository", 255)
        is_new = told["version"] not in self.releases
        release = self.releases.setdefault(told["version"], told)
        return in_json({"id": 1, "version": release["version"]}, 201 if is_new else 208)

    def _create_deploy(self, release: str, asked: Asked) -> Said:
        expect(asked.method == "POST", 405, "Method not allowed")
        told = asked.object()
        only(told, DEPLOY)
        text_within(told, "environment", 64, is_required=True)
        expect(not re.search(r"[\r\n\f\t/]", told["environment"]), 400, "Invalid value for environment")
        text_within(told, "name", 64)
        _check_projects(told.get("projects", ["shop-backend"]))
        _check_url(told)
        for name in ("dateStarted", "dateFinished"):
            _check_instant(told.get(name))
        made = {"id": str(len(self.accepted) + 1), "release": release, **told}
        self.accepted.append(made)
        return in_json({name: made[name] for name in made if name != "release"}, 201)

    def _list(self, release: str) -> Said:
        return in_json([each for each in reversed(self.accepted) if each["release"] == release])


def _check_projects(projects: object) -> None:
    expect(isinstance(projects, list) and bool(projects), 400, "projects are missing")
    assert isinstance(projects, list)
    expect(PROJECTS.issuperset(projects), 400, "Invalid project ids or slugs")


def _check_url(told: dict[str, Any]) -> None:
    text_within(told, "url", 200)
    expect(str(told.get("url", "https://")).startswith(("http://", "https://")), 400, "Enter a valid URL.")


def _check_instant(written: object) -> None:
    if written is not None:
        expect(isinstance(written, str) and INSTANT.fullmatch(written) is not None, 400, "no date")
        datetime.fromisoformat(str(written))
