"""Whatever bytes stand in a file that we are given, it is read or refused: soon, and without a word of it.

The files of a service account are in `test_kube`, those of receipts in `test_records`, those that a
configuration puts in with `${file:}` in `tests/config/test_properties.py`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.core.check import Reason
from sidecar.core.result import Result
from sidecar.runtime.latch import LatchRecord, read_latch
from tests.checks.contract import SECRET
from tests.fuzz.bench import Bench, answer_with, ask, bench, mounted, sound, within
from tests.fuzz.profile import tries
from tests.fuzz.strategies import bent, http_answer, http_answers, json_bodies, keys_in
from tests.network import Address, Connection
from tests.network.tls import Certificates
from tests.runtime.fakes import config as check_config


@pytest.fixture(scope="module")
def stage() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


LATCH: Final = {"format": 1, "key": "ab" * 32, "checks": {"db": "cd" * 64}}


@tries(80)
@given(content=json_bodies(bent(LATCH, keys_in(LATCH))))
def test_any_latch_file_is_a_record_or_none(folder: Path, content: bytes) -> None:
    (folder / "latch").write_bytes(content)

    with within():
        record = read_latch(folder / "latch")

        assert isinstance(record, LatchRecord)
        record.proved([check_config()])


BYTES: Final = st.one_of(
    st.binary(max_size=60),
    st.binary(max_size=60).map(lambda odd: SECRET.encode() + odd),
    st.just(SECRET.encode()),
    st.just(SECRET.encode()),
    st.sampled_from([SECRET.encode() + b"\r\nX: y", b"\xff" * 70_000, b"x" * 70_000]),
)


@tries(60)
@given(content=BYTES, reply=http_answers(st.just(b"<ECHO>")))
@example(content=SECRET.encode(), reply=http_answer(301, [b"Location: /<ECHO>\r\n"], b""))
def test_any_token_file_of_a_request_is_sent_or_refused(
    stage: Bench, folder: Path, content: bytes, reply: bytes
) -> None:
    token = folder / "token"
    token.write_bytes(content)

    def keys(address: Address) -> Mapping[str, Any]:
        return {"type": "http", "url": f"http://{address}/", "bearer_token_file": str(token)}

    async def script(connection: Connection) -> None:
        await answer_with(connection, reply, await connection.read())

    with within():
        sound(stage.run(ask(keys, script)))


@tries(60)
@given(content=BYTES, text=st.sampled_from(["x", "\u00e9", SECRET[:4], "ready\n", "xx" * 40_000]))
def test_any_file_contains_a_text_or_does_not(stage: Bench, folder: Path, content: bytes, text: str) -> None:
    path = folder / "heartbeat"
    path.write_bytes(content)

    with within():
        result = stage.run(_run({"type": "file", "path": str(path), "contains": text}))

    sound(result)
    assert (result.reason is None) == (text.encode() in content[: 64 * 1024])


async def _run(keys: Mapping[str, Any]) -> Result:
    async with mounted(keys) as runner:
        return await runner.run()


PEMS: Final = st.sampled_from(["ca", "cert", "key"])
"""What stands in a file, or begins it."""


def bytes_of(certificates: Certificates, kind: str) -> bytes:
    files = certificates.client
    return {"ca": certificates.ca, "cert": files.cert, "key": files.key}[kind].read_bytes()


@tries(60)
@given(
    kinds=st.lists(PEMS, min_size=3, max_size=3),
    broken=PEMS,
    at=st.integers(0, 400),
    odd=st.one_of(st.binary(max_size=30), st.just(SECRET.encode())),
)
def test_any_files_of_tls_are_used_or_refused(
    stage: Bench, folder: Path, certificates: Certificates, kinds: list[str], broken: str, at: int, odd: bytes
) -> None:
    paths = {name: folder / f"{name}.pem" for name in ("ca", "cert", "key")}
    for (name, path), kind in zip(paths.items(), kinds, strict=True):
        whole = bytes_of(certificates, kind)
        path.write_bytes(whole[:at] + odd + whole[at + len(odd) :] if name == broken else whole)

    def keys(address: Address) -> Mapping[str, Any]:
        tls = {name: str(path) for name, path in paths.items()}
        return {"type": "http", "url": f"https://{address}/", "tls": tls}

    with within():
        result = stage.run(ask(keys, lambda connection: answer_with(connection, odd, b"")))

    sound(result)
    assert result.reason in (Reason.TLS, Reason.UNAVAILABLE, Reason.TIMEOUT, Reason.PROTOCOL)
