"""Rollbar's deploys: https://docs.rollbar.com/reference/post-deploy."""

import time
from typing import Any, ClassVar, Final

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

STATUSES: Final = frozenset({"started", "succeeded", "failed", "timed_out"})
FIELDS: Final = {"environment", "revision", "status", "local_username", "rollbar_username", "comment"}
READ_TOKEN: Final = "s3cret-for-reading"


class RollbarStandIn(StandIn):
    """`accepted` are the deploys as they are listed, each updated in its place."""

    polite: ClassVar[bytes] = b'{"err": 1, "message": "invalid"}'

    def answer(self, asked: Asked) -> Said:
        match asked.method, asked.path.removesuffix("/").split("/")[1:]:
            case "POST", ["api", "1", "deploy"]:
                _authorize(asked, TOKEN)
                return self._create(asked.object())
            case "PATCH", ["api", "1", "deploy", number]:
                _authorize(asked, TOKEN)
                return self._update(number, asked.object())
            case "GET", ["api", "1", "deploys"]:
                _authorize(asked, READ_TOKEN)
                return self._list(asked.query.get("environment"))
        raise Refused(404, "no such endpoint")

    def refuse(self, refused: Refused) -> Said:
        return in_json({"err": 1, "message": refused.why}, refused.code)

    def _create(self, told: dict[str, Any]) -> Said:
        only(told, FIELDS)
        text_within(told, "environment", 255, is_required=True)
        text_within(told, "revision", 40, is_required=True)
        text_within(told, "comment", 64_000)
        for name in ("local_username", "rollbar_username"):
            text_within(told, name, 255)
        status = told.setdefault("status", "succeeded")
        expect(status in STATUSES, 422, "status is unknown")
        deploy_id = 1000 + len(self.accepted)
        self.accepted.append({"id": deploy_id, "start_time": int(time.time()), **told})
        return in_json({"err": 0, "data": {"deploy_id": deploy_id}})

    def _update(self, number: str, told: dict[str, Any]) -> Said:
        only(told, {"status"})
        expect(told.get("status") in STATUSES, 422, "status is unknown")
        found = next((each for each in self.accepted if str(each["id"]) == number), None)
        if found is None:
            raise Refused(404, "no such deploy")
        found |= told
        return in_json({"err": 0, "result": found})

    def _list(self, environment: str | None) -> Said:
        newest_first = [
            each for each in reversed(self.accepted) if environment in (None, each["environment"])
        ]
        return in_json({"err": 0, "result": {"page": 1, "deploys": newest_first}})


def _authorize(asked: Asked, token: str) -> None:
    expect(asked.headers.get("x-rollbar-access-token") == token, 401, "invalid access token")
