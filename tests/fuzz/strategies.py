"""Bytes that are nearly what is meant: answers of HTTP, JSON of an API, words of a protocol."""

import json
from collections.abc import Iterator, Mapping, Sequence
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
REPLACED, MISSING, UNKNOWN = range(3)
"""What dice say that becomes of a part of a value."""
LEAVES = st.one_of(st.none(), st.booleans(), ODD_NUMBERS, ODD_TEXTS, st.just(ECHO.decode()))


def values(keys: Sequence[str], leaves: SearchStrategy[Any] = LEAVES) -> SearchStrategy[Any]:
    """Return anything that JSON can say, with these keys in its objects."""
    names = st.sampled_from(keys)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
        max_leaves=8,
    )


def keys_in(value: Any) -> list[str]:
    """Return the keys of all mappings in a value, however deep, in order."""
    return sorted({key for each in _parts(value) if isinstance(each, Mapping) for key in each})


def bent(sound: Any, keys: Sequence[str], leaves: SearchStrategy[Any] = LEAVES) -> SearchStrategy[Any]:
    """Return a sound value, or one of which a few parts are missing, unknown, or replaced by anything."""
    anything = values(keys, leaves)
    unknown = st.dictionaries(st.sampled_from(keys), anything, min_size=1, max_size=1)
    dice = st.integers(0, max(9, len(list(_parts(sound))) // 2))

    def bend(draw: st.DrawFn, value: Any) -> Any:
        die = draw(dice)
        if die == REPLACED:
            return draw(anything)
        if isinstance(value, list):
            return [bend(draw, each) for each in value]
        if not isinstance(value, Mapping) or not value:
            return value
        left_out = draw(st.sampled_from(sorted(value))) if die == MISSING else None
        more = draw(unknown) if die == UNKNOWN else {}
        return {**{key: bend(draw, each) for key, each in value.items() if key != left_out}, **more}

    return st.composite(bend)(sound)


def _parts(value: Any) -> Iterator[Any]:
    yield value
    for each in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _parts(each)


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
        b"Retry-After: " + b"9" * 5000 + b"\r\n",
        b"Retry-After: \xd9\xa3\r\n",
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
