"""The text of a record: what is none of ours is refused, whoever has written it into the store."""

import json
from typing import Any

import pytest

from sidecar.deploys.claims.claim import ClaimError
from sidecar.deploys.claims.written import read_record, write_record
from tests.deploys.records import FULL


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(write_record(FULL)), **changes})


def fact(time: float) -> dict[str, Any]:
    return {"event": "started", "time": time, "pod": "builds-0", "failures": [], "unnamed": 0}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        changed(format=2),
        changed(facts=[fact(float("nan"))]),
        changed(facts=[fact(1e15)]),
        changed(facts=[fact(-1.0)]),
        changed(courier_until=10**400),
        changed(deploy={"service": "a", "environment": "b", "revision": "c\ud800", "id": "d"}),
    ],
)
def test_what_is_no_record_of_ours_is_refused(text: str) -> None:
    with pytest.raises(ClaimError, match="holds something that is no record of ours"):
        read_record(text)


def test_a_record_is_read_as_it_was_written() -> None:
    assert read_record(write_record(FULL)) == FULL
