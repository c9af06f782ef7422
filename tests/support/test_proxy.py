"""Which proxy the environment prescribes."""

import pytest

from sidecar.support.proxy import proxy_for

PROXY = "http://proxy.test:3128"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for scheme in ("http", "https", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme.upper()}_PROXY", raising=False)
    return monkeypatch


def test_no_variable_is_no_proxy() -> None:
    assert proxy_for("https", "example.com", 443) is None


@pytest.mark.parametrize(
    ("variable", "value", "proxy"),
    [
        ("HTTPS_PROXY", PROXY, PROXY),
        ("https_proxy", PROXY, PROXY),
        ("HTTPS_PROXY", "proxy.test:3128", PROXY),
        ("HTTP_PROXY", PROXY, None),
        ("HTTPS_PROXY", "", None),
    ],
)
def test_a_scheme_has_its_variable(
    environment: pytest.MonkeyPatch, variable: str, value: str, proxy: str | None
) -> None:
    environment.setenv(variable, value)

    assert proxy_for("https", "example.com", 443) == proxy


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_never_goes_through_a_proxy(environment: pytest.MonkeyPatch, host: str) -> None:
    environment.setenv("HTTP_PROXY", PROXY)

    assert proxy_for("http", host, 80) is None


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_exempt"),
    [
        ("*", "example.com", True),
        ("*", "192.0.2.1", True),
        ("example.com", "example.com", True),
        ("example.com", "EXAMPLE.com", True),
        ("example.com", "www.example.com", True),
        ("example.com", "notexample.com", False),
        (".example.com", "www.example.com", True),
        (".example.com", "example.com", True),
        ("example.com:443", "example.com", True),
        ("example.com:80", "example.com", False),
        ("other.test, .svc", "redis.default.svc", True),
        ("other.test,,", "redis.default.svc", False),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1:443", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.10", False),
        ("2.1", "192.0.2.1", False),
        ("192.0.2.0/24", "192.0.2.1", True),
        ("192.0.2.200/24", "192.0.2.1", True),
        ("198.51.100.0/24", "192.0.2.1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("[2001:db8::1]", "2001:db8::1", True),
        ("[2001:db8::1]:443", "2001:db8::1", True),
        ("192.0.2.0/24", "2001:db8::1", False),
        ("192.0.2.0/24", "name.test", False),
    ],
)
def test_no_proxy_exempts_hosts_domains_and_networks(
    environment: pytest.MonkeyPatch, no_proxy: str, host: str, is_exempt: bool
) -> None:
    environment.setenv("HTTPS_PROXY", PROXY)
    environment.setenv("NO_PROXY", no_proxy)

    assert proxy_for("https", host, 443) == (None if is_exempt else PROXY)
