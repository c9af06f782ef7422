"""Whatever a service answers, or another pod's sidecar: it is understood or refused, soon and discreetly.

Services are told as a pipeline tells them, over real sockets; their answers may repeat all that they heard,
tokens among it.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.arrival import Arrival, Course
from sidecar.core.deploy import DeployEvent, Receipt
from sidecar.deploys._pods import TEXT_LIMIT, Pods, look
from sidecar.deploys._send import send
from tests.deploys.announcements import DEPLOY, SHA, STARTED_AT, announcement
from tests.fuzz.bench import Bench, answer_with, bench, within
from tests.fuzz.profile import tries
from tests.fuzz.services import all_services, sound_end, tell
from tests.fuzz.strategies import bent, http_answer, http_answers, json_bodies, keys_in
from tests.network import Address, Connection, talking

LISTED: Final = {
    "id": 7,
    "environment": DEPLOY.environment,
    "revision": SHA,
    "name": f"{DEPLOY.service} {DEPLOY.id}",
    "status": "started",
    "start_time": STARTED_AT,
}
SOUND: Final[Sequence[Any]] = (
    {"ok": True, "channel": "C1", "ts": "1.5"},
    {"ok": False, "error": "message_not_found"},
    {"err": 0, "data": {"deploy_id": 7}},
    {"err": 0, "result": {"deploys": [LISTED]}},
    {"err": 1, "message": "<ECHO>"},
    {"version": SHA, "id": "8"},
    [LISTED],
)
"""What Slack, Rollbar and Sentry answer."""
KEYS: Final = keys_in(list(SOUND))
ODD: Final = st.one_of(
    http_answers(json_bodies(st.one_of([bent(each, KEYS) for each in SOUND]))),
    st.sampled_from([http_answer(200, [], b"[" * depth + b"]" * depth) for depth in (500, 950, 8000)]),
    st.just(http_answer(400, [], b"<ECHO>" + b"x" * 20_000)),
)
ANSWERS: Final = st.one_of(
    ODD, st.sampled_from([http_answer(200, [], json.dumps(each).encode()) for each in SOUND])
)


@pytest.fixture(scope="module")
def stage() -> Iterator[Bench]:
    with bench() as made:
        yield made


async def tell_both(address: Address, end: DeployEvent) -> None:
    """Tell all services of a start and of an end, each time as a pipeline does."""
    services = all_services(f"http://{address}")
    receipts: dict[str, Receipt] = {}
    for event in (DeployEvent.STARTED, end):
        for each in await tell(services, announcement(event), receipts, send):
            sound_end(each)
            receipts[each.service.label] = each.receipt


@tries(25)
@given(replies=st.lists(ANSWERS, min_size=1, max_size=4), end=st.sampled_from(DeployEvent))
def test_whatever_services_answer(stage: Bench, replies: list[bytes], end: DeployEvent) -> None:
    """One answer after the other, whichever service it is that asks."""
    count = 0

    async def script(connection: Connection) -> None:
        nonlocal count
        heard = await connection.read()
        await answer_with(connection, replies[count % len(replies)], heard)
        count += 1

    async def told() -> None:
        async with talking(script) as address:
            await tell_both(address, end)

    with within():
        stage.run(told())


PROBE: Final = {
    "status": "fail",
    "checks": {"db": [{"status": "fail", "output": "refused"}], "app": [{"status": "pass"}]},
    "releaseId": SHA,
    "deploy": "failed",
}
POD_HEADERS: Final = st.sampled_from(
    [b"Server: sidecar\r\n"] * 4
    + [b"Server: x\r\n", b"X-Revision: \xff\x80\r\n", b"X-Revision: " + b"y" * 9000 + b"\r\n"]
)
POD_ANSWERS: Final = st.builds(
    http_answer,
    st.sampled_from([200, 503, 503, 503, 404]),
    st.lists(POD_HEADERS, min_size=1, max_size=2),
    json_bodies(bent(PROBE, keys_in(PROBE))),
)


@tries(60)
@given(reply=st.one_of(POD_ANSWERS, POD_ANSWERS, http_answers(json_bodies(st.just(PROBE)))))
def test_whatever_the_sidecar_of_a_pod_answers(stage: Bench, reply: bytes) -> None:
    async def script(connection: Connection) -> None:
        heard = await connection.read()
        await answer_with(connection, reply, heard)

    async def looked() -> Arrival:
        async with talking(script) as fake:
            return await look(Pods(host=fake.host, port=fake.port, revision=SHA))

    with within():
        arrival = stage.run(looked())

    lines = (arrival.progress, *arrival.failures)
    assert arrival.course in Course
    assert all(line.isprintable() and len(line) < 10 * TEXT_LIMIT for line in lines)
