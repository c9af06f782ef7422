"""Where the identifier of a message is, and what counts as one."""

import re

import pytest

from sidecar.core.sample import Identifier, Message, Source

BODY = b'{"a": {"b/c": ["x", {"~": 7}]}, "": "empty key", "no": null, "flag": true, "none": "", "0": "zero"}'


@pytest.mark.parametrize(
    ("text", "meant", "words"),
    [
        ("message_id", Identifier(), "message_id"),
        ("header:x-id", Identifier(Source.HEADER, "x-id"), "header x-id"),
        ("header:a:b", Identifier(Source.HEADER, "a:b"), "header a:b"),
        ("json:/a/b", Identifier(Source.JSON, "/a/b"), "value at /a/b"),
        ("json:/", Identifier(Source.JSON, "/"), "value at /"),
    ],
)
def test_what_may_be_written(text: str, meant: Identifier, words: str) -> None:
    parsed = Identifier.parse(text)

    assert (parsed, str(parsed)) == (meant, words)


@pytest.mark.parametrize(
    "text", ["", "id", "message_id:x", "header", "header:", "json", "json:", "json:a", "HEADER:a"]
)
def test_what_is_none_says_what_may_be_written(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape('write message_id, header:NAME or json:/pointer')}$"):
        Identifier.parse(text)


@pytest.mark.parametrize(
    ("where", "message", "identifier"),
    [
        ("message_id", Message(message_id="m"), b"'m'"),
        ("message_id", Message(message_id=""), None),
        ("message_id", Message(), None),
        ("header:x", Message(headers={"x": "h"}), b"'h'"),
        ("header:x", Message(headers={"x": 7}), b"7"),
        ("header:x", Message(headers={"x": b"raw"}), b"b'raw'"),
        ("header:x", Message(headers={"x": b""}), None),
        ("header:x", Message(headers={"x": False}), None),
        ("header:x", Message(headers={"x": ["h"]}), None),
        ("header:x", Message(headers={"y": "h"}), None),
        ("header:x", Message(), None),
        ("json:/a/b~1c/0", Message(body=BODY), b"'x'"),
        ("json:/a/b~1c/1/~0", Message(body=BODY), b"7"),
        ("json:/", Message(body=BODY), b"'empty key'"),
        ("json:/0", Message(body=BODY), b"'zero'"),
        ("json:/a/b~1c/2", Message(body=BODY), None),
        ("json:/a/b~1c/x", Message(body=BODY), None),
        ("json:/a/b~1c/-1", Message(body=BODY), None),
        ("json:/a/nothing/there", Message(body=BODY), None),
        ("json:/a/b~1c/" + "9" * 5000, Message(body=BODY), None),
        ("json:/no", Message(body=BODY), None),
        ("json:/flag", Message(body=BODY), None),
        ("json:/none", Message(body=BODY), None),
        ("json:/a", Message(body=BODY), None),
        ("json:/a", Message(body=b""), None),
        ("json:/a", Message(body=b"\xff\x00 no JSON"), None),
        ("json:/a", Message(body=b'{"a": "\\ud800"}'), b"'\\ud800'"),
        ("json:/a", Message(body=b"[" * 200_000), None),
        ("json:/a", Message(body=b'{"a": ' + b"9" * 5000 + b"}"), None),
    ],
)
def test_an_identifier_is_a_text_or_a_number(where: str, message: Message, identifier: bytes | None) -> None:
    assert Identifier.parse(where).of(message) == identifier


def test_a_message_shows_nothing_of_itself() -> None:
    assert repr(Message(message_id="m", headers={"x": "h"}, body=b"secret")) == "<Message>"
