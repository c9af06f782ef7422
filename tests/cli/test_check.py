"""`sidecar check`, as an init container, a pipeline or a person runs it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.network.fakes import refused, silent
from tests.process.program import Ended, run_sidecar


def write(folder: Path, **ports: int) -> str:
    """Write a configuration of TCP checks; the first gates startup, the others readiness."""
    gates = iter(["startup", *["readiness"] * len(ports)])
    path = folder / "config.yaml"
    path.write_text(
        "".join(
            f"- {{name: {name}, type: tcp, host: 127.0.0.1, port: {port}, gates: {next(gates)}}}\n"
            for name, port in ports.items()
        )
    )
    return str(path)


@asynccontextmanager
async def waiting(config: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar", "check", "--config", config, "--wait", "20s"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_all_passing_exits_with_0_and_shows_a_table(tmp_path: Path) -> None:
    async with silent() as db, silent() as cache:
        ended = await run_sidecar("check", "--config", write(tmp_path, db=db.port, cache=cache.port))

    rows = [line.split() for line in ended.out.splitlines()]
    assert (ended.code, ended.err, [[row[n] for n in (0, 1, 2, 4)] for row in rows]) == (
        0,
        "",
        [
            ["CHECK", "TYPE", "RESULT", "TARGET"],
            ["db", "tcp", "ok", f"127.0.0.1:{db.port}"],
            ["cache", "tcp", "ok", f"127.0.0.1:{cache.port}"],
        ],
    )


async def test_one_failing_exits_with_1_and_its_row_says_why(tmp_path: Path) -> None:
    async with silent() as db, refused() as cache:
        ended = await run_sidecar("check", "--config", write(tmp_path, db=db.port, cache=cache.port))

    reason, message = "refused", f"127.0.0.1:{cache.port} refused the connection"
    last = ended.out.splitlines()[-1]
    assert (ended.code, last.split()[2], last.endswith(message)) == (1, reason, True)


async def test_json_has_a_record_a_check(tmp_path: Path) -> None:
    async with silent() as db, refused() as cache:
        config = write(tmp_path, db=db.port, cache=cache.port)
        ended = await run_sidecar("check", "--config", config, "--output", "json")

    records = json.loads(ended.out)
    assert (
        ended.code,
        [{k: v for k, v in record.items() if k != "duration_seconds"} for record in records],
    ) == (
        1,
        [
            {
                "name": "db",
                "type": "tcp",
                "target": f"127.0.0.1:{db.port}",
                "outcome": "success",
                "reason": None,
                "message": "",
            },
            {
                "name": "cache",
                "type": "tcp",
                "target": f"127.0.0.1:{cache.port}",
                "outcome": "failure",
                "reason": "refused",
                "message": f"127.0.0.1:{cache.port} refused the connection",
            },
        ],
    )


@pytest.mark.parametrize("choice", [("--only", "db"), ("--gate", "startup")])
async def test_only_the_chosen_checks_run(tmp_path: Path, choice: tuple[str, str]) -> None:
    async with silent() as db, refused() as cache:
        config = write(tmp_path, db=db.port, cache=cache.port)
        ended = await run_sidecar("check", "--config", config, *choice, "--output", "json")

    assert (ended.code, [record["name"] for record in json.loads(ended.out)]) == (0, ["db"])


async def test_an_unknown_check_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    ended = await run_sidecar("check", "--config", write(tmp_path, sessions=1), "--only", "sesions")

    assert (ended.code, ended.err.splitlines()[-1]) == (
        2,
        (
            "Error: Invalid value for --only: "
            "unknown check 'sesions'; did you mean 'sessions'? choose from sessions"
        ),
    )


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (
            ("--gate", "liveness"),
            (
                "no check gates liveness, so that nothing would be proved: gates: startup stands at db; "
                "gates: readiness stands at cache, queue; "
                "write gates: liveness at the checks that are meant, or leave --gate out to run them all"
            ),
        ),
        (
            ("--gate", "startup", "--only", "cache"),
            (
                "no check gates startup, so that nothing would be proved: gates: readiness stands at cache; "
                "write gates: startup at the checks that are meant, or leave --gate out to run them all"
            ),
        ),
    ],
)
async def test_a_choice_that_would_prove_nothing_is_refused(
    tmp_path: Path, choice: tuple[str, ...], told: str
) -> None:
    ended = await run_sidecar("check", "--config", write(tmp_path, db=1, cache=2, queue=3), *choice)

    assert (ended.code, ended.out, ended.err.splitlines()[-1]) == (
        2,
        "",
        f"Error: Invalid value for --gate: {told}",
    )


async def test_a_gate_of_no_checks_at_all_is_refused() -> None:
    empty = "ungated: true\nchecks: []\n"
    ended = await run_sidecar("check", "--config", "-", "--gate", "startup", stdin=empty)

    assert (ended.code, ended.err.splitlines()[-1]) == (
        2,
        "Error: Invalid value for --gate: no check gates startup: there are no checks",
    )


async def test_what_the_checks_gate_is_told_as_it_is_written_and_in_bounds(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    checks = [
        f"{{name: c{n}, type: tcp, host: db, port: 1, gates: [readiness, liveness]}}" for n in range(12)
    ]
    path.write_text(f"[{', '.join([*checks, '{name: log, type: tcp, host: db, port: 1, gates: none}'])}]")

    ended = await run_sidecar("check", "--config", str(path), "--gate", "startup")

    first_ten = ", ".join(f"c{n}" for n in range(10))
    assert (
        f"gates: [liveness, readiness] stands at {first_ten} and 2 more; gates: none stands at log;"
        in (ended.err.splitlines()[-1])
    )


async def test_waiting_ends_when_the_last_check_passes(tmp_path: Path) -> None:
    async with refused() as db, waiting(write(tmp_path, db=db.port)) as process:
        assert process.stderr is not None
        first = (await process.stderr.readline()).decode()
        db.open()
        code = await asyncio.wait_for(process.wait(), 10)

    assert (first, code) == (f"waiting for db: refused: 127.0.0.1:{db.port} refused the connection\n", 0)


async def test_waiting_in_vain_exits_with_124_and_says_for_what(tmp_path: Path) -> None:
    async with refused() as db:
        ended = await run_sidecar("check", "--config", write(tmp_path, db=db.port), "--wait", "500ms")

    line = f"waiting for db: refused: 127.0.0.1:{db.port} refused the connection"
    assert (ended.code, ended.err.splitlines()[0]) == (124, line)


async def test_waiting_without_a_duration_waits_for_the_startup_deadline(tmp_path: Path) -> None:
    async with refused() as db:
        path = Path(write(tmp_path, db=db.port))
        checks = path.read_text().replace("- {", "  - {")
        path.write_text(f"startup: {{deadline: 300ms}}\nchecks:\n{checks}")

        ended = await run_sidecar("check", "--config", str(path), "--wait")

    assert ended.code == 124


async def test_a_duration_without_a_unit_is_refused(tmp_path: Path) -> None:
    ended = await run_sidecar("check", "--config", write(tmp_path, db=1), "--wait", "10")

    assert (ended.code, ended.err.splitlines()[-1]) == (
        2,
        (
            "Error: Invalid value for --wait: '10' is not a duration; write a whole number and one unit, "
            "such as 500ms, 10s, 5m or 1h; did you mean '10s'?"
        ),
    )


async def test_a_hanging_check_ends_with_its_timeout(tmp_path: Path) -> None:
    async with silent() as db:
        path = tmp_path / "config.yaml"
        path.write_text(
            f"- {{name: db, type: tcp, host: 127.0.0.1, port: {db.port}, tls: {{}}, timeout: 200ms}}\n"
        )

        ended = await run_sidecar("check", "--config", str(path), "--output", "json")

    (record,) = json.loads(ended.out)
    assert (ended.code, record["reason"], record["message"]) == (
        1,
        "timeout",
        f"127.0.0.1:{db.port}: gave no answer within 200ms",
    )


async def test_a_refused_configuration_exits_with_2_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("- {name: db, type: tcp, host: 127.0.0.1}\n")

    assert await run_sidecar("check", "--config", str(path)) == Ended(
        2, "", f"{path}:1:3: checks.db: the key port is missing: Port.\nthe configuration has 1 problem\n"
    )
