"""Addresses: which are our own, and how they are written."""

import pytest

from sidecar.support.net import is_literal, is_loopback, show_address


@pytest.mark.parametrize(
    ("host", "port", "shown"),
    [
        ("redis", 6379, "redis:6379"),
        ("192.0.2.1", 80, "192.0.2.1:80"),
        ("2001:db8::1", 80, "[2001:db8::1]:80"),
        ("2001:db8::1", None, "[2001:db8::1]"),
        ("redis", None, "redis"),
    ],
)
def test_an_address_is_written_as_in_a_url(host: str, port: int | None, shown: str) -> None:
    assert show_address(host, port) == shown


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("redis", False),
        ("127.1", False),
        ("010.0.0.1", False),
        ("", False),
    ],
)
def test_a_literal_is_an_address_and_no_name(host: str, is_one: bool) -> None:
    assert is_literal(host) == is_one


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("app.localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("::", True),
        ("localhost.example.com", False),
        ("mylocalhost", False),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
    ],
)
def test_loopback_is_this_very_pod(host: str, is_one: bool) -> None:
    assert is_loopback(host) == is_one
