"""Whatever a dependency answers, a run ends: as a success or a failure with a reason, in time, discreetly.

By check type the parsers of ours that this is about: `_management`, `_broker`, `_delivery`, `_topology` and
`_behaviour` (rabbitmq-delivery, rabbitmq-inflight), `_answer` and `_aiohttp` (http), `_s3_answers` and `_aws`
(s3), `_amqp` (rabbitmq), the replies of redis, the rows and errors of postgres.
"""

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.frame import marshal

from tests.checks.contract import SECRET
from tests.checks.rabbit_fake import CHANNEL, OPEN_OK, START, TUNE
from tests.checks.s3_fakes import s3_error
from tests.fuzz.bench import ECHO, Bench, answer_with, ask, bench, sound
from tests.fuzz.profile import tries
from tests.fuzz.strategies import bent, http_answer, http_answers, json_bodies
from tests.network import Address, Connection

LOGIN: Final = f"user:{quote(SECRET, safe='')}"


@pytest.fixture(scope="module")
def stage() -> Iterator[Bench]:
    with bench() as made:
        yield made


QUEUE: Final = {
    "name": "q",
    "durable": True,
    "auto_delete": False,
    "exclusive": False,
    "type": "quorum",
    "arguments": {"x-dead-letter-exchange": "x", "x-max-length": 5},
    "effective_policy_definition": {"max-length": 7},
    "messages": 3,
    "messages_ready": 2,
    "messages_unacknowledged": 1,
    "messages_persistent": 3,
    "message_stats": {"deliver_no_ack": 1, "publish": 2, "return_unroutable": 1, "drop_unroutable": 0},
    "consumer_details": [
        {
            "consumer_tag": "c",
            "ack_required": True,
            "prefetch_count": 9,
            "channel_details": {"connection_name": "127.0.0.1:5 -> 127.0.0.1:6", "peer_host": "127.0.0.1"},
        }
    ],
}
API: Final[Mapping[str, Any]] = {
    "health": {"status": "ok", "reason": "all is well"},
    "exchanges": {
        "items": [
            {
                "name": "x",
                "type": "topic",
                "durable": True,
                "auto_delete": False,
                "internal": False,
                "arguments": {"alternate-exchange": "y"},
                "policy": "p",
            }
        ]
    },
    "queues": QUEUE,
    "bindings": [{"destination": "q", "destination_type": "queue", "routing_key": "a.b", "arguments": {}}],
    "vhosts": [{"name": "/", "message_stats": {"publish": 5, "return_unroutable": 1}}],
    "whoami": {"name": "user", "tags": ["monitoring"]},
    "channels": {"items": [{"name": "c", "vhost": "/", "messages_unacknowledged": 0, "consumer_count": 1}]},
    "connections": [{"name": "c", "vhost": "/", "user_provided_name": "app", "consumer_count": 2}],
}
"""What a sound broker says below each path."""
KEYS: Final = sorted(
    {
        key
        for answer in (QUEUE, *API.values())
        for each in ([answer] if isinstance(answer, dict) else answer)
        for key in each
    }
    | {"items", "error", "reason", "x-dead-letter-exchange", "connection_name", "publish"}
)


def api_answers(path: str) -> st.SearchStrategy[bytes]:
    sound = json_bodies(bent(API[path], KEYS)).map(lambda body: http_answer(200, [], body))
    return st.integers(0, 4).flatmap(
        lambda dice: sound if dice else http_answers(json_bodies(bent(API[path], KEYS)))
    )


SOUND: Final = {path: http_answer(200, [], json.dumps(answer).encode()) for path, answer in API.items()}
APIS = (
    st.lists(st.sampled_from(sorted(API)), min_size=1, max_size=3, unique=True)
    .flatmap(lambda paths: st.fixed_dictionaries({path: api_answers(path) for path in paths}))
    .map(lambda answers: {**SOUND, **answers})
)
"""A broker that is sound but for some paths: one that is not at the first is never asked for the others."""


async def as_an_api(connection: Connection, answers: Mapping[str, bytes]) -> None:
    while True:
        heard = await connection.read_until(b"\r\n\r\n")
        path = heard.split()[1].decode().removeprefix("/api/").partition("?")[0]
        first, *_ = path.split("/")
        kind = "bindings" if path.endswith("/bindings/source") else first
        if not answers.get(kind):
            return
        await answer_with(connection, answers[kind], heard)


def delivery(address: Address) -> Mapping[str, Any]:
    return {
        "type": "rabbitmq-delivery",
        "url": f"amqp://{LOGIN}@amqp.test/",
        "management_url": f"http://{LOGIN}@{address}",
        "exchanges": [{"name": "x", "type": "topic"}],
        "queues": [{"name": "q", "type": "quorum", "arguments": {"x-max-length": 5}}],
        "bindings": [{"exchange": "x", "queue": "q", "routing_key": "a.b"}],
        "dead_letter": "required",
        "consumers": {"min": 1, "prefetch": {"max": 100}},
        "messages": {},
        "unroutable": "forbid",
        "backlog": {"max_ready": 10},
        "own": {"connection_name": "app"},
    }


def inflight(address: Address) -> Mapping[str, Any]:
    return {
        "type": "rabbitmq-inflight",
        "url": f"amqp://{LOGIN}@amqp.test/",
        "management_url": f"http://{LOGIN}@{address}",
    }


def named_inflight(address: Address) -> Mapping[str, Any]:
    return {**inflight(address), "connection_name": "app"}


@pytest.mark.parametrize("keys", [delivery, inflight, named_inflight])
@tries(25)
@given(answers=APIS)
def test_whatever_a_management_api_answers(stage: Bench, keys: Any, answers: Mapping[str, bytes]) -> None:
    sound(stage.run(ask(keys, lambda connection: as_an_api(connection, answers))))


async def as_told(connection: Connection, replies: Sequence[bytes]) -> None:
    """Say a reply after each thing that is said; hang up in the end."""
    for reply in replies:
        heard = await connection.read()
        await answer_with(connection, reply, heard)


def http(address: Address) -> Mapping[str, Any]:
    return {
        "type": "http",
        "url": f"http://{LOGIN}@{address}/health?token={quote(SECRET, safe='')}",
        "headers": {"X-Token": f"Token {SECRET}"},
        "expect": {"status": [200, "204-299"], "header": {"server": "sidecar"}, "matches": "o.*k"},
    }


def body_alone(address: Address) -> Mapping[str, Any]:
    return {**http(address), "expect": {"status": "100-599", "matches": "o.*k"}}


@pytest.mark.parametrize("keys", [http, body_alone])
@tries(80)
@given(
    reply=http_answers(st.one_of(st.binary(max_size=300), st.just(b"-az" * 20_000), st.just(b"xn--\xff.")))
)
def test_whatever_a_web_server_answers(stage: Bench, keys: Any, reply: bytes) -> None:
    sound(stage.run(ask(keys, lambda connection: as_told(connection, [reply]))))


def s3(address: Address) -> Mapping[str, Any]:
    return {
        "type": "s3",
        "bucket": "builds",
        "region": "eu-west-1",
        "endpoint_url": f"http://{address}",
        "access_key_id": "AKIAGIVEN",
        "secret_access_key": SECRET,
        "session_token": SECRET,
        "operation": "get",
    }


CODES = st.sampled_from(
    ["AccessDenied", "RequestTimeTooSkewed", "KMS.Disabled", "PermanentRedirect", "", "é", "x" * 999]
)
XML = st.one_of(
    st.builds(
        lambda code, message, details: s3_error(403, code, message, details=details).partition(b"\r\n\r\n")[
            2
        ],
        CODES,
        st.sampled_from(["", "no", ECHO.decode(), "x" * 290 + ECHO.decode(), "\x9b31m"]),
        st.sampled_from(
            ["", "<Region>eu-west-1</Region>", f"<Region>{ECHO.decode()}</Region>", "<Region/>", "<a>"]
        ),
    ),
    st.sampled_from(
        [b"", b"<", b"<Error/>", b"<a>" * 5000, b"<?xml version='1.0' encoding='idna'?><Error/>"]
    ),
    st.binary(max_size=100),
)


@tries(50)
@given(replies=st.lists(http_answers(XML), min_size=1, max_size=2))
def test_whatever_a_store_answers(stage: Bench, replies: list[bytes]) -> None:
    sound(stage.run(ask(s3, lambda connection: as_told(connection, replies))))


def redis(address: Address) -> Mapping[str, Any]:
    return {"type": "redis", "url": f"redis://{LOGIN}@{address}/1", "write": True, "role": "primary"}


RESP = st.lists(
    st.sampled_from(
        [
            b"+OK\r\n",
            b"+PONG\r\n",
            b"-ERR " + ECHO + b"\r\n",
            b"-NOAUTH x\r\n",
            b"-WRONGPASS " + ECHO + b"\r\n",
            b"$-1\r\n",
            b"$5\r\nhello\r\n",
            b"$99999999999\r\n",
            b"*-1\r\n",
            b"*1\r\n$6\r\nmaster\r\n",
            b":1\r\n",
            b":x\r\n",
            b"%1\r\n+a\r\n+b\r\n",
            b">1\r\n+x\r\n",
            b"*1\r\n" * 3000,
            b"_\r\n",
            b"#t\r\n",
            b",nan\r\n",
            b"(9\r\n",
            b"=4\r\ntxt:\r\n",
            b"!3\r\nERR\r\n",
            b"~1\r\n:1\r\n",
            b"\xff\r\n",
            b"+\xff\r\n",
        ]
    ),
    max_size=4,
).map(b"".join)


@tries(60)
@given(replies=st.lists(st.one_of(RESP, st.binary(max_size=30)), min_size=1, max_size=6))
def test_whatever_a_redis_answers(stage: Bench, replies: list[bytes]) -> None:
    sound(stage.run(ask(redis, lambda connection: as_told(connection, replies))))


def rabbitmq(address: Address) -> Mapping[str, Any]:
    return {"type": "rabbitmq", "url": f"amqp://{LOGIN}@{address}/", "round_trip": True, "exchanges": ["x"]}


CLOSE, CHANNEL_CLOSE, BLOCKED = b"\x00\x0a\x00\x32", b"\x00\x14\x00\x28", b"\x00\x0a\x00\x3c"


def frame(method: bytes, code: int, text: bytes) -> bytes:
    """Return a frame that says why; its text is whole, for what a broker has cut nobody can blot out."""
    number = b"" if method == BLOCKED else struct.pack("!H", code)
    body = method + number + bytes([len(text)]) + text + b"\0\0\0\0"
    return b"\x01\0\0" + struct.pack("!I", len(body)) + body + b"\xce"


FRAMES = st.one_of(
    st.sampled_from([marshal(frame, 0) for frame in (START, TUNE, OPEN_OK)]),
    st.sampled_from([marshal(frame, 1) for frame in CHANNEL]),
    st.builds(
        frame,
        st.sampled_from([CLOSE, CHANNEL_CLOSE, BLOCKED]),
        st.integers(0, 65535),
        st.sampled_from([b"", b"\xff" * 255, SECRET.encode()]),
    ),
    st.binary(max_size=40),
    st.sampled_from(
        [b"AMQP\0\0\x09\x01", b"\x01\0\0\xff\xff\xff\xff", b"\x01\0\0\0\0\0\0\xce", b"\x08\0\0\0\0\0\0\xce"]
    ),
)
GREETING = [marshal(frame, 0) for frame in (START, TUNE, OPEN_OK)]


@tries(50)
@given(
    greeting=st.integers(0, 3),
    replies=st.lists(FRAMES, min_size=1, max_size=4),
)
def test_whatever_a_broker_says(stage: Bench, greeting: int, replies: list[bytes]) -> None:
    said = [*GREETING[:greeting], *replies]
    sound(stage.run(ask(rabbitmq, lambda connection: as_told(connection, said))))


def postgres(address: Address) -> Mapping[str, Any]:
    return {
        "type": "postgres",
        "url": f"postgres://{LOGIN}@{address}/db",
        "max_lag": "10s",
        "migrations": {"table": "t", "column": "c", "at_least": "1.2"},
        "unique": [{"table": "t", "columns": ["a"]}],
    }


def message(kind: bytes, body: bytes, lie: int = 0) -> bytes:
    return kind + struct.pack("!i", len(body) + 4 + lie) + body


FIELDS = st.lists(
    st.sampled_from(
        [
            b"SFATAL\0",
            b"VFATAL\0",
            b"C28P01\0",
            b"C3D000\0",
            b"C42P01\0",
            b"C\xff\0",
            b"M" + ECHO + b"\0",
            b"M\xff\0",
        ]
    ),
    max_size=5,
).map(b"".join)
MESSAGES = st.one_of(
    st.builds(message, st.just(b"E"), FIELDS.map(lambda body: body + b"\0")),
    st.builds(
        message,
        st.sampled_from([b"R", b"S", b"K", b"Z", b"T", b"D", b"C", b"1", b"2", b"n", b"t", b"N", b"v", b"G"]),
        st.one_of(
            st.sampled_from(
                [b"\0\0\0\0", b"I", b"\0\0\0\x0aSCRAM-SHA-256\0\0", b"\0\0\0\x05abcd", b"\0\x01"]
            ),
            st.binary(max_size=20),
        ),
        st.sampled_from([0, 0, 0, -4, -9, 1, 2**30]),
    ),
    st.binary(max_size=20),
)


@tries(50)
@given(prelude=st.sampled_from([b"N", b"S", b""]), replies=st.lists(MESSAGES, min_size=1, max_size=5))
def test_whatever_a_database_answers(stage: Bench, prelude: bytes, replies: list[bytes]) -> None:
    said = [prelude, *replies] if prelude else replies
    sound(stage.run(ask(postgres, lambda connection: as_told(connection, said))))
