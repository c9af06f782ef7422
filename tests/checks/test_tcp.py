"""The check type `tcp`."""

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import pytest

from sidecar.config.problems import ConfigError
from sidecar.core.check import Reason
from sidecar.core.result import Outcome
from sidecar.runtime.runner import CANCEL_GRACE
from tests.checks.contract import (
    REASONS,
    SLACK,
    SUCCESS,
    CheckContract,
    Keys,
    assert_held,
    ending,
    held,
    load_one,
    mounted,
    names_from,
    run_once,
)
from tests.network import Address, FakeDns, silent
from tests.network.tls import UNTRUSTED, Certificates, server_context


def failed(reason: Reason, message: str) -> tuple[Outcome, Reason, str]:
    return Outcome.FAILURE, reason, message


class TestTcp(CheckContract):
    """Whatever a server says, it has accepted."""

    reasons: ClassVar[Mapping[str, Reason | None]] = MappingProxyType(
        {**dict.fromkeys(REASONS), "refused": Reason.REFUSED, "black hole": Reason.TIMEOUT}
    )

    def keys(self, address: Address) -> Keys:
        return {"type": "tcp", "host": address.host, "port": address.port}

    @pytest.fixture
    async def up(self) -> AsyncIterator[Address]:
        async with silent() as address:
            yield address


class TestTcpWithTls(CheckContract):
    reasons: ClassVar[Mapping[str, Reason | None]] = MappingProxyType(
        {**REASONS, "garbage": Reason.TLS, "endless": Reason.TLS}
    )

    def keys(self, address: Address) -> Keys:
        tls = {"ca": str(self.ca)}
        return {"type": "tcp", "host": address.host, "port": address.port, "tls": tls}

    @pytest.fixture(autouse=True)
    def trusted(self, certificates: Certificates) -> None:
        self.ca = certificates.ca

    @pytest.fixture
    async def up(self, certificates: Certificates) -> AsyncIterator[Address]:
        async with silent(tls=server_context(certificates.good)) as address:
            yield address


async def test_connects_anew_each_run_and_counts_it() -> None:
    async with silent() as address:
        keys = {"type": "tcp", "host": address.host, "port": address.port}
        async with mounted(keys) as runner:
            opened = [(await runner.run()).connections_opened for _ in range(3)]

    assert (opened, address.connections) == ([1, 1, 1], 3)


async def test_any_address_of_a_name_will_do() -> None:
    async with silent() as address, FakeDns({"two.test": ["127.0.0.2", "127.0.0.1"]}) as dns:
        names_from(dns)

        assert ending(await run_once({"type": "tcp", "host": "two.test", "port": address.port})) == SUCCESS


async def test_a_name_none_of_whose_addresses_listens_is_refused() -> None:
    async with FakeDns({"two.test": ["127.0.0.2", "127.0.0.3"]}) as dns:
        names_from(dns)
        result = await run_once({"type": "tcp", "host": "two.test", "port": 9})

    assert ending(result) == failed(Reason.REFUSED, "two.test:9 refused the connection")


@pytest.mark.parametrize(
    ("records", "what"), [({}, "the name does not exist"), ({"x.test": ["TXT a"]}, "the name does not exist")]
)
async def test_a_name_without_an_address_is_dns(records: Mapping[str, list[str]], what: str) -> None:
    async with FakeDns(records) as dns:
        names_from(dns)
        result = await run_once({"type": "tcp", "host": "x.test", "port": 9})

    assert ending(result) == failed(Reason.DNS, f"x.test:9: {what}")


async def test_a_name_server_that_does_not_answer_is_dns() -> None:
    async with FakeDns(silent=["x.test"]) as dns:
        names_from(dns, timeout=0.05, tries=1)
        result = await run_once({"type": "tcp", "host": "x.test", "port": 9})

    assert ending(result) == failed(Reason.DNS, "x.test:9: the name could not be looked up: no answer")


async def test_a_name_that_hangs_ends_at_the_deadline_and_leaves_nothing() -> None:
    async with FakeDns(silent=["hung.test"]) as dns:
        names_from(dns)
        async with mounted({"type": "tcp", "host": "hung.test", "port": 9}, deadline="100ms") as runner:
            results = [await runner.run()]
            after_one = held()  # with the resolver's socket, on which it goes on asking for a while
            results += [await runner.run() for _ in range(3)]
            await assert_held(after_one)

    assert {result.reason for result in results} == {Reason.TIMEOUT}
    assert max(result.duration for result in results) < 0.1 + CANCEL_GRACE + SLACK


class TestCertificate:
    async def ask(
        self, certificates: Certificates, served: Any, *, tls: object = None, **more: object
    ) -> tuple[Outcome, Reason | None, str]:
        async with silent(tls=server_context(served)) as address:
            tls = {"ca": str(certificates.ca)} if tls is None else tls
            keys = {"type": "tcp", "host": address.host, "port": address.port, "tls": tls, **more}
            outcome, reason, message = ending(await run_once(keys))
        return outcome, reason, message.replace(str(address), "SITE")

    async def test_one_that_is_good_for_long(self, certificates: Certificates) -> None:
        assert await self.ask(certificates, certificates.good) == SUCCESS

    @pytest.mark.parametrize(
        ("within", "outcome"),
        [
            (None, (Outcome.WARNING, None, "the certificate ends in 2.0 days")),
            ("49h", (Outcome.WARNING, None, "the certificate ends in 2.0 days")),
            ("47h", SUCCESS),
        ],
    )
    async def test_one_that_ends_soon_is_a_warning(
        self, certificates: Certificates, within: str | None, outcome: object
    ) -> None:
        more = {"expires_within": within} if within else {}

        assert await self.ask(certificates, certificates.soon_expiring, **more) == outcome

    @pytest.mark.parametrize(("name", "problem"), UNTRUSTED)
    async def test_a_bad_one(self, certificates: Certificates, name: str, problem: str) -> None:
        assert await self.ask(certificates, getattr(certificates, name)) == failed(
            Reason.TLS, f"SITE has a certificate that is not trusted: {problem}"
        )

    async def test_server_name_is_the_name_to_verify(self, certificates: Certificates) -> None:
        tls = {"ca": str(certificates.ca), "server_name": "elsewhere.test"}

        assert await self.ask(certificates, certificates.wrong_name, tls=tls) == SUCCESS

    async def test_insecure_verifies_nothing(self, certificates: Certificates) -> None:
        assert await self.ask(certificates, certificates.expired, tls={"insecure": True}) == SUCCESS

    async def test_the_system_does_not_trust_an_authority_of_ours(self, certificates: Certificates) -> None:
        assert await self.ask(certificates, certificates.good, tls={}) == failed(
            Reason.TLS, "SITE has a certificate that is not trusted: unable to get local issuer certificate"
        )

    async def test_ssl_cert_file_names_the_authorities_of_the_system(
        self, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))

        assert await self.ask(certificates, certificates.good, tls={}) == SUCCESS

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (None, "no such file or directory"),
            ("", "not a certificate and its key"),
            ("x", "not a certificate and its key"),
        ],
    )
    async def test_a_file_that_is_no_certificate(
        self, certificates: Certificates, tmp_path: Any, content: str | None, problem: str
    ) -> None:
        ca = tmp_path / "ca.pem"
        if content is not None:
            ca.write_text(content)

        assert await self.ask(certificates, certificates.good, tls={"ca": str(ca)}) == failed(
            Reason.TLS, f"the TLS files {ca} cannot be used: {problem}"
        )


def test_expiry_without_tls_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs the key tls beside it"):
        load_one({"type": "tcp", "host": "a", "port": 1, "expires_within": "1h"})


def test_the_target_is_the_address() -> None:
    (config,) = load_one({"type": "tcp", "host": "2001:db8::1", "port": 1}).checks

    assert (config.target, config.hosts) == ("[2001:db8::1]:1", ("2001:db8::1",))
