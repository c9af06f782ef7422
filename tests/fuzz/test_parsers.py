"""Whatever is in foreign bytes, each parser of ours returns or raises what it documents, and soon.

What a dependency answers is in `test_answers`, what a client says in `test_http_surface`, the configuration
in `test_configuration` and `tests/config/test_properties.py`. Files are in `test_files`, the cluster's
API in `test_kube`, deploys in `test_records` and `test_services`, manifests in `test_lint`. Here is the rest:
answers of another sidecar and of the DNS, the output of commands, messages that are sampled, what a catalog
says of indexes, dates, the environment's proxy.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.checks._broker import matches
from sidecar.checks._s3_answers import clock_of
from sidecar.checks._unique import Index, Table, why_not_unique
from sidecar.checks.exec import _ending
from sidecar.cli._address import Address
from sidecar.cli._asking import NoAnswerError, ask, show
from sidecar.cli.status import _as_json, _as_text
from sidecar.core.sample import Identifier, Message
from sidecar.support.process import Ended
from sidecar.support.proxy import proxy_for
from sidecar.support.thread import in_thread
from tests.checks.contract import SECRET
from tests.fuzz.bench import TIMEOUT, Bench, bench, mounted, sound, within
from tests.fuzz.profile import tries
from tests.fuzz.strategies import ODD_TEXTS, bent, http_answers, json_bodies, values
from tests.network import Connection, talking


@pytest.fixture(scope="module")
def stage() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@tries(100)
@given(reply=http_answers(json_bodies(values(["phase", "checks"]))))
def test_any_answer_to_a_verb_is_one_or_none(stage: Bench, reply: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.read()
        await connection.send(reply)

    async def asked() -> str:
        async with talking(script) as fake:
            address = Address(fake.host, fake.port)
            try:
                answer = await in_thread(lambda: ask(address, "/readyz", timeout=TIMEOUT), name="ask")
            except NoAnswerError as error:
                return str(error)
        return show(answer.body).replace("\n", "")

    with within():
        assert stage.run(asked()).isprintable()


CHECK: Final = {
    "name": "db",
    "type": "tcp",
    "gates": ["readiness"],
    "status": "up",
    "since_seconds": 1.5,
    "streak": 3,
    "outcomes": ["success", "failure"],
    "age_seconds": 2.0,
    "next_run_seconds": None,
    "reason": None,
    "message": "",
    "is_stale": False,
    "is_new": False,
}
BOARD: Final = {"phase": "serving", "startup_passed": True, "uptime_seconds": 9.0, "checks": [CHECK]}
NO_BOARD: Final = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What `sidecar status` takes for the sign of somebody else."""


@tries(40)
@given(board=bent(BOARD, [*BOARD, *CHECK]))
def test_any_board_is_shown_or_none(board: Any) -> None:
    with within():
        with suppress(*NO_BOARD):
            assert _as_text(board).replace("\n", "").isprintable()
        with suppress(ValueError):
            assert _as_json(board).isascii()


RECORDS = st.sampled_from(["A", "AAAA", "CNAME", "MX", "SRV", "TXT", None])
HEADS = st.sampled_from(
    [b"\x81\x80", b"\x80\x00", b"\x83\x80", b"\x81\x83", b"\x81\x82", b"\x81\x85", b"\x00\x00"]
)
COUNTS = st.sampled_from(
    [b"\0\1\0\1\0\0\0\0", b"\0\1\0\0\0\0\0\0", b"\xff\xff\xff\xff\0\0\0\0", b"\0\1\0\2\0\1\0\1"]
)
DATA = st.sampled_from(
    [
        b"\xc0\x0c\0\x10\0\1\0\0\0\1\0\4\3\xff\xfe\xfd",
        b"\xc0\x0c\0\x05\0\1\0\0\0\1\0\2\xc0\x0c",
        b"\xc0\xff" * 9,
        b"\xc0\x0c\0\x0f\0\1\0\0\0\1\0\7\0\1\2\xff\x00\0",
        b"\xc0\x0c\0\x01\0\1\0\0\0\1\0\4\x7f\0\0\1",
        b"",
    ]
)


@asynccontextmanager
async def a_dns_server(head: bytes, counts: bytes, data: bytes) -> AsyncIterator[int]:
    """Repeat the question under its identity, with that before and behind it; yield the port."""
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as bound:
        bound.setblocking(False)
        bound.bind(("127.0.0.1", 0))

        def answer() -> None:
            question, client = bound.recvfrom(4096)
            bound.sendto(question[:2] + head + counts + question[12:] + data, client)

        loop.add_reader(bound, answer)
        yield bound.getsockname()[1]
        loop.remove_reader(bound)


@tries(80)
@given(record=RECORDS, head=HEADS, counts=COUNTS, data=st.one_of(DATA, st.binary(max_size=40)))
def test_any_answer_of_a_dns_server_is_a_result(
    stage: Bench, record: str | None, head: bytes, counts: bytes, data: bytes
) -> None:
    async def looked_up() -> None:
        async with a_dns_server(head, counts, data) as port:
            keys = {"type": "dns", "hostname": "x.test", "server": "127.0.0.1", "port": port}
            wanted = {"record": record, "expect": "x" if record == "TXT" else "192.0.2.1"} if record else {}
            async with mounted(keys | wanted) as runner:
                sound(await runner.run())

    stage.run(looked_up())


@tries(200)
@given(
    code=st.integers(-100, 255),
    output=st.one_of(st.binary(max_size=100).map(lambda b: b.decode(errors="replace")), ODD_TEXTS),
)
def test_any_end_of_a_command_is_a_line(code: int, output: str) -> None:
    with within():
        assert _ending(Ended(code, output)).isprintable()


WHERE = st.sampled_from(
    ["message_id", "header:x", "json:/x", "json:/x/0/q", "json:/", "json:/~1/~0", "json:/9" + "9" * 5000]
)


@tries(100)
@given(
    where=WHERE,
    headers=st.none() | st.dictionaries(st.just("x"), values(["x"])),
    body=json_bodies(values(["x", "q", "0"])),
)
def test_any_message_has_an_identifier_or_none(where: str, headers: Any, body: bytes) -> None:
    with within():
        found = Identifier.parse(where).of(Message(message_id=SECRET, headers=headers, body=body))

    assert found is None or isinstance(found, bytes)


SQL = st.lists(
    st.sampled_from(
        ["(", ")", "a", '"a"', "'", '"', " IS NOT NULL", " and ", " OR ", "''", "é", "\0", " ", "::text"]
    ),
    max_size=40,
).map("".join)
LONG = st.sampled_from(["(" * 4_000, "(" * 4_000 + ")" * 4_000, "'" * 4_001, "a and " * 2_000, "\"'" * 4_000])


@tries(80)
@given(
    expressions=st.one_of(SQL, LONG),
    predicate=st.one_of(SQL, LONG),
    where=st.one_of(SQL, LONG),
    name=ODD_TEXTS,
)
def test_any_index_is_judged_soon(expressions: str, predicate: str, where: str, name: str) -> None:
    index = Index(name=name, columns=frozenset("a"), expressions=expressions, predicate=predicate)
    table = Table(name="t", columns=frozenset("ab"), nullable=frozenset("a"), indexes=(index, index))

    with within():
        why = why_not_unique(table, ["a"], where)

    assert why is None or isinstance(why, str)


TOPICS = st.lists(st.sampled_from(["#", "*", "a", "", "é"]), max_size=8).map(".".join)


@tries(60)
@given(
    pattern=st.one_of(TOPICS, st.just("#." * 20_000), st.just("*.#." * 10_000)),
    key=st.one_of(TOPICS, st.just("a." * 127)),
)
def test_any_pattern_of_a_topic_is_matched_soon(pattern: str, key: str) -> None:
    with within():
        assert matches(pattern, key) in (True, False)


DATES = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(
            [
                "Thu, ",
                "01 ",
                "31 ",
                "Feb ",
                "Jan ",
                "2026 ",
                "99999 ",
                "-1 ",
                "00:00:00 ",
                "25:61:61 ",
                "GMT",
                "+9999",
                "-0000",
            ]
        ),
        max_size=7,
    ).map("".join),
)


@tries(300)
@given(date=DATES)
def test_any_date_is_a_time_or_none(date: str) -> None:
    with within():
        told = clock_of({"ResponseMetadata": {"HTTPHeaders": {"date": date}}})

    assert told is None or isinstance(told, float)


HOSTS = st.sampled_from(["db.example.com", "10.0.0.1", "2001:db8::1", "localhost", "x", ".", "é.example"])
ENTRIES = st.sampled_from(
    ["*", ".example.com", "10.0.0.0/8", "10.0.0.0/99", "[::1]", ":80", ",", " ", "/", "[", "..", "\u0660"]
)


@tries(200)
@given(
    host=HOSTS,
    port=st.none() | st.integers(0, 70_000),
    proxy=ODD_TEXTS.filter(lambda text: text.isprintable()),
    exempt=st.lists(ENTRIES, max_size=6).map(",".join),
)
def test_any_proxy_of_the_environment_is_one_or_none(
    host: str, port: int | None, proxy: str, exempt: str
) -> None:
    with patch.dict(os.environ, {"HTTPS_PROXY": proxy, "NO_PROXY": exempt}), within():
        found = proxy_for("https", host, port)

    assert found is None or "://" in found
