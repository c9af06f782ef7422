"""The check type `s3`: against moto over real HTTP, and against servers that answer as S3 never should."""

import asyncio
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote

import pytest
import yaml

from sidecar.checks import s3
from sidecar.checks._s3_answers import Refusal, meaning
from sidecar.config.problems import ConfigError
from sidecar.core.check import Reason
from sidecar.core.result import Outcome, Result
from tests.checks.contract import (
    SECRET,
    SUCCESS,
    CheckContract,
    Keys,
    assert_held,
    checked,
    ending,
    held,
    load_one,
    mounted,
    run_once,
)
from tests.checks.s3_fakes import (
    Answer,
    HttpFake,
    Request,
    access_key_of,
    agent_credentials,
    answering,
    cancel_at_turn,
    echo_of,
    http_date,
    response,
    s3_error,
    stored,
    sts_credentials,
    sts_error,
)
from tests.network import Address, Connection, refused, resetting, silent, talking
from tests.network.tls import Certificates, server_context
from tools.servers import S3Server

BUCKET: Final = "build-artifacts"
AT_KEY: Final = f"/{BUCKET}/.sidecar/probe"


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let botocore find nothing but what a test gives it."""
    for name in os.environ:
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture
def moto(s3_server: S3Server) -> S3Server:
    s3_server.create_bucket(BUCKET)
    return s3_server


def keys(where: S3Server | HttpFake | Address | str, **others: object) -> dict[str, object]:
    """Return the keys of a check with credentials of its own; a None takes one away."""
    url = where if isinstance(where, str) else f"http://{where}" if isinstance(where, Address) else where.url
    given: dict[str, object] = {
        "type": "s3",
        "bucket": BUCKET,
        "region": "eu-west-1",
        "endpoint_url": url,
        "access_key_id": "AKIAGIVEN",
        "secret_access_key": "given-secret-key",
    }
    return {name: value for name, value in (given | others).items() if value is not None}


def keys_without_credentials(where: S3Server | HttpFake | Address, **others: object) -> dict[str, object]:
    return keys(where, access_key_id=None, secret_access_key=None, **others)


def failure(result: Result) -> tuple[Reason | None, str]:
    return result.reason, result.message


class TestContract(CheckContract):
    deadline: ClassVar[str] = "1s"

    def keys(self, address: Address) -> Keys:
        return keys(address, access_key_id=SECRET, secret_access_key=SECRET, session_token=SECRET)

    @pytest.fixture
    async def up(self, moto: S3Server) -> Address:
        return Address(moto.host, moto.port)


class TestConfiguration:
    def test_example_of_the_documentation_is_valid(self) -> None:
        (example,) = re.findall(r"```yaml\n(.*?)```", s3.__doc__ or "", re.DOTALL)
        (written,) = yaml.safe_load(example)

        config = load_one(written).checks[0]

        assert (config.interval, config.timeout, config.target) == (300.0, 10.0, "s3://build-artifacts")
        assert config.hosts == ("s3.eu-west-1.amazonaws.com",)

    def test_says_where_it_goes(self) -> None:
        config = load_one(keys("https://minio.example.com")).checks[0]
        anywhere = load_one(keys_without_region()).checks[0]

        assert (config.target, config.hosts) == (
            "s3://build-artifacts at minio.example.com:443",
            ("minio.example.com",),
        )
        assert anywhere.hosts == ("s3.amazonaws.com",)

    @pytest.mark.parametrize(
        ("others", "complaint"),
        [
            ({"bucket": "a b"}, "bucket: 'a b' is not the name of a bucket or the ARN of an access point"),
            (
                {"bucket": "arn:x"},
                "bucket: 'arn:x' is not the name of a bucket or the ARN of an access point",
            ),
            ({"region": "eu west"}, "region: 'eu west' is not a region, such as eu-west-1"),
            ({"endpoint_url": "ftp://x"}, "endpoint_url: "),
            (
                {"endpoint_url": "http://u:p@x"},
                "endpoint_url: takes no user; write access_key_id and secret_access_key",
            ),
            ({"tls": {}}, "tls: has no use without TLS; write the endpoint_url with https://"),
            ({"secret_access_key": None}, "access_key_id: needs the key secret_access_key beside it"),
            ({"access_key_id": None}, "secret_access_key: needs the key access_key_id beside it"),
            (
                {"access_key_id": None, "secret_access_key": None, "session_token": "t"},
                "session_token: needs the keys access_key_id and secret_access_key beside it",
            ),
            ({"kms_key_id": "k"}, "kms_key_id: needs the key sse beside it, as aws:kms or aws:kms:dsse"),
            (
                {"kms_key_id": "k", "sse": "AES256"},
                "kms_key_id: needs the key sse beside it, as aws:kms or aws:kms:dsse",
            ),
            ({"operation": "delete"}, "operation: "),
        ],
    )
    def test_refuses(self, others: dict[str, object], complaint: str) -> None:
        with pytest.raises(ConfigError) as refused_it:
            load_one(keys("http://127.0.0.1:9000", **others))

        assert f"checks.it.{complaint}" in str(refused_it.value)
        assert len(refused_it.value.problems) == 1


def keys_without_region() -> Keys:
    return keys("https://x", region=None, endpoint_url=None)


class TestAgainstMoto:
    @pytest.mark.parametrize("operation", ["put", "get", "head"])
    async def test_is_up(self, operation: str, moto: S3Server) -> None:
        result = await run_once(keys(moto, operation=operation))

        assert ending(result) == SUCCESS

    async def test_puts_one_object_at_its_key(self, moto: S3Server) -> None:
        moto.create_bucket("fresh")
        async with mounted(keys(moto, bucket="fresh")) as runner:
            for _ in range(3):
                await runner.run()

        assert moto.objects("fresh") == [".sidecar/probe"]

    @pytest.mark.parametrize(
        ("operation", "asked"), [("put", "PUT of .sidecar/probe"), ("get", "PUT of .sidecar/probe")]
    )
    async def test_bucket_that_does_not_exist(self, operation: str, asked: str, moto: S3Server) -> None:
        result = await run_once(keys(moto, bucket="nowhere", operation=operation))

        assert failure(result) == (
            Reason.NOT_FOUND,
            (
                f"s3://nowhere at 127.0.0.1:{moto.port} answered {asked} with 404 NoSuchBucket: "
                "there is no such bucket"
            ),
        )

    async def test_bucket_that_does_not_exist_by_head(self, moto: S3Server) -> None:
        result = await run_once(keys(moto, bucket="nowhere", operation="head"))

        assert failure(result) == (
            Reason.NOT_FOUND,
            f"s3://nowhere at 127.0.0.1:{moto.port} answered HEAD with 404: there is no such bucket",
        )

    async def test_pods_that_get_at_the_same_time_do_not_disturb_each_other(self, moto: S3Server) -> None:
        async def pod() -> list[Outcome]:
            async with mounted(keys(moto, operation="get"), deadline="20s") as runner:
                return [(await runner.run()).outcome for _ in range(5)]

        outcomes = await asyncio.gather(*(pod() for _ in range(6)))

        assert {outcome for each in outcomes for outcome in each} == {Outcome.SUCCESS}

    async def test_speaks_checksummed_chunks_over_tls(
        self, moto: S3Server, certificates: Certificates
    ) -> None:
        moto.create_bucket("over-tls")
        async with tls_in_front_of(moto, server_context(certificates.good)) as address:
            result = await run_once(
                keys(
                    f"https://localhost:{address.port}",
                    bucket="over-tls",
                    operation="get",
                    tls={"ca": str(certificates.ca)},
                )
            )

        assert ending(result) == SUCCESS


def tls_in_front_of(moto: S3Server, context: ssl.SSLContext) -> Any:
    """Return a TLS server that passes everything on to moto."""

    async def script(connection: Connection) -> None:
        reader, writer = await asyncio.open_connection(moto.host, moto.port)

        async def down() -> None:
            while data := await reader.read(65536):
                await connection.send(data)

        passing = asyncio.create_task(down())
        try:
            while data := await connection.read():
                writer.write(data)
        finally:
            passing.cancel()
            await asyncio.wait({passing})
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    return talking(script, tls=context)


class TestOnTheWire:
    async def test_put_is_one_request_on_one_connection(self) -> None:
        async with answering(stored()) as server, mounted(keys(server)) as runner:
            result = await runner.run()
            (request,) = server.requests

        assert (ending(result), server.fake.connections, server.asked) == (SUCCESS, 1, [f"PUT {AT_KEY}"])
        assert request.body == b"sidecar probe\n"
        assert not {"expect", "content-type"} & request.headers.keys()
        assert "x-amz-checksum-crc32" in request.headers
        assert " sidecar/" in request.headers["user-agent"]
        assert access_key_of(request) == "AKIAGIVEN"

    async def test_get_puts_and_gets(self) -> None:
        async with answering(stored(), response(200, "other", ETag='"e2"')) as server:
            await run_once(keys(server, operation="get"))

        assert [line.partition("?")[0] for line in server.asked] == [f"PUT {AT_KEY}", f"GET {AT_KEY}"]

    async def test_head_asks_for_the_bucket_only(self) -> None:
        async with answering(response(200)) as server:
            await run_once(keys(server, operation="head"))

        assert server.asked == [f"HEAD /{BUCKET}"]

    async def test_says_what_the_bucket_demands(self) -> None:
        async with answering(stored()) as server:
            await run_once(
                keys(
                    server,
                    sse="aws:kms",
                    kms_key_id="alias/builds",
                    acl="bucket-owner-full-control",
                    session_token="given-session-token",
                    checksum="when_required",
                    key="a key/%41?x",
                )
            )
            (request,) = server.requests

        names = ("server-side-encryption", "server-side-encryption-aws-kms-key-id", "acl", "security-token")
        assert [request.headers.get(f"x-amz-{name}") for name in names] == [
            "aws:kms",
            "alias/builds",
            "bucket-owner-full-control",
            "given-session-token",
        ]
        assert not [name for name in request.headers if "checksum" in name or "trailer" in name]
        assert request.target == f"/{BUCKET}/a%20key/%2541%3Fx"

    @pytest.mark.parametrize(
        ("addressing", "host", "target"),
        [
            ("auto", "store.test", AT_KEY),
            ("path", "store.test", AT_KEY),
            ("virtual", f"{BUCKET}.store.test", "/.sidecar/probe"),
        ],
    )
    async def test_addressing(
        self, addressing: str, host: str, target: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve_to_loopback(monkeypatch)
        async with answering(stored()) as server:
            port = server.address.port
            result = await run_once(keys(f"http://store.test:{port}", addressing=addressing))
            (request,) = server.requests

        assert (ending(result), request.headers["host"], request.target) == (
            SUCCESS,
            f"{host}:{port}",
            target,
        )

    @pytest.mark.parametrize(
        ("region", "host"),
        [
            ("eu-west-1", "s3.eu-west-1.amazonaws.com"),
            ("cn-north-1", "s3.cn-north-1.amazonaws.com.cn"),
            (None, "s3.amazonaws.com"),
        ],
    )
    async def test_without_an_endpoint_goes_to_aws(
        self, region: str | None, host: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with answering(response(407)) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            await run_once(keys("", endpoint_url=None, region=region))

        assert proxy.asked == [f"CONNECT {BUCKET}.{host}:443"]

    async def test_asks_once_where_the_connection_is_reset(self) -> None:
        async with resetting(after_bytes=1) as server:
            result = await run_once(keys(server))

        assert failure(result) == (Reason.UNAVAILABLE, f"{server} closed the connection")
        assert server.connections == 1

    async def test_asks_once_where_it_shall_slow_down(self) -> None:
        async with answering(s3_error(503, "SlowDown")) as server:
            result = await run_once(keys(server))

        assert (result.reason, len(server.requests)) == (Reason.UNAVAILABLE, 1)

    async def test_does_not_follow_a_location(self) -> None:
        async with (
            answering(stored()) as elsewhere,
            answering(response(307, Location=f"{elsewhere.url}{AT_KEY}")) as server,
        ):
            result = await run_once(keys(server))

        assert (result.reason, len(server.requests), elsewhere.requests) == (Reason.CONTRACT, 1, [])

    async def test_counts_its_connections(self) -> None:
        async with answering(stored()) as server, mounted(keys(server)) as runner:
            counts = [(await runner.run()).connections_opened for _ in range(3)]

        assert (counts, server.fake.connections) == ([1, 1, 1], 3)

    async def test_goes_through_the_proxy_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with answering(stored()) as proxy:
            monkeypatch.setenv("HTTP_PROXY", str(proxy.address))
            result = await run_once(keys("http://store.test:9000"))

        assert (ending(result), proxy.asked) == (SUCCESS, [f"PUT http://store.test:9000{AT_KEY}"])

    async def test_goes_around_the_proxy_where_told_to_or_inside_the_pod(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        resolve_to_loopback(monkeypatch)
        monkeypatch.setenv("NO_PROXY", "store.test")
        async with refused() as proxy, answering(stored()) as server:
            monkeypatch.setenv("HTTP_PROXY", f"http://{proxy}")
            told = await run_once(keys(f"http://store.test:{server.address.port}"))
            inside = await run_once(keys(server))

        assert (ending(told), ending(inside)) == (SUCCESS, SUCCESS)

    async def test_names_a_proxy_that_refuses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with refused() as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://user:{quote(SECRET, safe='')}@{proxy}")
            result = await run_once(keys("http://store.test:9000"))

        assert failure(result) == (Reason.REFUSED, f"{proxy} refused the connection")

    async def test_names_a_proxy_that_connects_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with answering(response(407)) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            result = await run_once(keys("https://store.test"))

        assert failure(result) == (
            Reason.AUTH,
            "store.test:443 is behind a proxy, which answered 407",
        )


def resolve_to_loopback(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every name that the event loop looks up be ours; return the names as they are asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


class TestTheNetwork:
    async def test_name_that_does_not_exist(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        result = await run_once(keys("http://store.test"))

        assert failure(result) == (Reason.DNS, "store.test:80: the name does not exist")

    async def test_name_that_hangs_ends_at_the_deadline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        result = await run_once(keys("http://store.test"), deadline="300ms")

        assert result.reason is Reason.TIMEOUT
        assert "store.test:80" in result.message

    async def test_uses_nothing_of_the_default_executor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        names = resolve_to_loopback(monkeypatch)

        def run_in_executor(*_: object) -> None:
            raise AssertionError("a look-up or a file of its own would wait for those that hang")

        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", run_in_executor)
        async with answering(stored()) as server:
            result = await run_once(keys(f"http://store.test:{server.address.port}"))

        assert (ending(result), set(names)) == (SUCCESS, {"store.test"})

    async def test_endless_100_continue_ends_at_the_deadline(self) -> None:
        async def script(connection: Connection) -> None:
            await connection.read_until(b"\r\n\r\n")
            while True:
                await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
                await asyncio.sleep(0.001)

        async with talking(script) as server:
            result = await run_once(keys(server), deadline="500ms")

        assert result.reason is Reason.TIMEOUT
        assert str(server) in result.message

    async def test_silence_names_who_is_silent(self) -> None:
        async with silent() as server:
            result = await run_once(keys(server), deadline="2s")

        assert failure(result) == (Reason.TIMEOUT, f"{server} gave no answer")

    @pytest.mark.parametrize(
        ("answer", "reason", "what"),
        [
            (
                b"HTTP/1.1 403 No\r\nContent-Length: 99\r\n\r\n<Error>",
                Reason.PROTOCOL,
                "broke off its answer",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                Reason.PROTOCOL,
                "did not answer in HTTP",
            ),
            (
                response(200, b"x" * 100_000, ETag='"e1"'),
                Reason.PROTOCOL,
                "answers with more than 64 KiB",
            ),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Reason.PROTOCOL, "did not answer in HTTP"),
        ],
    )
    async def test_answer_that_is_none(self, answer: bytes, reason: Reason, what: str) -> None:
        async def script(connection: Connection) -> None:
            await connection.read_until(b"\r\n\r\n")
            await connection.send(answer)

        async with talking(script) as server:
            result = await run_once(keys(server))

        assert failure(result) == (reason, f"{server} {what}")


class TestTls:
    @pytest.mark.parametrize(
        ("certificate", "what"),
        [
            ("unknown_ca", "has a certificate that is not trusted: "),
            ("expired", "has a certificate that is not trusted: certificate has expired"),
            ("wrong_name", "has a certificate that is not trusted: hostname mismatch"),
        ],
    )
    async def test_bad_certificate(self, certificate: str, what: str, certificates: Certificates) -> None:
        context = server_context(getattr(certificates, certificate))
        async with answering(stored(), tls=context) as server:
            url = f"https://localhost:{server.address.port}"
            result = await run_once(keys(url, tls={"ca": str(certificates.ca)}))

        assert (result.reason, server.requests) == (Reason.TLS, [])
        assert result.message.startswith(f"localhost:{server.address.port} {what}")

    async def test_server_that_speaks_no_tls(self) -> None:
        async def script(connection: Connection) -> None:
            await connection.read()
            await connection.send(response(400))

        async with talking(script) as server:
            result = await run_once(keys(f"https://{server}"))

        assert failure(result) == (
            Reason.TLS,
            f"{server} does not complete the TLS handshake: wrong version number",
        )

    async def test_server_name_is_verified_instead_of_the_host(self, certificates: Certificates) -> None:
        async with answering(stored(), tls=server_context(certificates.wrong_name)) as server:
            result = await run_once(
                keys(
                    f"https://127.0.0.1:{server.address.port}",
                    tls={"ca": str(certificates.ca), "server_name": "elsewhere.test"},
                )
            )

        assert ending(result) == SUCCESS

    async def test_insecure_verifies_nothing(self, certificates: Certificates) -> None:
        async with answering(stored(), tls=server_context(certificates.expired)) as server:
            result = await run_once(keys(f"https://{server.address}", tls={"insecure": True}))

        assert ending(result) == SUCCESS

    @pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "AWS_CA_BUNDLE"])
    async def test_trusts_whom_the_environment_trusts(
        self, variable: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, str(certificates.ca))
        async with answering(stored(), tls=server_context(certificates.good)) as server:
            result = await run_once(keys(f"https://localhost:{server.address.port}"))

        assert ending(result) == SUCCESS
        (request,) = server.requests
        assert b"sidecar probe\n" in request.body
        assert request.headers["x-amz-trailer"] == "x-amz-checksum-crc32"


ANSWERED: Final = "answered PUT of .sidecar/probe with"


class TestAnswers:
    @pytest.mark.parametrize(
        ("answer", "reason", "what"),
        [
            (
                s3_error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist"),
                Reason.AUTH,
                f"{ANSWERED} 403 InvalidAccessKeyId: it does not know the access key",
            ),
            (
                s3_error(403, "SignatureDoesNotMatch"),
                Reason.AUTH,
                f"{ANSWERED} 403 SignatureDoesNotMatch: the secret does not belong to the access key",
            ),
            (
                s3_error(400, "ExpiredToken", "The provided token has expired."),
                Reason.AUTH,
                f"{ANSWERED} 400 ExpiredToken: the session token has expired",
            ),
            (
                s3_error(400, "InvalidToken"),
                Reason.AUTH,
                f"{ANSWERED} 400 InvalidToken: the session token is not valid",
            ),
            (
                lambda _: s3_error(403, "RequestTimeTooSkewed", Date=http_date(ahead=-7230)),
                Reason.AUTH,
                f"{ANSWERED} 403 RequestTimeTooSkewed: our clock is 2h 0m ahead of its own",
            ),
            (
                s3_error(403, "AccessDenied", "Access Denied"),
                Reason.FORBIDDEN,
                f"{ANSWERED} 403 AccessDenied: needs s3:PutObject on the key",
            ),
            (
                s3_error(
                    403,
                    "AccessDenied",
                    "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: "
                    "kms:GenerateDataKey on resource: arn:aws:kms:eu-west-1:1:key/k",
                ),
                Reason.FORBIDDEN,
                (
                    f"{ANSWERED} 403 AccessDenied: needs s3:PutObject on the key: User: "
                    "arn:aws:sts::1:assumed-role/r/s is not authorized to perform: kms:GenerateDataKey "
                    "on resource: arn:aws:kms:eu-west-1:1:key/k"
                ),
            ),
            (
                s3_error(400, "KMS.DisabledException", "the key is disabled"),
                Reason.FORBIDDEN,
                f"{ANSWERED} 400 KMS.DisabledException: the key is disabled",
            ),
            (
                s3_error(301, "PermanentRedirect", x_amz_bucket_region="us-west-2"),
                Reason.CONTRACT,
                f"{ANSWERED} 301 PermanentRedirect: the bucket is in the region us-west-2, not in eu-west-1",
            ),
            (
                s3_error(400, "AuthorizationHeaderMalformed", details="<Region>us-west-2</Region>"),
                Reason.CONTRACT,
                (
                    f"{ANSWERED} 400 AuthorizationHeaderMalformed: "
                    "the bucket is in the region us-west-2, not in eu-west-1"
                ),
            ),
            (
                s3_error(503, "SlowDown", "Please reduce your request rate."),
                Reason.UNAVAILABLE,
                f"{ANSWERED} 503 SlowDown: it gets too many requests",
            ),
            (
                s3_error(500, "InternalError", "We encountered an internal error."),
                Reason.UNAVAILABLE,
                f"{ANSWERED} 500 InternalError: We encountered an internal error.",
            ),
            (
                s3_error(400, "AccessControlListNotSupported", "The bucket does not allow ACLs"),
                Reason.CONTRACT,
                f"{ANSWERED} 400 AccessControlListNotSupported: The bucket does not allow ACLs",
            ),
            (
                response(405, "<html>nginx</html>", Content_Type="text/html"),
                Reason.PROTOCOL,
                f"{ANSWERED} 405: that is no answer of S3",
            ),
            (response(502, "<html>"), Reason.UNAVAILABLE, f"{ANSWERED} 502"),
            (
                response(200, "<html>hello</html>", Content_Type="text/html"),
                Reason.PROTOCOL,
                "answered PUT of .sidecar/probe without an ETag: that is not S3",
            ),
        ],
    )
    async def test_tells_apart(self, answer: Answer, reason: Reason, what: str) -> None:
        async with answering(answer) as server:
            result = await run_once(keys(server))

        assert failure(result) == (reason, f"s3://{BUCKET} at {server.address} {what}")
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("answer", "reason", "what"),
        [
            (response(403), Reason.FORBIDDEN, "HEAD with 403: needs s3:ListBucket on the bucket"),
            (
                lambda _: response(403, Date=http_date(ahead=7230)),
                Reason.AUTH,
                "HEAD with 403: our clock is 2h 0m behind its own",
            ),
            (
                response(301, x_amz_bucket_region="us-west-2"),
                Reason.CONTRACT,
                "HEAD with 301: the bucket is in the region us-west-2, not in eu-west-1",
            ),
            (
                response(400, x_amz_bucket_region="us-west-2"),
                Reason.CONTRACT,
                "HEAD with 400: the bucket is in the region us-west-2, not in eu-west-1",
            ),
            (
                response(400),
                Reason.AUTH,
                "HEAD with 400: HEAD is given no explanation; most often a token has expired",
            ),
            (
                response(200, Content_Type="text/html; charset=utf-8"),
                Reason.PROTOCOL,
                "HEAD with a web page: that is not S3",
            ),
        ],
    )
    async def test_tells_heads_apart(self, answer: Answer, reason: Reason, what: str) -> None:
        async with answering(answer) as server:
            result = await run_once(keys(server, operation="head"))

        assert result.reason is reason
        assert re.fullmatch(f"s3://{BUCKET} at {server.address} answered {what}", result.message)
        assert len(server.requests) == 1

    async def test_repeats_no_secret_that_an_answer_repeats(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        async with answering(echo_of) as server:
            result = await run_once(keys(server, session_token="given-session-token"))

        assert result.message.startswith(f"s3://{BUCKET} at {server.address} {ANSWERED} 400 InvalidRequest: ")
        for secret in ("AKIAGIVEN", "given-secret-key", "given-session-token"):
            assert secret not in result.message + caplog.text

    @pytest.mark.parametrize("code", ["x" * 65, "<b>", "given-session-token"])
    async def test_repeats_no_code_that_is_no_word(self, code: str) -> None:
        async with answering(s3_error(400, code)) as server:
            result = await run_once(keys(server, session_token="given-session-token"))

        assert failure(result) == (
            Reason.PROTOCOL,
            f"s3://{BUCKET} at {server.address} {ANSWERED} 400: that is no answer of S3",
        )


class TestMeaning:
    @pytest.mark.parametrize(
        ("refusal", "reason"),
        [
            (Refusal(operation="PutObject", status=404, code="NoSuchAccessPoint"), Reason.NOT_FOUND),
            (Refusal(operation="PutObject", status=404), Reason.PROTOCOL),
            (Refusal(operation="PutObject", status=401), Reason.AUTH),
            (Refusal(operation="PutObject", status=401, code="AuthenticationRequired"), Reason.AUTH),
            (Refusal(operation="PutObject", status=409, code="OperationAborted"), Reason.UNAVAILABLE),
            (Refusal(operation="PutObject", status=429, code="TooMany"), Reason.UNAVAILABLE),
            (Refusal(operation="PutObject", status=400, code="RequestTimeout"), Reason.UNAVAILABLE),
            (Refusal(operation="PutObject", status=403, code="QuotaExceeded"), Reason.UNAVAILABLE),
            (Refusal(operation="PutObject", status=501, code="NotImplemented"), Reason.CONTRACT),
            (Refusal(operation="PutObject", status=400, code="Redirect"), Reason.CONTRACT),
            (Refusal(operation="PutObject", status=307), Reason.CONTRACT),
            (Refusal(operation="PutObject", status=400, code="ExpiredToken", region="here"), Reason.AUTH),
            (Refusal(operation="PutObject", status=403, code="X", region="there"), Reason.FORBIDDEN),
            (Refusal(operation="GetObject", status=404, code="NoSuchKey"), Reason.CONTRACT),
            (Refusal(operation="PutObject", status=403, clock=100.0), Reason.FORBIDDEN),
            (Refusal(operation="PutObject", status=403, clock=99.9), Reason.AUTH),
        ],
    )
    def test_of_a_refusal(self, refusal: Refusal, reason: Reason) -> None:
        assert meaning(refusal, region="here", now=1000.0)[0] is reason


class TestReadingBack:
    async def test_own_object_is_whole(self) -> None:
        written: list[bytes] = []

        def put(request: Request) -> bytes:
            written.append(request.body)
            return stored()

        async with answering(put, lambda _: response(200, written[0], ETag='"e1"')) as server:
            result = await run_once(keys(server, operation="get"))

        assert ending(result) == SUCCESS
        assert re.fullmatch(rb"sidecar probe\n[0-9a-f]{16}", written[0])

    async def test_own_object_with_other_bytes_is_broken(self) -> None:
        async with answering(stored(), response(200, "something else", ETag='"e1"')) as server:
            result = await run_once(keys(server, operation="get"))

        assert failure(result) == (
            Reason.CONTRACT,
            f"s3://{BUCKET} at {server.address} gave back for .sidecar/probe other bytes than were stored",
        )

    async def test_own_version_with_other_bytes_is_broken(self) -> None:
        version = {"x_amz_version_id": "v1"}
        async with answering(
            stored(**version), response(200, "something else", ETag='"e2"', **version)
        ) as server:
            result = await run_once(keys(server, operation="get"))

        assert result.reason is Reason.CONTRACT

    @pytest.mark.parametrize(
        "headers",
        [
            {"Last_Modified": http_date},
            {"Last_Modified": lambda: http_date(ahead=-30)},
            {},
        ],
    )
    async def test_object_that_another_pod_stored_meanwhile_is_fine(
        self, headers: dict[str, Callable[[], str]]
    ) -> None:
        def get(_: Request) -> bytes:
            return response(
                200, "of another pod", ETag='"e2"', **{name: say() for name, say in headers.items()}
            )

        async with answering(stored(), get) as server:
            result = await run_once(keys(server, operation="get"))

        assert ending(result) == SUCCESS

    async def test_same_etag_of_another_version_is_another_object(self) -> None:
        async with answering(
            stored(x_amz_version_id="v1"), response(200, "other", ETag='"e1"', x_amz_version_id="v2")
        ) as server:
            result = await run_once(keys(server, operation="get"))

        assert ending(result) == SUCCESS

    async def test_older_object_is_a_stale_answer(self) -> None:
        old = response(200, "of last week", ETag='"e0"', Last_Modified=http_date(ahead=-120))
        async with answering(stored(), old) as server:
            result = await run_once(keys(server, operation="get"))

        assert failure(result) == (
            Reason.CONTRACT,
            (
                f"s3://{BUCKET} at {server.address} gave back for .sidecar/probe "
                "an older object than the one just stored"
            ),
        )

    @pytest.mark.parametrize("date", ["", "yesterday", "Mon, 01 Jan 99999 00:00:00 GMT"])
    async def test_store_without_a_clock_is_not_called_stale(self, date: str) -> None:
        old = response(200, "of last week", ETag='"e0"', Last_Modified=http_date(ahead=-120))
        async with answering(stored(Date=date), old) as server:
            result = await run_once(keys(server, operation="get"))

        assert ending(result) == SUCCESS

    async def test_arn_that_is_none_is_shown_in_the_sdks_words(self) -> None:
        arn = "arn:aws:s3:eu-west-1:123456789012:nonsense"
        result = await run_once(keys(Address("192.0.2.1", 1), bucket=arn))

        assert result.reason is Reason.UNEXPECTED
        assert result.message.startswith(
            f's3://{arn} at 192.0.2.1:1: Parameter validation failed: Invalid bucket name "{arn}"'
        )

    async def test_session_that_is_none_is_not_s3s(self) -> None:
        async with answering(response(200)) as server:
            result = await run_once(keys(server, bucket="fast--use1-az4--x-s3"))

        assert failure(result) == (
            Reason.PROTOCOL,
            f"s3://fast--use1-az4--x-s3 at {server.address} answered what is not S3's",
        )

    async def test_object_that_is_gone_breaks_the_contract(self) -> None:
        async with answering(stored(), s3_error(404, "NoSuchKey")) as server:
            result = await run_once(keys(server, operation="get"))

        assert failure(result) == (
            Reason.CONTRACT,
            (
                f"s3://{BUCKET} at {server.address} answered GET of .sidecar/probe with 404 NoSuchKey: "
                "the object that was just stored is not there"
            ),
        )

    async def test_missing_permission_to_read_is_named(self) -> None:
        async with answering(stored(), s3_error(403, "AccessDenied", "Access Denied")) as server:
            result = await run_once(keys(server, operation="get"))

        assert failure(result) == (
            Reason.FORBIDDEN,
            (
                f"s3://{BUCKET} at {server.address} answered GET of .sidecar/probe with 403 AccessDenied: "
                "needs s3:GetObject on the key"
            ),
        )

    async def test_object_with_a_wrong_checksum_breaks_the_contract(self) -> None:
        wrong = response(200, "something", ETag='"e1"', x_amz_checksum_crc32="AAAAAA==")
        async with answering(stored(), wrong) as server:
            result = await run_once(keys(server, operation="get"))

        assert failure(result) == (
            Reason.CONTRACT,
            f"s3://{BUCKET} at {server.address} gave back .sidecar/probe with a wrong checksum or length",
        )

    async def test_headers_that_cannot_be_read_are_not_s3s(self) -> None:
        odd = response(200, "x", ETag='"e2"', Last_Modified="the other day")
        async with answering(stored(), odd) as server:
            result = await run_once(keys(server, operation="get"))

        assert failure(result) == (
            Reason.PROTOCOL,
            f"s3://{BUCKET} at {server.address} answered what is not S3's",
        )


@pytest.fixture
async def s3_server_of_its_own() -> AsyncIterator[HttpFake]:
    """Yield something that stores for everybody."""
    async with answering(stored()) as server:
        yield server


class TestCredentials:
    async def test_from_the_environment(
        self, s3_server_of_its_own: HttpFake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        give_in_environment(monkeypatch, access_key="AKIAENV")
        result = await run_once(keys_without_credentials(s3_server_of_its_own))

        assert (ending(result), access_keys(s3_server_of_its_own)) == (SUCCESS, ["AKIAENV"])

    async def test_region_from_the_environment(
        self, s3_server_of_its_own: HttpFake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
        await run_once(keys(s3_server_of_its_own, region=None))

        assert "/ap-south-1/s3/" in s3_server_of_its_own.requests[0].headers["authorization"]

    async def test_none_at_all(self, s3_server_of_its_own: HttpFake) -> None:
        result = await run_once(keys_without_credentials(s3_server_of_its_own))

        assert failure(result) == (
            Reason.AUTH,
            (
                "no credentials: none are given, nor found in the environment, a web identity, ~/.aws, "
                "the container's agent or the node's metadata"
            ),
        )
        assert s3_server_of_its_own.requests == []

    async def test_half_of_them(
        self, s3_server_of_its_own: HttpFake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
        result = await run_once(keys_without_credentials(s3_server_of_its_own))

        assert failure(result) == (
            Reason.AUTH,
            "no credentials: Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY",
        )

    async def test_profile_that_does_not_exist(
        self, s3_server_of_its_own: HttpFake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_PROFILE", "typo")
        result = await run_once(keys_without_credentials(s3_server_of_its_own))

        assert failure(result) == (
            Reason.AUTH,
            "no credentials: The config profile (typo) could not be found",
        )

    @pytest.mark.parametrize("line_break", ["\n", "\r"])
    async def test_line_break_at_their_end(
        self, line_break: str, s3_server_of_its_own: HttpFake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        give_in_environment(monkeypatch, access_key=f"AKIAENV{line_break}")
        result = await run_once(keys_without_credentials(s3_server_of_its_own))

        assert failure(result) == (
            Reason.AUTH,
            "no credentials: the access key or the session token holds a line break",
        )

    async def test_file_that_was_rotated_is_read_again_after_it_was_refused(self, tmp_path: Path) -> None:
        def judge(request: Request) -> bytes:
            return stored() if access_key_of(request) == "AKIANEW" else s3_error(403, "InvalidAccessKeyId")

        file = tmp_path / "credentials"
        file.write_text("[default]\naws_access_key_id = AKIAOLD\naws_secret_access_key = old-secret-key\n")
        async with answering(judge) as server, mounted(keys_without_credentials(server)) as runner:
            before = (await runner.run()).reason
            file.write_text(
                "[default]\naws_access_key_id = AKIANEW\naws_secret_access_key = new-secret-key\n"
            )
            after = await runner.run()

        assert (before, ending(after)) == (Reason.AUTH, SUCCESS)
        assert access_keys(server) == ["AKIAOLD", "AKIANEW"]

    @pytest.mark.parametrize(
        ("answer", "reads_again"),
        [
            (s3_error(400, "ExpiredToken"), True),
            (s3_error(403, "AccessDenied"), True),
            (s3_error(503, "SlowDown"), False),
            (s3_error(404, "NoSuchBucket"), False),
        ],
    )
    async def test_search_is_repeated_only_where_that_can_help(
        self, answer: bytes, reads_again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with answering(sts_credentials()) as sts, answering(answer) as server:
            take_web_identity(monkeypatch, tmp_path, sts)
            async with mounted(keys_without_credentials(server)) as runner:
                for _ in range(3):
                    await runner.run()

        assert len(sts.requests) == (3 if reads_again else 1)


def give_in_environment(monkeypatch: pytest.MonkeyPatch, *, access_key: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret-key")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "env-session-token")


def take_web_identity(monkeypatch: pytest.MonkeyPatch, folder: Path, sts: HttpFake | Address) -> Path:
    """Do what the webhook of IRSA does to a pod; return the token's file."""
    token = folder / "token"
    token.write_text("identity-token-1")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/builds")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url if isinstance(sts, HttpFake) else f"http://{sts}")
    return token


def access_keys(server: HttpFake) -> list[str]:
    return [access_key_of(request) for request in server.requests]


class TestWebIdentity:
    async def test_is_taken_to_sts_once(
        self, s3_server_of_its_own: HttpFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with answering(sts_credentials()) as sts:
            take_web_identity(monkeypatch, tmp_path, sts)
            async with mounted(keys_without_credentials(s3_server_of_its_own)) as runner:
                results = [ending(await runner.run()) for _ in range(2)]

        assert results == [SUCCESS] * 2
        assert [request.form["WebIdentityToken"] for request in sts.requests] == ["identity-token-1"]
        assert access_keys(s3_server_of_its_own) == ["ASIAFRESH"] * 2

    async def test_is_read_anew_when_the_credentials_end(
        self, s3_server_of_its_own: HttpFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ending_soon = sts_credentials(access_key="ASIA1", expires_in=5)
        async with answering(ending_soon, ending_soon, sts_credentials(access_key="ASIA2")) as sts:
            token = take_web_identity(monkeypatch, tmp_path, sts)
            async with mounted(keys_without_credentials(s3_server_of_its_own)) as runner:
                await runner.run()
                token.write_text("identity-token-2")
                await runner.run()

        assert sts.requests[-1].form["WebIdentityToken"] == "identity-token-2"
        assert access_keys(s3_server_of_its_own) == ["ASIA1", "ASIA2"]

    async def test_works_with_motos_sts(
        self, moto: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take_web_identity(monkeypatch, tmp_path, Address(moto.host, moto.port))
        result = await run_once(keys_without_credentials(moto))

        assert ending(result) == SUCCESS

    @pytest.mark.parametrize(
        ("answer", "reason", "what"),
        [
            (
                sts_error(403, "AccessDenied", "Not authorized"),
                Reason.AUTH,
                "403 AccessDenied: the role's trust policy does not admit us",
            ),
            (
                sts_error(400, "ExpiredTokenException"),
                Reason.AUTH,
                "400 ExpiredTokenException: our identity token has expired",
            ),
            (sts_error(400, "Odd", "identity-token-1"), Reason.AUTH, "400 Odd"),
            (sts_error(400, "Throttling"), Reason.UNAVAILABLE, "400 Throttling"),
            (sts_error(503, "ServiceUnavailable"), Reason.UNAVAILABLE, "503 ServiceUnavailable"),
        ],
    )
    async def test_refused_by_sts(
        self, answer: bytes, reason: Reason, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with answering(answer) as sts:
            take_web_identity(monkeypatch, tmp_path, sts)
            result = await run_once(keys_without_credentials(Address("192.0.2.1", 1)))

        assert failure(result) == (
            reason,
            f"no credentials: STS answered AssumeRoleWithWebIdentity with {what}",
        )
        assert len(sts.requests) == 1

    async def test_nonsense_from_sts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async with answering(response(200, "<html>hello</html>")) as sts:
            take_web_identity(monkeypatch, tmp_path, sts)
            result = await run_once(keys_without_credentials(Address("192.0.2.1", 1)))

        assert failure(result) == (
            Reason.AUTH,
            "no credentials: what the provider of credentials gave is none, or has expired",
        )

    async def test_refused_connection_to_sts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async with refused() as sts:
            take_web_identity(monkeypatch, tmp_path, sts)
            result = await run_once(keys_without_credentials(Address("192.0.2.1", 1)))

        assert failure(result) == (Reason.REFUSED, f"no credentials: {sts} refused the connection")

    async def test_silent_sts_is_named_within_the_deadline_and_asked_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with silent() as sts:
            take_web_identity(monkeypatch, tmp_path, sts)
            result = await run_once(keys_without_credentials(Address("192.0.2.1", 1)), deadline="3s")

        assert failure(result) == (Reason.TIMEOUT, f"no credentials: {sts} gave no answer")
        assert sts.connections == 1

    async def test_token_file_that_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        take_web_identity(monkeypatch, tmp_path, Address("192.0.2.1", 1)).unlink()
        result = await run_once(keys_without_credentials(Address("192.0.2.1", 1)))

        assert failure(result) == (
            Reason.AUTH,
            f"no credentials: {tmp_path / 'token'}: no such file or directory",
        )

    async def test_name_of_sts_that_does_not_exist(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        take_web_identity(monkeypatch, tmp_path, Address("sts.test", 80))
        result = await run_once(keys_without_credentials(Address("192.0.2.1", 1)))

        assert failure(result) == (Reason.DNS, "no credentials: sts.test:80: the name does not exist")

    @pytest.mark.parametrize(
        ("answer", "reason"), [(b"SSH-2.0-OpenSSH_9.2\r\n", Reason.AUTH), (b"", Reason.UNAVAILABLE)]
    )
    async def test_sts_that_is_none(
        self, answer: bytes, reason: Reason, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def script(connection: Connection) -> None:
            await connection.read()
            await connection.send(answer)

        async with talking(script) as sts:
            take_web_identity(monkeypatch, tmp_path, sts)
            result = await run_once(keys_without_credentials(Address("192.0.2.1", 1)))

        assert result.reason is reason
        assert result.message.startswith("no credentials: ")
        assert str(sts) in result.message

    async def test_name_of_sts_is_looked_up_by_the_event_loop(
        self, s3_server_of_its_own: HttpFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = resolve_to_loopback(monkeypatch)
        async with answering(sts_credentials()) as sts:
            take_web_identity(monkeypatch, tmp_path, Address("sts.test", sts.address.port))
            result = await run_once(keys_without_credentials(s3_server_of_its_own))

        assert (ending(result), names) == (SUCCESS, ["sts.test"])


class TestAgent:
    """EKS Pod Identity and ECS: an agent on the node gives credentials."""

    async def test_gives_credentials(
        self, s3_server_of_its_own: HttpFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with answering(agent_credentials()) as agent:
            take_agent(monkeypatch, tmp_path, agent)
            result = await run_once(keys_without_credentials(s3_server_of_its_own))

        assert (ending(result), access_keys(s3_server_of_its_own)) == (SUCCESS, ["ASIAAGENT"])
        assert [request.headers["authorization"] for request in agent.requests] == ["agent-token"]

    async def test_refused_connection(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async with refused() as agent:
            take_agent(monkeypatch, tmp_path, agent)
            result = await run_once(keys_without_credentials(Address("192.0.2.1", 1)), deadline="10s")

        assert failure(result) == (Reason.REFUSED, f"no credentials: {agent} refused the connection")

    @pytest.mark.parametrize(
        ("answer", "what"),
        [
            (
                response(200, "{}", Content_Type="application/json"),
                "what the provider of credentials gave is none, or has expired",
            ),
            (
                agent_credentials(expires_in=-60),
                "what the provider of credentials gave is none, or has expired",
            ),
        ],
    )
    async def test_nonsense(
        self, answer: bytes, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with answering(answer) as agent:
            take_agent(monkeypatch, tmp_path, agent)
            result = await run_once(keys_without_credentials(Address("192.0.2.1", 1)))

        assert failure(result) == (Reason.AUTH, f"no credentials: {what}")

    async def test_silence_ends_at_the_deadline_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with silent() as agent:
            take_agent(monkeypatch, tmp_path, agent)
            endpoint = Address("192.0.2.1", 1)
            result = await run_once(keys_without_credentials(endpoint), deadline="300ms")
            await asyncio.wait_for(agent.emptied(), 2)

        assert failure(result) == (
            Reason.TIMEOUT,
            f"s3://{BUCKET} at {endpoint}: gave no answer within 300ms",
        )
        assert agent.connections == 1

    async def test_silent_metadata_of_the_node_is_waited_for_in_vain(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        async with silent() as node:
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://{node}/")
            result = await run_once(keys_without_credentials(Address("192.0.2.1", 1)), deadline="10s")

        assert result.reason is Reason.AUTH
        assert result.message.startswith("no credentials: none are given, nor found")


def take_agent(monkeypatch: pytest.MonkeyPatch, folder: Path, agent: HttpFake | Address) -> None:
    """Do what the webhook of EKS Pod Identity does to a pod."""
    token = folder / "agent-token"
    token.write_text("agent-token")
    url = agent.url if isinstance(agent, HttpFake) else f"http://{agent}"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))


class TestSecrecy:
    @pytest.mark.parametrize("provider", ["environment", "web identity", "agent"])
    async def test_no_credential_appears_anywhere(
        self,
        provider: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with (
            answering(echo_of) as server,
            answering(sts_credentials()) as sts,
            answering(agent_credentials()) as agent,
        ):
            match provider:
                case "environment":
                    give_in_environment(monkeypatch, access_key="AKIAENV")
                case "web identity":
                    take_web_identity(monkeypatch, tmp_path, sts)
                case "agent":
                    take_agent(monkeypatch, tmp_path, agent)
            result = await run_once(keys_without_credentials(server))

        assert "InvalidRequest" in result.message
        assert not re.search(
            "-secret-key|-session-token|AKIA|ASIA|identity-token", result.message + caplog.text
        )

    async def test_drivers_log_nothing_where_credentials_fail(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with answering(sts_error(403, "AccessDenied")) as sts:
            take_web_identity(monkeypatch, tmp_path, sts)
            await run_once(keys_without_credentials(Address("192.0.2.1", 1)))

        assert [record.name for record in caplog.records if "boto" in record.name] == []


class TestLeavesNothing:
    @pytest.mark.parametrize("operation", ["put", "get", "head"])
    async def test_cancelled_at_any_turn(self, operation: str, moto: S3Server) -> None:
        await run_once(keys(moto, operation=operation))
        before = held()
        async with checked(keys(moto, operation=operation)) as check:
            for turn in [*range(40), *range(40, 200, 7)]:
                await cancel_at_turn(asyncio.create_task(check.run()), turn)
            await check.run()

        await assert_held(before)

    async def test_cancelled_while_credentials_are_searched(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = held()
        async with silent() as sts:
            take_web_identity(monkeypatch, tmp_path, sts)
            async with checked(keys_without_credentials(Address("192.0.2.1", 1))) as check:
                for turn in range(0, 60, 3):
                    await cancel_at_turn(asyncio.create_task(check.run()), turn)
                waiting = asyncio.create_task(check.run())
                await asyncio.wait({waiting}, timeout=0.3)
                await cancel_at_turn(waiting, 0)

        await assert_held(before)

    async def test_closed_in_the_middle_of_a_run(self, moto: S3Server) -> None:
        async with checked(keys(moto, operation="get")) as check:
            for turn in range(0, 60, 5):
                run = asyncio.create_task(check.run())
                for _ in range(turn):
                    await asyncio.sleep(0)
                await check.aclose()
                await run
            await check.run()


def test_module_imports_no_driver() -> None:
    script = (
        "import sys; import sidecar.checks.s3; "
        "print([name for name in sys.modules if name.partition('.')[0] in "
        "('aioboto3', 'aiobotocore', 'aiohttp', 'boto3', 'botocore')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
