"""Whatever the cluster's API answers, and whatever the kubelet gives us, is understood or an error of ours.

The API is real bytes over TLS, and now and then repeats all that it heard: our token among it.
"""

import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.deploy import Record
from sidecar.deploys.claims.claim import Claim, ClaimError
from sidecar.deploys.claims.kubernetes import RECORD, KubernetesClaim
from sidecar.deploys.claims.written import write_record
from sidecar.kube.account import Credentials, read_credentials
from sidecar.kube.client import LONGEST_RETRY_AFTER, ApiServer
from sidecar.kube.errors import ApiError
from sidecar.kube.here import FIELDS, HOST, PORT, Pod, is_inside, locate, missing
from sidecar.kube.owner import REVISION
from tests.checks.contract import SECRET
from tests.deploys.records import DEPLOY, FULL
from tests.fuzz.bench import Bench, answer_with, bench, told_of, within
from tests.fuzz.profile import tries
from tests.fuzz.strategies import ODD_TEXTS, bent, http_answers, json_bodies, keys_in
from tests.network import Connection, talking
from tests.network.kube import answer, service_account
from tests.network.tls import Certificates, server_context
from tests.runtime.fakes import EPOCH

POD: Final = Pod(name="builds-0", namespace="ci", uid="0c0ffee0-1")
CONTROLLER: Final = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "name": "b",
    "uid": "5e7",
    "controller": True,
}
SOUND: Final = [
    {"metadata": {"name": "builds-0", "ownerReferences": [CONTROLLER]}},
    {"metadata": {"annotations": {REVISION: "7"}}},
    {"metadata": {"annotations": {RECORD: write_record(FULL)}, "resourceVersion": "5"}},
    {"kind": "Lease"},
]
"""What a cluster answers: our pod, its ReplicaSet, the Lease, and what was stored of one."""
KEYS: Final = [*keys_in(SOUND), "message", "status"]


@pytest.fixture(scope="module")
def stage() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Path]:
    folder = service_account(tmp_path_factory.mktemp("account"), certificates)
    (folder / "token").write_text(SECRET)
    kept = read_credentials(folder)  # whoever asks while it is kept shares its TLS context
    yield folder
    assert isinstance(kept, Credentials)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kube")


def answers_to(place: int) -> st.SearchStrategy[list[bytes]]:
    """Return answers that are sound but for one of them."""
    odd = http_answers(json_bodies(bent(SOUND[place], KEYS)))
    return odd.map(
        lambda reply: [reply if at == place else answer(200, each) for at, each in enumerate(SOUND)]
    )


@pytest.fixture(scope="module")
def tls(certificates: Certificates) -> ssl.SSLContext:
    return server_context(certificates.good)


@asynccontextmanager
async def a_claim(replies: Sequence[bytes], account: Path, tls: ssl.SSLContext) -> AsyncIterator[Claim]:
    """Yield a claim in a cluster that gives these answers, one a connection."""
    left = iter(replies)

    async def script(connection: Connection) -> None:
        heard = await connection.read_until(b"\r\n\r\n")
        await answer_with(connection, next(left), heard)

    async with talking(script, tls=tls) as fake:
        api = ApiServer(str(fake), account)
        yield KubernetesClaim(DEPLOY, api, POD, has_id=False, wall=lambda: EPOCH)


@tries(25)
@given(replies=st.sampled_from(range(len(SOUND))).flatmap(answers_to))
def test_any_answer_of_the_clusters_api_is_a_claims_or_an_error(
    stage: Bench, account: Path, tls: ssl.SSLContext, replies: list[bytes]
) -> None:
    async def claimed() -> None:
        async with a_claim(replies, account, tls) as claim:
            await claim.identify()
            held = await claim.read()
            if held is not None:
                assert isinstance(held.record, Record)
                await claim.replace(held.record, held)

    told, retry_after = "", 0.0
    with within():
        try:
            stage.run(claimed())
        except ClaimError as error:
            told = error.sentence
            retry_after = error.__cause__.retry_after if isinstance(error.__cause__, ApiError) else 0.0

    assert told.isprintable()
    assert not told_of(SECRET, told)
    assert 0 <= retry_after <= LONGEST_RETRY_AFTER


CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"


@tries(100)
@given(
    token=st.one_of(st.binary(max_size=50), st.just(SECRET.encode() + b"\xff"), st.just(SECRET.encode())),
    authority=st.one_of(st.binary(max_size=50), st.just(CERTIFICATE), st.just(SECRET.encode())),
)
def test_any_files_of_a_service_account_are_credentials_or_an_error_of_the_api(
    folder: Path, token: bytes, authority: bytes
) -> None:
    (folder / "token").write_bytes(token)
    (folder / "ca.crt").write_bytes(authority)

    with within():
        try:
            told = repr(read_credentials(folder))
        except ApiError as error:
            told = error.sentence

    assert not told_of(SECRET, told)


ADDRESSES: Final = st.sampled_from(
    ["10.0.0.1", "[::1]", "::1", "api.test", "[", "]]", "h\n", "-", "a:b", "é"]
)
PORTS: Final = st.sampled_from(["443", "0", "99999", "-1", "4 4", "٣", "9" * 5000, "443\n"])
VALUES: Final = st.one_of(
    st.text(max_size=20), ODD_TEXTS, ADDRESSES, PORTS, st.just("a." * 5000), st.just("a-" * 5000)
)
ENVIRONMENTS: Final = st.fixed_dictionaries(
    {HOST: ADDRESSES | VALUES, PORT: PORTS | VALUES, **dict.fromkeys(FIELDS, st.just("builds-0") | VALUES)}
)


@tries(200)
@given(environ=ENVIRONMENTS)
def test_any_environment_says_where_we_are_or_what_is_missing(environ: dict[str, str]) -> None:
    with within():
        complaints = [*missing(environ)]
        here = locate(environ) if is_inside(environ) and not complaints else None

    assert all(each.isprintable() for each in complaints)
    assert here is None or here.address.isprintable()
