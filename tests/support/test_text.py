"""Text for people, and secrets blotted out of it."""

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.support.text import Redactor, hide_userinfo, one_line, show_age, show_duration


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.05, "50ms"),
        (0.1 + 0.2, "300ms"),
        (1, "1s"),
        (1.5, "1500ms"),
        (9.9999, "10s"),
        (10, "10s"),
        (10.4, "10s"),
        (60, "1m"),
        (61, "61s"),
        (300, "5m"),
        (3600, "1h"),
        (5400, "90m"),
        (86400, "24h"),
    ],
)
def test_a_duration_is_written_as_in_the_configuration(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (3.9, "3s"),
        (59.9, "59s"),
        (60, "1m 0s"),
        (125, "2m 5s"),
        (3599, "59m 59s"),
        (15000, "4h 10m"),
    ],
)
def test_an_age_has_at_most_two_units(seconds: float, shown: str) -> None:
    assert show_age(seconds) == shown


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("  a\r\n\tb  \n", "a b"),
        ("a\x00\x1b[31mb", "a [31mb"),
        ("gr\u00fcn \u2028 \u200b", "gr\u00fcn"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "x" * 299 + "…"),
    ],
)
def test_one_line_is_short_and_printable(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://user:pass@host/vhost", "amqp://***@host/vhost"),
        ("at redis://:p@ss@host:6379", "at redis://***@host:6379"),
        ("https://host/path?mail=a@b", "https://host/path?mail=a@b"),
        ("mail to a@b", "mail to a@b"),
        ("two://a@b and two://c:d@e", "two://***@b and two://***@e"),
    ],
)
def test_userinfo_is_hidden_in_every_scheme(text: str, shown: str) -> None:
    assert hide_userinfo(text) == shown


@pytest.mark.parametrize(
    ("secrets", "text", "shown"),
    [
        ((), "redis://a:b@c", "redis://***@c"),
        (("hunter2",), "wrong password hunter2", "wrong password ***"),
        (("80", "abc"), "port 80 abc", "port 80 abc"),
        (("abcd", "abcdef"), "abcdef abcd", "*** ***"),
        (("p@ss word",), "p@ss word p%40ss%20word p%40ss+word p@ss%20word", "*** *** *** ***"),
        (("a/b/c/d",), "a%2fb/c%2Fd", "***"),
        (("line\none",), "line\none 'line\\none'", "*** '***'"),
        (('quo"te',), json.dumps('quo"te'), '"***"'),
        (("gr\u00fcn",), "gr\\u00fcn gr%C3%BCn gr\u00fcn", "*** *** ***"),
        (("a.b*c",), "aXbbc a.b*c", "aXbbc ***"),
        (('gr"\u00fcn',), 'gr\\"\u00fcn gr\\"\\u00fcn', "*** ***"),
        (("50%25",), "50%25 50%2525", "*** ***"),
        (("000%",), "000% 000%25", "*** ***"),
        (("abc\udcff",), "abc\udcff", "***"),
    ],
)
def test_secrets_are_blotted_out(secrets: tuple[str, ...], text: str, shown: str) -> None:
    assert Redactor(secrets)(text) == shown


@given(st.text(min_size=4), st.sampled_from([str, repr, json.dumps, quote, quote_plus]))
def test_no_encoding_of_a_secret_is_left(secret: str, encode: object) -> None:
    assert callable(encode)
    shown = Redactor([secret])(f"<{encode(secret)}>")

    assert shown in ("<***>", "<'***'>", '<"***">')
