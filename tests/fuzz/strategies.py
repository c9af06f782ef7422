"""Bytes that are nearly what is meant: answers of HTTP, JSON of an API, words of a protocol."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.checks.contract import SECRET
from tests.fuzz.bench import ECHO

ODD_TEXTS = st.sampled_from(
    [
        "",
        "x",
        "q",
        "/",
        "..",
        "\ud800",
        "\0",
        "a" * 300,
        "é\u202e\x9b31m",
        SECRET,
        "x" * 70 + SECRET,
        "#." * 50,
    ]
)
ODD_NUMBERS = st.sampled_from([0, 1, -1, 2**63, 10**400, 1.5, -0.0, float("inf"), float("nan")])
LEAVES = st.one_of(st.none(), st.booleans(), ODD_NUMBERS, ODD_TEXTS, st.just(ECHO.decode()))


def values(keys: Sequence[str]) -> SearchStrategy[Any]:
    """Return anything that JSON can say, with these keys in its objects."""
    names = st.sampled_from(keys)
    return st.recursive(
        LEAVES,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
        max_leaves=8,
    )


def bent(sound: Any, keys: Sequence[str]) -> SearchStrategy[Any]:
    """Return a sound value, or one of which some part is replaced by anything."""
    anything = values(keys)
    if isinstance(sound, Mapping):
        parts: dict[str, SearchStrategy[Any]] = {key: _mostly(value, keys) for key, value in sound.items()}
        extra = st.dictionaries(st.sampled_from(keys), anything, max_size=1)
        whole: SearchStrategy[Any] = st.builds(
            lambda fixed, more: {**fixed, **more}, st.fixed_dictionaries(parts), extra
        )
    elif isinstance(sound, list):
        whole = st.tuples(*(_mostly(each, keys) for each in sound)).map(list)
    else:
        whole = st.just(sound)
    return st.integers(0, 9).flatmap(lambda dice: whole if dice else anything)


def _mostly(value: Any, keys: Sequence[str]) -> SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda dice: bent(value, keys) if dice else values(keys))


STATUSES = st.sampled_from([200, 200, 200, 200, 204, 301, 307, 400, 401, 403, 404, 404, 429, 500, 503, 599])
HEADERS = st.sampled_from(
    [
        b"",
        b"Location: http://u:" + SECRET.replace(" ", "").encode() + b"@h/x\r\n",
        b"Location: /" + b"y" * 40 + ECHO + b"\r\n",
        b'WWW-Authenticate: Basic realm="' + ECHO + b'"\r\n',
        b"Content-Type: text/html; charset=idna\r\n",
        b"Content-Type: text/html; charset=undefined\r\n",
        b"Content-Type: text/html; charset=punycode\r\n",
        b"Content-Type: application/xml\r\n",
        b"Content-Type: ;;;=\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Retry-After: 1e999\r\n",
        b"Date: Thu, 01 Jan 99999 00:00:00 GMT\r\n",
        b"Date: Mon, 31 Feb 2026 25:61:61 GMT\r\n",
        b"x-amz-bucket-region: \xff" + ECHO + b"\r\n",
        b"Last-Modified: never\r\n",
        b'ETag: "e1"\r\n',
        b"Set-Cookie: \xff=\x80\r\n",
        b"Server: sidecar\r\n",
    ]
)


def http_answer(status: int, headers: Sequence[bytes], body: bytes, *, lie: int = 0) -> bytes:
    """Return an answer of HTTP, whose length may be a lie."""
    head = f"HTTP/1.1 {status} So\r\n".encode() + b"".join(headers)
    return head + f"Content-Length: {max(len(body) + lie, 0)}\r\n\r\n".encode() + body


def http_answers(bodies: SearchStrategy[bytes]) -> SearchStrategy[bytes]:
    """Return answers with such bodies; now and then something that is none."""
    lies = st.sampled_from([0, 0, 0, 0, 0, -1, 1])
    made = st.builds(http_answer, STATUSES, st.lists(HEADERS, max_size=3), bodies, lie=lies)
    return st.one_of(made, made, made, made, st.binary(max_size=200))


def json_bodies(objects: SearchStrategy[Any]) -> SearchStrategy[bytes]:
    """Return JSON, and what is nearly so."""
    told = objects.map(lambda value: json.dumps(value).encode())
    broken = st.sampled_from(
        [b"", b"[" * 100_000, b"9" * 5000, b'"\\ud800"', b"\xff{}", b"{" + ECHO, b"null"]
    )
    return st.one_of(told, told, told, broken, st.binary(max_size=50))
