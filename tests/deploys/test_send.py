"""The sender: one connection a request, an answer or a sentence, and nobody asked who was not meant."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final
from urllib.parse import quote

import pytest

from sidecar import __version__
from sidecar.config.kinds.secret import Secret
from sidecar.deploys import _send
from sidecar.deploys._send import LONGEST_RETRY_AFTER, send
from sidecar.deploys._service import Answer, DeliveryError, Request
from tests.checks.contract import SECRET, assert_held, assert_no_secret, held
from tests.deploys.announcements import service_with, tell_all
from tests.deploys.contract import STARTED, SUCCEEDED
from tests.deploys.stand_ins import Asked, Misbehaviour, RollbarStandIn
from tests.deploys.stand_ins.base import TOKEN, Said, StandIn
from tests.network import (
    Address,
    Connection,
    Proxy,
    black_hole,
    dripping,
    garbage,
    half_closing,
    refused,
    resetting,
    silent,
    talking,
)
from tests.network.fakes import pass_on
from tests.network.tls import Certificates, server_context

BROKEN_OFF: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
WELL: Final = Answer(200)


class Site(StandIn):
    """Takes anything."""

    def answer(self, asked: Asked) -> Said:
        self.accepted.append(asked)
        return Said(200, b"taken")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site() as site:
        yield site


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return an environment without a proxy."""
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def to(url: str) -> Request:
    return Request(url=url, headers={"X-Token": Secret(TOKEN)}, body=b"{}", answered=WELL)


async def refusal_of(request: Request) -> DeliveryError:
    """Return what the sender makes of a request that fails."""
    with pytest.raises(DeliveryError) as raised:
        await send(request)
    return raised.value


async def test_a_request_is_sent_as_it_was_made(site: Site) -> None:
    answer = await send(
        Request(
            method="PATCH",
            url=f"{site.url}/a%2Fb%20c?d=%26",
            headers={"X-Token": Secret(TOKEN), "Content-Type": "text/plain"},
            body=b"{}",
            answered=WELL,
        )
    )

    [asked] = site.accepted
    assert answer == Answer(200, b"taken")
    assert (asked.method, asked.path, asked.query, asked.body) == ("PATCH", "/a/b c", {"d": "&"}, b"{}")
    assert asked.headers == {
        "host": f"{site.fake.host}:{site.fake.port}",
        "user-agent": f"sidecar/{__version__}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "x-token": TOKEN,
        "content-type": "text/plain",
        "content-length": "2",
        "connection": "close",
    }


@pytest.mark.parametrize(
    ("code", "is_final"),
    [
        (300, True),
        (400, True),
        (401, True),
        (403, True),
        (404, True),
        (408, False),
        (410, True),
        (421, False),
        (422, True),
        (425, False),
        (429, False),
        (500, False),
        (503, False),
        (599, False),
    ],
)
async def test_a_refusal_is_final_if_another_attempt_would_meet_it(
    site: Site, code: int, *, is_final: bool
) -> None:
    site.say(code, "no\nway")

    error = await refusal_of(to(site.url))

    assert (error.sentence, error.is_final) == (f"{site.url} answered {code}: no\nway", is_final)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("86400", LONGEST_RETRY_AFTER),
        ("9" * 400, 0.0),
        ("-1", 0.0),
        ("1.5", 0.0),
        ("٣", 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
        ("", 0.0),
    ],
)
async def test_what_a_service_asks_to_be_left_alone_for_is_bounded(written: str, seconds: float) -> None:
    class Busy(StandIn):
        def answer(self, asked: Asked) -> Said:  # noqa: ARG002 - a stand-in's signature
            return Said(429, headers={"Retry-After": written})

    async with Busy() as busy:
        assert (await refusal_of(to(busy.url))).retry_after == seconds


async def test_what_a_request_accepts_is_no_refusal(site: Site) -> None:
    site.say(404, "gone")
    request = Request(url=site.url, accepts=frozenset({404}), answered=WELL)

    assert await send(request) == Answer(404, b"gone")


async def test_a_redirect_is_never_followed(site: Site) -> None:
    site.misbehave(Misbehaviour.REDIRECT)

    error = await refusal_of(to(f"{site.url}/hook/s3cret"))

    assert (error.is_final, len(site.requests)) == (True, 1)
    assert error.sentence == f"{site.url} answered 307"


@pytest.mark.parametrize("length", [1000, 1001])
async def test_an_answer_has_a_limit(site: Site, environment: pytest.MonkeyPatch, length: int) -> None:
    environment.setattr(_send, "ANSWER_LIMIT", 1000)
    site.say(200, "x" * length)

    if length == 1000:
        assert await send(to(site.url)) == Answer(200, b"x" * 1000)
    else:
        error = await refusal_of(to(site.url))
        assert error.sentence == f"{site.url} answered 200 with more than 1000 bytes"


@pytest.mark.parametrize(
    ("fault", "story"),
    [
        (refused, "{address} refused the connection"),
        (resetting, "http://{address} closed the connection"),
        (garbage, "http://{address} did not answer in HTTP"),
        (half_closing, "http://{address} closed the connection without an answer"),
        (lambda: half_closing(BROKEN_OFF), "http://{address} broke off its answer"),
        (black_hole, "http://{address} did not answer within 0s"),
        (silent, "http://{address} did not answer within 0s"),
        (dripping, "http://{address} did not answer within 0s"),
    ],
)
async def test_what_goes_wrong_is_a_sentence_and_leaves_nothing_open(
    fault: Callable[[], AbstractAsyncContextManager[Address]], story: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(_send, "ANSWERS_WITHIN", 0.3)
    before = held()
    async with fault() as address:
        error = await refusal_of(to(f"http://{address}/hook/s3cret"))

    assert (error.sentence, error.is_final) == (story.format(address=address), False)
    await assert_held(before)


async def test_a_name_that_nobody_has_is_told() -> None:
    error = await refusal_of(to("http://rollbar.invalid/hook/s3cret"))

    assert "rollbar.invalid" in error.sentence
    assert_no_secret(error.sentence)


async def test_a_service_that_breaks_while_it_is_asked_is_asked_again_later(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setattr(_send, "ANSWERS_WITHIN", 0.5)
    async with RollbarStandIn() as rollbar, Proxy(rollbar.fake) as proxy:
        service = service_with({"type": "rollbar", "token": TOKEN, "base_url": f"http://{proxy.address}"})
        for fault in ("resetting", "black hole", "garbage"):
            with proxy.fault(fault), pytest.raises(DeliveryError):
                await tell_all(service, (STARTED,))
        await tell_all(service, (STARTED, SUCCEEDED))

    assert (len(rollbar.accepted), rollbar.accepted[-1]["status"]) == (1, "succeeded")


class TestTls:
    async def test_a_certificate_that_is_trusted_is_fine(
        self, environment: pytest.MonkeyPatch, certificates: Certificates
    ) -> None:
        environment.setenv("SSL_CERT_FILE", str(certificates.ca))
        async with Site(tls=server_context(certificates.good)) as site:
            assert await send(to(site.url)) == Answer(200, b"taken")

    @pytest.mark.parametrize("which", ["unknown_ca", "expired", "wrong_name"])
    async def test_any_other_gets_no_token(
        self, environment: pytest.MonkeyPatch, certificates: Certificates, which: str
    ) -> None:
        environment.setenv("SSL_CERT_FILE", str(certificates.ca))
        async with Site(tls=server_context(getattr(certificates, which))) as site:
            error = await refusal_of(to(f"{site.url}/hook/s3cret"))

            assert (site.requests, error.is_final) == ([], False)
            assert f"{site.fake}" in error.sentence
            assert_no_secret(error.sentence)

    async def test_what_is_no_tls_is_told(self) -> None:
        async with garbage() as address:
            error = await refusal_of(to(f"https://{address}/hook/s3cret"))

        assert f"{address}" in error.sentence
        assert_no_secret(error.sentence)


class TestProxy:
    async def test_a_proxy_is_asked_for_the_whole_url(self, environment: pytest.MonkeyPatch) -> None:
        async with RollbarStandIn() as rollbar:
            environment.setenv("HTTP_PROXY", f"http://user:{quote(SECRET, safe='')}@{rollbar.fake}")
            service = service_with({"type": "rollbar", "token": TOKEN, "base_url": "http://rollbar.test"})
            await tell_all(service, (STARTED, SUCCEEDED))

        assert [deploy["status"] for deploy in rollbar.accepted] == ["succeeded"]
        assert rollbar.requests[-1].headers["host"] == "rollbar.test"
        assert rollbar.requests[-1].headers["proxy-authorization"].startswith("Basic ")

    async def test_a_proxy_is_asked_to_connect_to_https(
        self, environment: pytest.MonkeyPatch, certificates: Certificates
    ) -> None:
        environment.setenv("SSL_CERT_FILE", str(certificates.ca))
        asked: list[bytes] = []
        async with RollbarStandIn(tls=server_context(certificates.wrong_name)) as rollbar:

            async def tunnel(connection: Connection) -> None:
                asked.append(await connection.read_until(b"\r\n\r\n"))
                await connection.send(b"HTTP/1.1 200 Connected\r\n\r\n")
                await pass_on(connection, rollbar.fake)

            async with talking(tunnel) as proxy:
                environment.setenv("HTTPS_PROXY", f"http://{proxy}")
                service = service_with(
                    {"type": "rollbar", "token": TOKEN, "base_url": "https://elsewhere.test"}
                )
                await tell_all(service, (STARTED, SUCCEEDED))

        assert [deploy["status"] for deploy in rollbar.accepted] == ["succeeded"]
        assert asked[0].startswith(b"CONNECT elsewhere.test:443 HTTP/1.1\r\n")
        assert TOKEN.encode() not in b"".join(asked)

    @pytest.mark.parametrize("code", [403, 407, 502])
    async def test_a_proxy_that_will_not_connect_may_do_so_later(
        self, environment: pytest.MonkeyPatch, site: Site, code: int
    ) -> None:
        environment.setenv("HTTPS_PROXY", f"http://user:s3cret@{site.fake}")
        site.say(code, "no")

        error = await refusal_of(to("https://rollbar.test/hook/s3cret"))

        assert error.sentence == f"https://rollbar.test is behind a proxy, which answered {code}"
        assert not error.is_final

    async def test_a_proxy_that_refuses_is_named(self, environment: pytest.MonkeyPatch) -> None:
        async with refused() as proxy:
            environment.setenv("HTTPS_PROXY", f"http://user:s3cret@{proxy}")
            error = await refusal_of(to("https://rollbar.test/hook/s3cret"))

        assert error.sentence == f"{proxy} refused the connection"


async def test_requests_at_the_same_time_do_not_wait_for_each_other(site: Site) -> None:
    async with silent() as hanging:
        stuck = asyncio.create_task(send(to(f"http://{hanging}")))

        answers = await asyncio.wait_for(asyncio.gather(*(send(to(site.url)) for _ in range(20))), 5)

        stuck.cancel()
        await asyncio.wait({stuck})
    assert answers == [Answer(200, b"taken")] * 20
