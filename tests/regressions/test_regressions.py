"""What other tools shipped: that the index of it is true, and what no other test shows."""

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.network import silent
from tests.network.fakes import Fake
from tests.process.harness import Sidecar, running
from tests.process.plugins import install
from tests.regressions.index import REGRESSIONS

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parents[2]
PROBES: Final = 100


@pytest.mark.parametrize("named", [each for tests in REGRESSIONS.values() for each in tests])
def test_every_test_of_the_index_is_there(named: str) -> None:
    path, _, name = named.partition("::")

    assert name in set(_functions(ast.parse((ROOT / path).read_text())))


def _functions(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{node.name}.")


def tcp(fake: Fake, *, interval: str = "60s") -> str:
    return f"  - {{name: db, type: tcp, host: 127.0.0.1, port: {fake.port}, interval: {interval}}}\n"


async def probe(sidecar: Sidecar, times: int) -> list[int]:
    """Return the codes of so many probes that come at once."""
    answers = await asyncio.gather(*(sidecar.get("/readyz") for _ in range(times)))
    return [code for code, _ in answers]


async def test_fifty_first_requests_ask_the_dependency_once(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, tcp(db)) as sidecar:
        await probe(sidecar, 50)
        await sidecar.until("/readyz", 200)

        assert (db.connections, await sidecar.runs("db")) == (1, 1)


async def test_a_probe_opens_no_connection(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, tcp(db)) as sidecar:
        await sidecar.until("/readyz", 200)
        held = sidecar.descriptors()

        codes = await probe(sidecar, PROBES)

        assert (codes, db.connections) == ([200] * PROBES, 1)
        async with asyncio.timeout(5):
            while sidecar.descriptors() > held:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0.01)


async def test_a_probe_is_no_line_of_the_log(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, tcp(db)) as sidecar:
        await sidecar.until_logged("check is up")
        before = len(sidecar.raw)

        await probe(sidecar, PROBES)
        await asyncio.gather(*(sidecar.get("/no-such-path") for _ in range(PROBES)))
        await sidecar.stop()

    told = [line["message"] for line in sidecar.log[before:]]
    assert told == ["drain began", "drain is over", "stopped"]


async def test_an_app_that_is_slow_to_be_notified_holds_up_no_check(tmp_path: Path) -> None:
    async with silent() as db, silent() as app:
        slow = f"drain: {{delay: 10s, notify: {{post: 'http://127.0.0.1:{app.port}/stop'}}}}"
        async with running(tmp_path, tcp(db, interval="100ms"), sections=slow) as sidecar:
            await sidecar.until("/readyz", 200)
            await sidecar.change_drain("POST")
            async with asyncio.timeout(1.5):  # the notification is given up after two seconds
                ran = await sidecar.runs("db")
                while await sidecar.runs("db") < ran + 5:  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.05)

            given_up = sidecar.times("could not notify the app")

    assert (app.connections, given_up) == (1, 0)


DYING: Final = """
from sidecar.runtime.board import Board

record = Board.record

def die_of_the_third(board, name, result):
    settled = record(board, name, result)
    if sum(next(board.entries()).tally.runs.values()) == 3:
        raise RuntimeError("a bug of ours")
    return settled

Board.record = die_of_the_third
"""


async def test_a_loop_that_dies_takes_the_last_200_with_it(tmp_path: Path) -> None:
    env = install(tmp_path, run="return None", prelude=DYING)
    async with running(tmp_path, "  - {name: db, type: trouble, interval: 500ms}\n", env=env) as sidecar:
        await sidecar.until("/readyz", 200)
        await sidecar.until_logged("a loop of our own crashed")
        code = await asyncio.wait_for(sidecar.process.wait(), 5)
        with pytest.raises(OSError, match="Connect call failed"):
            await sidecar.get("/readyz")

    assert code == 1
