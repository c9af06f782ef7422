"""The check type `http`."""

import asyncio
import contextlib
import gc
import gzip
import os
import re
import socket
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import quote

import pytest

from sidecar import __version__
from sidecar.checks._answer import ExpectConfig, StatusKind
from sidecar.config.problems import ConfigError
from sidecar.config.shape import describe_section, keys_of
from sidecar.core.check import Reason
from sidecar.core.result import Outcome
from sidecar.runtime.runner import CANCEL_GRACE
from sidecar.support.thread import in_thread
from tests.checks.contract import (
    REASONS,
    SECRET,
    SLACK,
    SUCCESS,
    CheckContract,
    Keys,
    assert_held,
    build,
    ending,
    held,
    load_one,
    mounted,
    names_from,
    run_once,
)
from tests.network import Address, Connection, Fake, FakeDns, refused, silent, talking
from tests.network.fakes import pass_on
from tests.network.tls import UNTRUSTED, Certificates, server_context


def response(status: str = "200 OK", body: bytes = b"", **headers: str) -> bytes:
    """Return the bytes of a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Site:
    """A web server that gives one answer to everything, and remembers the questions."""

    def __init__(self, answer: bytes = response()) -> None:
        self.answer = answer
        self.requests: list[str] = []

    def serve(self, tls: ssl.SSLContext | None = None) -> AbstractAsyncContextManager[Fake]:
        return talking(self._converse, tls=tls)

    @property
    def request_line(self) -> str:
        return self.requests[-1].partition("\r\n")[0]

    @property
    def headers(self) -> dict[str, str]:
        lines = self.requests[-1].split("\r\n")[1:]
        return dict(line.split(": ", 1) for line in lines if line)

    async def _converse(self, connection: Connection) -> None:
        while True:
            self.requests.append((await connection.read_until(b"\r\n\r\n")).decode())
            await connection.send(self.answer)


async def ask(site: Site, **keys: object) -> tuple[Outcome, Reason | None, str]:
    """Return how a run against the site ends, with the address in its message cut out."""
    async with site.serve() as address:
        result = await run_once({"type": "http", "url": f"http://{address}/", **keys})
    return result.outcome, result.reason, result.message.replace(f"http://{address}/", "SITE")


def failed(reason: Reason, message: str) -> tuple[Outcome, Reason, str]:
    return Outcome.FAILURE, reason, message


class TestHttp(CheckContract):
    reasons: ClassVar[Mapping[str, Reason | None]] = MappingProxyType({**REASONS, "endless": None})

    def keys(self, address: Address) -> Keys:
        secret = quote(SECRET, safe="")
        return {
            "type": "http",
            "url": f"http://{secret}:{secret}@{address}/health?token={secret}",
            "headers": {"X-Token": f"Token {SECRET}"},
        }

    @pytest.fixture
    async def up(self) -> AsyncIterator[Address]:
        async with Site().serve() as address:
            yield address


class TestHttps(CheckContract):
    reasons: ClassVar[Mapping[str, Reason | None]] = MappingProxyType(
        {**REASONS, "garbage": Reason.TLS, "endless": Reason.TLS}
    )

    def keys(self, address: Address) -> Keys:
        return {
            "type": "http",
            "url": f"https://{address}/",
            "username": "probe",
            "password": SECRET,
            "tls": {"ca": str(self.ca)},
            "expect": {"body": "green"},
        }

    @pytest.fixture(autouse=True)
    def trusted(self, certificates: Certificates) -> None:
        self.ca = certificates.ca

    @pytest.fixture
    async def up(self, certificates: Certificates) -> AsyncIterator[Address]:
        async with Site(response(body=b"green")).serve(server_context(certificates.good)) as address:
            yield address


class TestStatus:
    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (300, Reason.CONTRACT),
            (304, Reason.CONTRACT),
            (400, Reason.CONTRACT),
            (401, Reason.AUTH),
            (403, Reason.FORBIDDEN),
            (404, Reason.NOT_FOUND),
            (405, Reason.CONTRACT),
            (407, Reason.AUTH),
            (408, Reason.UNAVAILABLE),
            (410, Reason.NOT_FOUND),
            (418, Reason.CONTRACT),
            (425, Reason.UNAVAILABLE),
            (429, Reason.UNAVAILABLE),
            (500, Reason.UNAVAILABLE),
            (503, Reason.UNAVAILABLE),
            (599, Reason.UNAVAILABLE),
        ],
    )
    async def test_an_unexpected_status_has_a_reason(self, status: int, reason: Reason) -> None:
        assert await ask(Site(response(f"{status} X"))) == failed(
            reason, f"SITE answered {status} instead of 200-299"
        )

    @pytest.mark.parametrize("status", [200, 204, 299])
    async def test_every_2xx_is_expected(self, status: int) -> None:
        assert await ask(Site(response(f"{status} X"))) == SUCCESS

    @pytest.mark.parametrize(
        ("expected", "status", "outcome"),
        [
            (503, 503, SUCCESS),
            ([200, 404], 404, SUCCESS),
            ("200-204", 204, SUCCESS),
            ([200, "400-499"], 401, SUCCESS),
            (302, 302, SUCCESS),
            ("204-204", 204, SUCCESS),
            (204, 200, failed(Reason.CONTRACT, "SITE answered 200 instead of 204")),
            ([204, "300-302"], 303, failed(Reason.CONTRACT, "SITE answered 303 instead of 204, 300-302")),
            ("200-204", 205, failed(Reason.CONTRACT, "SITE answered 205 instead of 200-204")),
        ],
    )
    async def test_expect_names_the_statuses(self, expected: object, status: int, outcome: object) -> None:
        assert await ask(Site(response(f"{status} X")), expect={"status": expected}) == outcome

    @pytest.mark.parametrize(
        ("location", "place"),
        [
            ("/login", "/login"),
            ("https://sso.test/in?ticket=s3cret#s3cret", "https://sso.test/in"),
            ("https://user:s3cret@sso.test/in", "https://***@sso.test/in"),
        ],
    )
    async def test_a_redirect_is_not_followed_and_names_its_place(self, location: str, place: str) -> None:
        site = Site(response("302 Found", Location=location))

        assert await ask(site) == failed(Reason.CONTRACT, f"SITE redirects to {place} with status 302")
        assert len(site.requests) == 1

    @pytest.mark.parametrize(
        ("status", "is_redirect"), [(299, False), (300, True), (399, True), (400, False)]
    )
    async def test_a_redirect_is_any_3xx_with_a_location(self, status: int, is_redirect: bool) -> None:
        site = Site(response(f"{status} X", Location="/login"))
        _, reason, message = await ask(site, expect={"status": 204})

        assert (reason, message.startswith("SITE redirects to /login")) == (Reason.CONTRACT, is_redirect)


class TestExpect:
    @pytest.mark.parametrize(
        ("expect", "outcome"),
        [
            ({"body": "green"}, SUCCESS),
            ({"matches": r'"status": "(green|yellow)"'}, SUCCESS),
            ({"body": "status", "matches": "^{"}, SUCCESS),
            ({"body": "red"}, failed(Reason.CONTRACT, "SITE answered without 'red' in its body")),
            (
                {"matches": "^green"},
                failed(Reason.CONTRACT, "SITE answered with a body that '^green' does not match"),
            ),
        ],
    )
    async def test_a_body_contains_or_matches(self, expect: object, outcome: object) -> None:
        assert await ask(Site(response(body=b'{"status": "green"}')), expect=expect) == outcome

    async def test_a_body_is_read_in_the_charset_that_it_names(self) -> None:
        site = Site(response(body="grün".encode("latin-1"), Content_Type="text/plain; charset=latin-1"))

        assert await ask(site, expect={"body": "grün"}) == SUCCESS

    @pytest.mark.parametrize("charset", ["utf-8", "no-such-charset", "idna", "punycode", "undefined", "hex"])
    async def test_a_body_that_is_not_text_is_no_crash(self, charset: str) -> None:
        site = Site(response(body=b"\xff\xfe ok", Content_Type=f"text/plain; charset={charset}"))

        assert await ask(site, expect={"body": "ok"}) == SUCCESS

    async def test_no_charset_makes_a_body_take_long(self) -> None:
        site = Site(response(body=b"-" + b"9" * 64_000, Content_Type="text/plain; charset=punycode"))
        began = time.process_time()

        await ask(site, expect={"body": "ok"})

        assert time.process_time() - began < 0.3

    @pytest.mark.parametrize(("offset", "is_seen"), [(64 * 1024 - 5, True), (64 * 1024 - 4, False)])
    async def test_a_body_is_read_to_64_kib(self, offset: int, is_seen: bool) -> None:
        body = b"x" * offset + b"green" + b"x" * 100_000
        outcome, _, _ = await ask(Site(response(body=body)), expect={"body": "green"})

        assert (outcome is Outcome.SUCCESS) == is_seen

    async def test_an_endless_body_without_the_text_fails_without_waiting_for_its_end(self) -> None:
        async def endless(connection: Connection) -> None:
            await connection.read_until(b"\r\n\r\n")
            await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                await connection.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")

        async with talking(endless) as address:
            result = await run_once(
                {"type": "http", "url": f"http://{address}/", "expect": {"body": "green"}}
            )
            sent = address.bytes_sent

        assert (result.reason, result.duration < 1) == (Reason.CONTRACT, True)
        assert sent < 20_000_000

    async def test_a_body_nobody_asks_for_is_not_waited_for(self) -> None:
        async def head_only(connection: Connection) -> None:
            await connection.read_until(b"\r\n\r\n")
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            await connection.until_closed()

        async with talking(head_only) as address:
            assert ending(await run_once({"type": "http", "url": f"http://{address}/"})) == SUCCESS

    async def test_a_compressed_bomb_stays_compressed(self) -> None:
        bomb = gzip.compress(b"green" * 10_000_000)
        outcome = await ask(Site(response(body=bomb, Content_Encoding="gzip")), expect={"body": "green"})

        assert outcome == failed(Reason.CONTRACT, "SITE answered without 'green' in its body")

    @pytest.mark.parametrize(
        ("header", "outcome"),
        [
            ({"content-type": "json"}, SUCCESS),
            ({"X-Zone": "b"}, SUCCESS),
            (
                {"content-type": "html"},
                failed(Reason.CONTRACT, "SITE answered without 'html' in the header content-type"),
            ),
            ({"x-absent": "a"}, failed(Reason.CONTRACT, "SITE answered without 'a' in the header x-absent")),
        ],
    )
    async def test_a_header_contains_a_text(self, header: object, outcome: object) -> None:
        site = Site(response(Content_Type="application/json", X_Zone="a\r\nX-Zone: b"))

        assert await ask(site, expect={"header": header}) == outcome


class TestRequest:
    async def test_says_who_asks_and_wants_nothing_kept(self) -> None:
        site = Site()
        async with site.serve() as address:
            await run_once({"type": "http", "url": f"http://{address}/a%20b/c?d=e%26f&g"})

        assert site.request_line == "GET /a%20b/c?d=e%26f&g HTTP/1.1"
        assert site.headers == {
            "Host": str(address),
            "User-Agent": f"sidecar/{__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }

    async def test_sends_method_headers_and_virtual_host(self) -> None:
        site = Site()
        headers = {"x-zone": "a", "accept": "text/plain", "X-UTF8": "grün"}
        await ask(site, method="HEAD", host="shop.test:8080", headers=headers)

        assert site.request_line == "HEAD / HTTP/1.1"
        assert {
            "Host": "shop.test:8080",
            "X-Zone": "a",
            "Accept": "text/plain",
            "X-Utf8": "grün",
        }.items() <= (site.headers.items())

    async def test_asks_once_each_run_on_a_new_connection(self) -> None:
        site = Site()
        async with site.serve() as address, mounted({"type": "http", "url": f"http://{address}/"}) as runner:
            opened = [(await runner.run()).connections_opened for _ in range(3)]

        assert (opened, len(site.requests), address.connections) == ([1, 1, 1], 3, 3)

    async def test_does_not_ask_again_where_the_connection_is_lost(self) -> None:
        requests = []

        async def hang_up(connection: Connection) -> None:
            requests.append(await connection.read_until(b"\r\n\r\n"))

        async with talking(hang_up) as address:
            result = await run_once({"type": "http", "url": f"http://{address}/"})

        assert (result.reason, len(requests)) == (Reason.UNAVAILABLE, 1)
        assert result.message == f"http://{address}/ closed the connection without an answer"

    async def test_costs_next_to_nothing_between_runs(self) -> None:
        async with Site().serve() as address:
            (config,) = load_one({"type": "http", "url": f"http://{address}/"}).checks
            await build(config).run()
            gc.collect()
            tracemalloc.start()
            checks = [build(config) for _ in range(20)]
            for check in checks:
                await check.run()
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()

        assert size / len(checks) < 4 * 1024

    async def test_keeps_no_cookie(self) -> None:
        site = Site(response(Set_Cookie="session=1"))
        async with site.serve() as address, mounted({"type": "http", "url": f"http://{address}/"}) as runner:
            await runner.run()
            await runner.run()

        assert "Cookie" not in site.headers

    @pytest.mark.parametrize(
        "keys",
        [
            {"username": "user:no", "password": "p@ss/wörd %41"},
            {"url": "http://user%3Ano:p%40ss%2Fw%C3%B6rd%20%2541@{address}/"},
            {"username": "user:no", "url": "http://:p%40ss%2Fw%C3%B6rd%20%2541@{address}/"},
        ],
    )
    async def test_user_and_password_are_sent_as_they_are_meant(self, keys: dict[str, str]) -> None:
        site = Site()
        async with site.serve() as address:
            url = keys.get("url", "http://{address}/").format(address=address)
            await run_once({"type": "http", **keys, "url": url})

        assert site.headers["Authorization"] == "Basic dXNlcjpubzpwQHNzL3fDtnJkICU0MQ=="

    async def test_reads_the_token_before_every_request(self, tmp_path: Path) -> None:
        site, token = Site(), tmp_path / "token"
        sent = []
        async with site.serve() as address:
            keys = {"type": "http", "url": f"http://{address}/", "bearer_token_file": str(token)}
            async with mounted(keys) as runner:
                for text in ("first", "second\n"):
                    token.write_text(text)
                    await runner.run()
                    sent.append(site.headers["Authorization"])

        assert sent == ["Bearer first", "Bearer second"]

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (None, "cannot be read: no such file or directory"),
            (b"", "holds no token"),
            (b"a\r\nX-Injected: 1", "holds no token"),
            (b"\xff", "holds no token"),
        ],
    )
    async def test_a_token_that_cannot_be_sent_is_auth(
        self, tmp_path: Path, content: bytes | None, problem: str
    ) -> None:
        token = tmp_path / "token"
        if content is not None:
            token.write_bytes(content)

        assert await ask(Site(), bearer_token_file=str(token)) == failed(
            Reason.AUTH, f"the token file {token} {problem}"
        )

    async def test_a_token_that_a_redirect_repeats_is_blotted_out(self, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text("s3cret-token")
        site = Site(response("302 Found", Location="/login/s3cret-token"))

        assert await ask(site, bearer_token_file=str(token)) == failed(
            Reason.CONTRACT, "SITE redirects to /login/*** with status 302"
        )

    async def test_an_ipv6_address_stands_in_brackets(self) -> None:
        assert load_one({"type": "http", "url": "http://[2001:db8::1]:81/x"}).checks[0].target == (
            "http://[2001:db8::1]:81/x"
        )


class TestBadAnswers:
    @pytest.mark.parametrize(
        ("answer", "reason", "message"),
        [
            (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.PROTOCOL, "SITE did not answer in HTTP"),
            (b"HTTP/1.1 abc OK\r\n\r\n", Reason.PROTOCOL, "SITE did not answer in HTTP"),
            (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, Reason.PROTOCOL, "SITE did not answer in HTTP"),
            (
                b"HTTP/1.1 200 OK\r\nContent-",
                Reason.UNAVAILABLE,
                "SITE closed the connection without an answer",
            ),
            (b"", Reason.UNAVAILABLE, "SITE closed the connection without an answer"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
                Reason.PROTOCOL,
                "SITE broke off its answer",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                Reason.PROTOCOL,
                "SITE did not answer in HTTP",
            ),
        ],
    )
    async def test_what_is_no_whole_answer(self, answer: bytes, reason: Reason, message: str) -> None:
        async def script(connection: Connection) -> None:
            await connection.read_until(b"\r\n\r\n")
            await connection.send(answer)

        async with talking(script) as address:
            result = await run_once(
                {"type": "http", "url": f"http://{address}/", "expect": {"body": "green"}}
            )

        assert (result.reason, result.message) == (reason, message.replace("SITE", f"http://{address}/"))

    async def test_an_absent_name_is_dns(self) -> None:
        async with FakeDns() as dns:
            names_from(dns)
            result = await run_once({"type": "http", "url": "http://absent.test/"})

        assert ending(result) == failed(Reason.DNS, "absent.test:80: the name does not exist")


async def test_a_name_that_hangs_ends_at_the_deadline_and_leaves_nothing() -> None:
    async with FakeDns(silent=["hung.test"]) as dns:
        names_from(dns)
        async with mounted({"type": "http", "url": "http://hung.test/"}, deadline="100ms") as runner:
            results = [await runner.run()]
            after_one = held()  # with the resolver's socket, on which it goes on asking for a while
            results += [await runner.run() for _ in range(3)]
            await assert_held(after_one)

    assert {result.reason for result in results} == {Reason.TIMEOUT}
    assert max(result.duration for result in results) < 0.1 + CANCEL_GRACE + SLACK


async def test_hundreds_of_hung_servers_hold_up_no_other_check() -> None:
    async with silent() as hung, Site().serve() as site:
        hanging = [run_once({"type": "http", "url": f"http://{hung}/"}, deadline="1s") for _ in range(150)]
        *timed_out, good = await asyncio.gather(
            *hanging, run_once({"type": "http", "url": f"http://{site}/"}, deadline="1s")
        )

    assert {each.reason for each in timed_out} == {Reason.TIMEOUT}
    assert ending(good) == SUCCESS


class TestTls:
    async def ask(
        self, certificates: Certificates, served: Any, *, host: str = "127.0.0.1", **tls: object
    ) -> tuple[Outcome, Reason | None, str]:
        async with Site().serve(server_context(served)) as address:
            url = f"https://{host}:{address.port}/"
            keys = {"type": "http", "url": url, "tls": {"ca": str(certificates.ca), **tls}}
            result = await run_once(keys)
        return result.outcome, result.reason, result.message.replace(f"{host}:{address.port}", "SITE")

    async def test_a_trusted_certificate(self, certificates: Certificates) -> None:
        assert await self.ask(certificates, certificates.good) == SUCCESS
        assert await self.ask(certificates, certificates.good, host="localhost") == SUCCESS

    @pytest.mark.parametrize(("name", "problem"), UNTRUSTED)
    async def test_a_bad_certificate(self, certificates: Certificates, name: str, problem: str) -> None:
        assert await self.ask(certificates, getattr(certificates, name)) == failed(
            Reason.TLS, f"SITE has a certificate that is not trusted: {problem}"
        )

    async def test_server_name_is_the_name_to_verify(self, certificates: Certificates) -> None:
        assert await self.ask(certificates, certificates.wrong_name, server_name="elsewhere.test") == SUCCESS

    async def test_insecure_verifies_nothing(self, certificates: Certificates) -> None:
        async with Site().serve(server_context(certificates.expired)) as address:
            keys = {"type": "http", "url": f"https://{address}/", "tls": {"insecure": True}}

            assert ending(await run_once(keys)) == SUCCESS

    async def test_a_client_certificate_is_shown(self, certificates: Certificates) -> None:
        served = replace(certificates.good, wants_client_certificate=True)
        shown = {"cert": str(certificates.client.cert), "key": str(certificates.client.key)}

        assert await self.ask(certificates, served, **shown) == SUCCESS

    async def test_a_client_certificate_that_is_missing_is_tls(self, certificates: Certificates) -> None:
        context = server_context(replace(certificates.good, wants_client_certificate=True))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            refusing = in_thread(lambda: refuse_handshake(listener, context), name="refusing-server")
            port = listener.getsockname()[1]
            url = f"https://127.0.0.1:{port}/"
            keys = {"type": "http", "url": url, "tls": {"ca": str(certificates.ca)}}
            result, refused_socket = await asyncio.gather(run_once(keys), refusing)
        refused_socket.close()

        problem = "does not complete the TLS handshake: tlsv13 alert certificate required"
        assert ending(result) == failed(Reason.TLS, f"{url} {problem}")

    async def test_tls_towards_a_plain_port(self) -> None:
        async with Site().serve() as address:
            result = await run_once({"type": "http", "url": f"https://{address}/"}, deadline="300ms")

        assert result.reason in (Reason.TLS, Reason.TIMEOUT)

    async def test_plain_towards_a_tls_port(self, certificates: Certificates) -> None:
        async with Site().serve(server_context(certificates.good)) as address:
            result = await run_once({"type": "http", "url": f"http://{address}/"})

        assert result.reason in (Reason.PROTOCOL, Reason.UNAVAILABLE)

    async def test_a_peer_that_never_says_farewell_does_not_keep_the_socket(
        self, certificates: Certificates
    ) -> None:
        async with silent(tls=server_context(certificates.good)) as address:
            keys = {"type": "http", "url": f"https://{address}/", "tls": {"ca": str(certificates.ca)}}
            result = await run_once(keys, deadline="200ms")
            await address.emptied()

        assert result.reason is Reason.TIMEOUT


class TestProxy:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
        for name in ("http_proxy", "https_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        return monkeypatch

    async def test_a_proxy_is_asked_for_the_whole_url(self, environment: pytest.MonkeyPatch) -> None:
        proxy = Site()
        async with proxy.serve() as address:
            environment.setenv("HTTP_PROXY", f"http://user:{quote(SECRET, safe='')}@{address}")
            result = await run_once({"type": "http", "url": "http://web.test:8080/health?a=b"})

        assert ending(result) == SUCCESS
        assert proxy.request_line == "GET http://web.test:8080/health?a=b HTTP/1.1"
        assert proxy.headers["Proxy-Authorization"].startswith("Basic ")

    async def test_a_proxy_is_asked_to_connect_to_https(
        self, environment: pytest.MonkeyPatch, certificates: Certificates
    ) -> None:
        requests: list[bytes] = []
        async with Site().serve(server_context(certificates.good)) as site:

            async def tunnel(connection: Connection) -> None:
                requests.append(await connection.read_until(b"\r\n\r\n"))
                await connection.send(b"HTTP/1.1 200 Connected\r\n\r\n")
                await pass_on(connection, site)

            async with talking(tunnel) as proxy:
                environment.setenv("HTTPS_PROXY", f"http://{proxy}")
                keys = {
                    "url": "https://web.test/",
                    "tls": {"ca": str(certificates.ca), "server_name": "localhost"},
                }
                result = await run_once({"type": "http", **keys})

        assert ending(result) == SUCCESS
        assert requests[0].startswith(b"CONNECT web.test:443 HTTP/1.1\r\n")

    @pytest.mark.parametrize(
        ("status", "reason"), [(407, Reason.AUTH), (403, Reason.FORBIDDEN), (502, Reason.UNAVAILABLE)]
    )
    async def test_a_proxy_that_will_not_connect(
        self, environment: pytest.MonkeyPatch, status: int, reason: Reason
    ) -> None:
        async with Site(response(f"{status} No")).serve() as proxy:
            environment.setenv("HTTPS_PROXY", f"http://user:s3cret@{proxy}")
            result = await run_once({"type": "http", "url": "https://web.test/"})

        assert ending(result) == failed(
            reason, f"https://web.test:443/ is behind a proxy, which answered {status}"
        )

    async def test_a_proxy_that_refuses_is_named(self, environment: pytest.MonkeyPatch) -> None:
        async with refused() as proxy:
            environment.setenv("HTTPS_PROXY", f"http://user:s3cret@{proxy}")
            result = await run_once({"type": "http", "url": "https://web.test/"})

        assert ending(result) == failed(Reason.REFUSED, f"{proxy} refused the connection")

    async def test_loopback_is_asked_directly(self, environment: pytest.MonkeyPatch) -> None:
        async with refused() as proxy:
            environment.setenv("HTTP_PROXY", f"http://{proxy}")

            assert await ask(Site()) == SUCCESS


A_STATUS = "write one from 100 to 599, or a range such as 200-299"
TWO_WAYS = (
    "says in more than one way who is asking; keep one of bearer_token_file, "
    "the header authorization, and user name and password"
)


class TestConfiguration:
    @pytest.mark.parametrize(
        ("keys", "problem"),
        [
            (
                {"expect": {"status": "2xx"}},
                "expect.status: '2xx' is no status; " + A_STATUS,
            ),
            (
                {"expect": {"status": ["299-200"]}},
                "expect.status[0]: '299-200' is no status; " + A_STATUS,
            ),
            (
                {"headers": {"X-A": "a\r\nX-B: b"}},
                "headers.X-A: holds a line break, which would begin another header; remove it",
            ),
            ({"headers": {"X A": "a"}}, "headers: 'X A' is not the name of a header"),
            ({"headers": {"Host": "a"}}, "headers: Host cannot be set here: write the key host of the check"),
            ({"tls": {}}, "tls: has no use with http://; write https:// in the key url"),
            (
                {"method": "HEAD", "expect": {"body": "a"}},
                "expect: wants a body, which no answer to HEAD has; write method: GET",
            ),
            (
                {"bearer_token_file": "/token", "username": "a"},
                TWO_WAYS,
            ),
            (
                {"headers": {"authorization": "Bearer a"}, "url": "http://a:b@c/"},
                TWO_WAYS,
            ),
            ({"host": "a b"}, "host: 'a b' is not a host, such as example.com"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, keys: Mapping[str, object], problem: str) -> None:
        with pytest.raises(ConfigError) as raised:
            load_one({"type": "http", "url": "http://a/", **keys})

        (only,) = raised.value.problems
        path = only.path.removeprefix("checks.it").removeprefix(".")
        assert f"{path}: {only.sentence}".removeprefix(": ") == problem

    def test_the_status_is_described_and_shown_as_it_is_written(self) -> None:
        properties = describe_section(ExpectConfig)["properties"]
        (default,) = [key.show_default() for key in keys_of(ExpectConfig).values() if key.name == "status"]
        one, many = properties["status"]["anyOf"]

        assert default == "[200-299]"
        assert (StatusKind().show(range(204, 205)), many["items"]) == ("204", one)
        assert [bool(re.match(one["pattern"], text)) for text in ("200", "200-299", "2xx", "600")] == [
            True,
            True,
            False,
            False,
        ]

    def test_credentials_in_a_header_are_secret_and_ordinary_words_are_not(self) -> None:
        headers = {"Authorization": "Bearer abcdef", "X-Forwarded-Proto": "https", "X-Key": "${HOME}"}
        config = load_one({"type": "http", "url": "https://a/", "headers": headers})

        assert config.secrets == {"abcdef", os.environ["HOME"]}


def refuse_handshake(listener: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Answer one client with an alert, and leave the socket open so that no reset overtakes it."""
    accepted, _ = listener.accept()
    wrapped = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
    with contextlib.suppress(ssl.SSLError):
        wrapped.do_handshake()
    return wrapped


def test_what_is_expected_shows_no_text_from_outside() -> None:
    expected = ExpectConfig(body="hunter2-body", header={"X-Token": "hunter2-header"})

    assert "hunter2" not in repr(expected)
