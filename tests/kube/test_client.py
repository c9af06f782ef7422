"""The cluster's API, asked over real TLS: what goes out, and what becomes of each way to fail."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from sidecar import __version__
from sidecar.kube import client
from sidecar.kube.client import ANSWER_LIMIT, ApiServer
from sidecar.kube.errors import ApiError
from tests.network.fakes import (
    Fake,
    black_hole,
    dripping,
    endless,
    garbage,
    refused,
    resetting,
    silent,
    talking,
)
from tests.network.kube import SILENCE, FakeApi, Request, answer, service_account, serving_api
from tests.network.tls import Certificates, server_context

LEASES = "/apis/coordination.k8s.io/v1/namespaces/ci/leases"
FORBIDDEN = {
    "kind": "Status",
    "message": 'events.events.k8s.io is forbidden: User "system:serviceaccount:ci:default" cannot create it',
}


@pytest.fixture
async def cluster(certificates: Certificates) -> AsyncIterator[FakeApi]:
    async with serving_api(certificates) as api:
        yield api


@pytest.fixture
def account(tmp_path: Path, certificates: Certificates) -> Path:
    return service_account(tmp_path / "account", certificates)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWERS_WITHIN", 0.3)


async def refusal(address: str, account: Path) -> ApiError:
    """Return how asking fails."""
    with pytest.raises(ApiError) as failed:
        await ApiServer(address, account).ask("POST", LEASES, {"kind": "Lease"})
    return failed.value


async def test_a_request_goes_out_as_the_service_account_and_its_answer_comes_back(
    cluster: FakeApi, account: Path
) -> None:
    cluster.answers = [answer(201, {"kind": "Lease", "spec": {"holderIdentity": "builds-0"}})]

    got = await ApiServer(cluster.address, account).ask("POST", LEASES, {"kind": "Lease"})

    assert got == {"kind": "Lease", "spec": {"holderIdentity": "builds-0"}}
    assert cluster.requests == [
        Request(
            f"POST {LEASES} HTTP/1.1",
            {
                "Host": cluster.address,
                "Authorization": "Bearer a-token",
                "User-Agent": f"sidecar/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "Content-Length": "17",
                "Content-Type": "application/json",
                "Connection": "close",
            },
            {"kind": "Lease"},
        )
    ]


async def test_a_request_without_a_body_has_none(cluster: FakeApi, account: Path) -> None:
    cluster.answers = [answer(200, {})]

    assert await ApiServer(cluster.address, account).ask("GET", LEASES) == {}
    assert (cluster.requests[0].line, cluster.requests[0].body) == (f"GET {LEASES} HTTP/1.1", None)


async def test_a_token_that_rotates_is_read_again(cluster: FakeApi, account: Path) -> None:
    api = ApiServer(cluster.address, account)
    cluster.answers = [answer(401, {"message": "Unauthorized"})]
    with pytest.raises(ApiError, match="answered 401: Unauthorized"):
        await api.ask("GET", LEASES)
    (account / "token").write_text("another\n")

    await api.ask("GET", LEASES)

    assert [each.headers["Authorization"] for each in cluster.requests] == [
        "Bearer a-token",
        "Bearer another",
    ]


async def test_those_who_ask_together_take_turns(cluster: FakeApi, account: Path) -> None:
    api = ApiServer(cluster.address, account)
    most = 0

    async def ask() -> None:
        nonlocal most
        await api.ask("GET", LEASES)
        assert cluster.fake is not None
        most = max(most, cluster.fake.open_connections)

    await asyncio.gather(*(ask() for _ in range(5)))

    assert (len(cluster.requests), most <= 1) == (5, True)


async def test_no_proxy_is_asked(cluster: FakeApi, account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with refused() as proxy:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await ApiServer(cluster.address, account).ask("GET", LEASES)

    assert len(cluster.requests) == 1


@pytest.mark.parametrize(
    ("answered", "status", "sentence", "retry_after"),
    [
        (answer(403, FORBIDDEN), 403, f"answered 403: {FORBIDDEN['message']}", 0.0),
        (answer(429, {"message": "slow down"}, Retry_After="7"), 429, "answered 429: slow down", 7.0),
        (answer(429, {}, Retry_After="9" * 30), 429, "answered 429", 3600.0),
        (answer(503, {}, Retry_After="Mon, 01 Jan 2035 00:00:00 GMT"), 503, "answered 503", 0.0),
        (answer(500, [1]), 500, "answered 500", 0.0),
        (answer(500, {"message": "for a-token"}), 500, "answered 500: for ***", 0.0),
        (answer(500, {"message": f"{'x' * 297}a-token"}), 500, f"answered 500: {'x' * 297}***", 0.0),
        (answer(302, {}, Location="/elsewhere"), 302, "answered 302", 0.0),
        (answer(201, []), None, "did not answer as a cluster's API does", 0.0),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html",
            None,
            "did not answer as a cluster's API does",
            0.0,
        ),
        (answer(200, "x" * ANSWER_LIMIT), None, "did not answer as a cluster's API does", 0.0),
        (b"[" * 100_000 + b"\r\n\r\n", None, "did not answer in HTTP", 0.0),
    ],
)
async def test_an_answer_that_is_none_is_told_in_a_sentence(
    cluster: FakeApi, account: Path, answered: bytes, status: int | None, sentence: str, retry_after: float
) -> None:
    cluster.answers = [answered]

    error = await refusal(cluster.address, account)

    assert (error.status, error.sentence, error.retry_after) == (
        status,
        f"https://{cluster.address} {sentence}",
        retry_after,
    )
    assert len(cluster.requests) == 1  # neither a redirect was followed nor the request repeated


@pytest.mark.parametrize(
    ("server", "sentences"),
    [
        (refused, {"cannot be asked: connection refused"}),
        (resetting, {"cannot be asked: connection reset by peer", "did not speak TLS"}),
        (garbage, {"did not speak TLS"}),
    ],
)
async def test_a_server_that_is_none_is_told_in_a_sentence(
    account: Path, server: Callable[[], AbstractAsyncContextManager[Fake]], sentences: set[str]
) -> None:
    async with server() as fake:
        url = f"https://127.0.0.1:{fake.port}"
        error = await refusal(f"127.0.0.1:{fake.port}", account)

    assert (error.status, error.sentence.removeprefix(f"{url} ") in sentences) == (None, True), error


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("server", [black_hole, silent])
async def test_a_server_that_does_not_answer_is_told_in_a_sentence(
    account: Path, server: Callable[[], AbstractAsyncContextManager[Fake]]
) -> None:
    async with server() as fake:
        url = f"https://127.0.0.1:{fake.port}"
        error = await refusal(f"127.0.0.1:{fake.port}", account)

    assert (error.status, error.sentence) == (None, f"{url} did not answer within 0s")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("server", [silent, dripping, endless, garbage, resetting])
async def test_a_server_that_misbehaves_behind_tls_holds_nobody_up(
    account: Path,
    certificates: Certificates,
    server: Callable[..., AbstractAsyncContextManager[Fake]],
) -> None:
    async with server(tls=server_context(certificates.good)) as fake:
        error = await refusal(f"127.0.0.1:{fake.port}", account)
        await fake.emptied()

    assert (error.status, "a-token" in error.sentence) == (None, False)


async def test_one_who_was_kept_waiting_leaves_the_next_a_turn(
    cluster: FakeApi, account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.answers = [SILENCE]
    api = ApiServer(cluster.address, account)
    with monkeypatch.context() as impatient:
        impatient.setattr(client, "ANSWERS_WITHIN", 0.3)
        with pytest.raises(ApiError, match="did not answer within"):
            await api.ask("GET", LEASES)

    assert await api.ask("GET", LEASES) == {"kind": "Event"}


@pytest.mark.parametrize("kind", ["unknown_ca", "wrong_name", "expired"])
async def test_a_server_that_the_service_account_does_not_trust_never_sees_the_token(
    account: Path, certificates: Certificates, kind: str
) -> None:
    api = FakeApi()
    async with talking(api.converse, tls=server_context(getattr(certificates, kind))) as fake:
        error = await refusal(f"127.0.0.1:{fake.port}", account)

    assert (error.sentence, api.requests) == (
        f"https://127.0.0.1:{fake.port} showed a certificate that the service account does not trust",
        [],
    )


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("token", None, "token cannot be read: no such file or directory"),
        ("token", b"", "token holds no token"),
        ("token", b"a\r\nHost: elsewhere", "token holds no token"),
        ("token", b"\xff", "token holds no token"),
        ("ca.crt", None, "ca.crt cannot be read: no such file or directory"),
        ("ca.crt", b"nonsense", "ca.crt holds no certificate"),
    ],
)
async def test_a_service_account_that_is_none_is_told_in_a_sentence(
    cluster: FakeApi, account: Path, file: str, content: bytes | None, sentence: str
) -> None:
    if content is None:
        (account / file).unlink()
    else:
        (account / file).write_bytes(content)

    error = await refusal(cluster.address, account)

    assert (error.sentence, cluster.requests) == (f"{account}/{sentence}", [])


async def test_a_token_that_is_repeated_where_a_sentence_is_cut_is_not_told_in_part(
    cluster: FakeApi, account: Path
) -> None:
    (account / "token").write_text("a-token-of-some-length")
    cluster.answers = [answer(403, {"message": "x" * 290 + "a-token-of-some-length"})]

    error = await refusal(cluster.address, account)

    assert "a-tok" not in error.sentence


async def test_nothing_shows_the_token(
    cluster: FakeApi, account: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api = ApiServer(cluster.address, account)
    await api.ask("GET", LEASES)

    assert "a-token" not in caplog.text + repr(vars(api)) + json.dumps(str(api))
