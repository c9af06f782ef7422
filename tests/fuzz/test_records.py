"""Whatever stands in a store or in a file of receipts, it is read and can be announced, or is refused."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url
from sidecar.config.redis import RedisEndpoint
from sidecar.core.announcement import Origin, announcement_of
from sidecar.core.deploy import DeployEvent
from sidecar.deploys._once import Rehearsal
from sidecar.deploys._receipts import Receipts, ReceiptsError, read_receipts, write_receipts
from sidecar.deploys.claims.claim import ClaimError
from sidecar.deploys.claims.redis import RedisClaim
from sidecar.deploys.claims.written import read_record, write_record
from sidecar.support.text import Redactor
from tests.checks.contract import SECRET
from tests.deploys.announcements import announcement
from tests.deploys.records import DEPLOY, FULL
from tests.fuzz.bench import Bench, answer_with, bench, told_of, within
from tests.fuzz.profile import tries
from tests.fuzz.services import NAMES, all_services, sound_end, tell
from tests.fuzz.strategies import bent, json_bodies, keys_in
from tests.network import Connection, talking

RECEIPT: Final = {"channel": "C1", "ts": "1.5", "deploy_id": "7", "release": "abc", "deploy": "8"}
"""One that has whatever any service keeps."""
RECEIPTS: Final = dict.fromkeys(NAMES, RECEIPT)
RECORD: Final = {**json.loads(write_record(FULL)), "receipts": RECEIPTS}
FILE: Final = {
    "format": 1,
    "deploy": DEPLOY.key,
    "started_at": 1_800_000_000.25,
    "has_failed": True,
    "receipts": RECEIPTS,
}
RECORDS: Final = json_bodies(bent(RECORD, keys_in(RECORD)))


@pytest.fixture(scope="module")
def stage() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("receipts") / "receipts"


@tries(100)
@given(content=RECORDS)
def test_any_record_of_a_store_is_read_and_announced_or_refused(stage: Bench, content: bytes) -> None:
    with within(), suppress(ClaimError):
        record = read_record(content.decode(errors="replace"))
        assert read_record(write_record(record)) == record
        for event in {fact.event for fact in record.facts}:
            told = announcement_of(record, event, Origin())
            for each in stage.run(tell(all_services(), told, record.receipts, Rehearsal().send)):
                sound_end(each)


@tries(100)
@given(content=json_bodies(bent(FILE, keys_in(FILE))), event=st.sampled_from(DeployEvent))
def test_any_file_of_receipts_is_read_and_announced_or_refused(
    stage: Bench, path: Path, content: bytes, event: DeployEvent
) -> None:
    path.write_bytes(content)

    with within():
        receipts, complaint = read_or_refused(path)
        if receipts is not None:
            write_receipts(path, receipts)
            assert read_receipts(path) == receipts
            told = announcement(event, started_at=receipts.started_at)
            for each in stage.run(tell(all_services(), told, receipts.by_service, Rehearsal().send)):
                sound_end(each)

    assert not told_of(SECRET, complaint)


def read_or_refused(path: Path) -> tuple[Receipts | None, str]:
    """Return what a file holds, and why it is refused if it is."""
    try:
        return read_receipts(path), ""
    except ReceiptsError as error:
        return None, str(error)


def bulk(content: bytes) -> bytes:
    """Return a reply of Redis."""
    return b"$%d\r\n%s\r\n" % (len(content), content)


REPLIES: Final = st.one_of(
    RECORDS.map(bulk),
    RECORDS.map(bulk),
    st.sampled_from(
        [b"$-1\r\n", b":1\r\n", b"*1\r\n$1\r\nx\r\n", b"-NOPERM <ECHO>\r\n", b"-ERR <ECHO>\r\n", b"+\xff\r\n"]
    ),
)


@tries(30)
@given(asked=st.sampled_from([b"AUTH", b"GET", b"GET", b"GET", b"EVAL"]), reply=REPLIES)
def test_any_reply_of_a_redis_is_a_claims_or_an_error(stage: Bench, asked: bytes, reply: bytes) -> None:
    async def script(connection: Connection) -> None:
        while heard := await connection.read():
            await answer_with(connection, reply if asked in heard else b"+OK\r\n", heard)

    async def claimed() -> None:
        async with talking(script) as fake:
            url = Url(
                scheme="redis", host=fake.host, port=fake.port, username="user", password=Secret(SECRET)
            )
            claim = RedisClaim(DEPLOY, RedisEndpoint(url=url))
            held = await claim.read()
            if held is not None:
                assert await claim.replace(held.record, held) in (True, False)

    told = ""
    with within():
        try:
            stage.run(claimed())
        except ClaimError as error:
            told = Redactor([SECRET])(error.sentence)  # as the log does

    assert not told_of(SECRET, told)
