"""The start of the real process: what ends it with 3, what a restart remembers, what it leaves for people."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.network.fakes import silent
from tests.process.harness import Sidecar, free_port, running
from tests.process.plugins import install
from tests.process.program import Ended, run_sidecar

AUTH = "raise CheckFailed(Reason.AUTH, 'vault:8200 refused hunter2-token')"
PRELUDE = """\
from sidecar.core.check import CheckFailed, Reason
"""


def tcp(name: str, port: int, gates: str = "startup", more: str = "") -> str:
    keys = f"type: tcp, host: 127.0.0.1, port: {port}, gates: {gates}, failure_threshold: 1{more}"
    return f"  - {{name: {name}, {keys}}}\n"


def plugin(folder: Path, run: str) -> dict[str, str]:
    """Install a check type `trouble` for which waiting does not cure `auth`."""
    env = install(folder, run=run, prelude=PRELUDE)
    module = folder / "site-trouble" / "trouble.py"
    module.write_text(
        module.read_text().replace(
            "build=TroubleCheck)", "build=TroubleCheck, permanent=frozenset({Reason.AUTH}))"
        )
    )
    return env


async def until_file(path: Path, is_wanted: Callable[[str], bool]) -> None:
    """Wait until a file holds what is wanted."""
    async with asyncio.timeout(5):
        while True:
            text = path.read_text() if path.exists() else ""
            if is_wanted(text):
                return
            await asyncio.sleep(0.02)


ENDED = ("drain began", "drain is over", "stopped")


async def end_of(sidecar: Sidecar) -> int:
    async with asyncio.timeout(15):
        return await sidecar.process.wait()


def logged(sidecar: Sidecar) -> list[str]:
    """Return what was logged, but for status changes and advice on the configuration."""
    told = [line["message"] for line in sidecar.log]
    return [message for message in told if message != "advice" and not message.startswith("check is")]


async def test_a_start_that_is_overdue_exits_with_3_where_the_configuration_says_so(tmp_path: Path) -> None:
    message = tmp_path / "termination-log"
    message.touch()
    port = free_port()
    sections = f"startup: {{deadline: 1s, on_deadline: exit}}\nlog: {{termination_file: {message}}}"
    async with running(tmp_path, tcp("builds", port), sections=sections) as sidecar:
        code = await end_of(sidecar)

    assert code == 3
    assert (
        sidecar.log[-2].items()
        >= {
            "message": "startup deadline exceeded",
            "after": "1s",
            "missing": 1,
            "checks": f"builds: refused: 127.0.0.1:{port} refused the connection",
        }.items()
    )
    assert message.read_text() == (
        "gave up the start at its deadline, 1s\n"
        f"[-]builds failed: refused: 127.0.0.1:{port} refused the connection\n"
    )


async def test_an_overdue_start_that_waits_says_so_once_and_passes_later(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    checks = f"  - {{name: flag, type: file, path: {flag}, gates: startup}}\n"
    async with running(tmp_path, checks, sections="startup: {deadline: 300ms}") as sidecar:
        await sidecar.until_logged("startup deadline exceeded")
        _, overdue = await sidecar.get("/metrics")
        flag.touch()
        await sidecar.until("/startupz", 200)
        _, passed = await sidecar.get("/metrics")
        code = await sidecar.stop()

    assert "sidecar_startup_deadline_exceeded 1.0" in overdue
    assert "sidecar_startup_deadline_exceeded 0.0" in passed
    assert (code, logged(sidecar)) == (
        0,
        ["listening", "startup deadline exceeded", "startup passed", *ENDED],
    )


async def test_a_start_that_is_given_up_drains_nobody(tmp_path: Path) -> None:
    sections = "startup: {deadline: 300ms, on_deadline: exit}\ndrain: {delay: 1h}"
    async with running(tmp_path, tcp("builds", free_port()), sections=sections) as sidecar:
        code = await end_of(sidecar)

    assert (code, logged(sidecar)) == (3, ["listening", "startup deadline exceeded", "stopped"])


async def test_a_drain_is_not_given_up_by_the_deadline_of_the_start(tmp_path: Path) -> None:
    sections = "startup: {deadline: 500ms, on_deadline: exit}\ndrain: {delay: 1s}"
    async with running(tmp_path, tcp("builds", free_port()), sections=sections) as sidecar:
        code = await sidecar.stop()

    assert (code, logged(sidecar)) == (0, ["listening", *ENDED])


async def test_one_permanent_reason_fails_fast_with_3_and_tells_no_secret(tmp_path: Path) -> None:
    message = tmp_path / "termination-log"
    message.touch()
    checks = "  - {name: vault, type: trouble, token: '${TOKEN}', gates: startup}\n" + tcp("db", free_port())
    sections = f"startup: {{fail_fast: 1s}}\nlog: {{termination_file: {message}}}"
    env = {**plugin(tmp_path, AUTH), "TOKEN": "hunter2-token"}
    async with running(tmp_path, checks, sections=sections, env=env) as sidecar:
        code = await end_of(sidecar)

    assert (code, logged(sidecar)[-2:], "hunter" in "".join(sidecar.raw)) == (
        3,
        ["start is hopeless", "stopped"],
        False,
    )
    first, vault, db = message.read_text().splitlines()
    assert (
        first
        == "gave up the start: vault has failed for 1s with nothing but auth, which waiting does not cure"
    )
    assert vault == "[-]vault failed: auth: vault:8200 refused ***"
    assert db.startswith("[-]db failed: refused: ")


async def test_without_fail_fast_a_permanent_reason_is_waited_for(tmp_path: Path) -> None:
    checks = "  - {name: vault, type: trouble, gates: startup, failure_threshold: 1}\n"
    async with running(tmp_path, checks, env=plugin(tmp_path, AUTH)) as sidecar:
        await sidecar.until_logged("check is down", check="vault")
        code = await sidecar.stop()

    assert (code, logged(sidecar)) == (0, ["listening", *ENDED])


async def test_a_restart_remembers_what_has_been_up_and_not_what_has_changed(tmp_path: Path) -> None:
    latch = tmp_path / "state" / "latch"
    latch.parent.mkdir()
    sections = f"startup: {{latch_file: {latch}}}"
    slow = ", interval: 1m, timeout: 900ms"

    async def startupz(checks: str) -> str:
        """Start once more with every dependency gone; return what holds the start back."""
        async with running(tmp_path, checks, sections=sections) as sidecar:
            for name in ("builds", "artifacts"):
                await sidecar.until_logged("check is down", check=name)
            _, body = await sidecar.get("/startupz?verbose")
            assert await sidecar.stop(signal.SIGKILL) == -signal.SIGKILL
        return body

    async with silent() as fake:
        port = fake.port
        checks = tcp("builds", port) + tcp("artifacts", port)
        async with running(tmp_path, checks, sections=sections) as sidecar:
            await sidecar.until("/startupz", 200)
            await until_file(latch, lambda text: "builds" in text and "artifacts" in text)
            await sidecar.stop(signal.SIGKILL)

    same = await startupz(checks)
    used_otherwise = await startupz(tcp("builds", port, more=", interval: 9s") + tcp("artifacts", port))
    changed = await startupz(tcp("builds", port, more=slow) + tcp("artifacts", port))
    latch.write_text("{")
    unreadable = await startupz(checks)

    both_proved = "[+]builds ok\n[+]artifacts ok\nstartupz check passed\n"
    assert (same, used_otherwise) == (both_proved, both_proved)
    assert changed == "[-]builds failed: refused\n[+]artifacts ok\nstartupz check failed\n"
    assert unreadable == "[-]builds failed: refused\n[-]artifacts failed: refused\nstartupz check failed\n"


async def test_a_latch_without_a_folder_is_one_line_and_nothing_else(tmp_path: Path) -> None:
    latch = tmp_path / "missing" / "latch"
    async with silent() as fake:
        checks = tcp("a", fake.port) + tcp("b", fake.port, more=", initial_delay: 500ms")
        async with running(tmp_path, checks, sections=f"startup: {{latch_file: {latch}}}") as sidecar:
            await sidecar.until("/startupz", 200)
            await sidecar.until_logged("latch cannot be written")
            code = await sidecar.stop()

    assert code == 0
    assert [line.get("detail") for line in sidecar.log if line["logger"] == "sidecar.latch"] == [
        "no such file or directory"
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_whoever_kills_us_leaves_the_reason(tmp_path: Path, number: signal.Signals) -> None:
    message = tmp_path / "termination-log"
    message.touch()
    async with silent() as up:
        checks = tcp("builds", port := free_port()) + tcp("up", up.port) + tcp("x", port, gates="none")
        async with running(tmp_path, checks, sections=f"log: {{termination_file: {message}}}") as sidecar:
            await until_file(message, lambda text: "refused" in text and "up failed" not in text)
            await sidecar.stop(number)

    assert message.read_text() == f"[-]builds failed: refused: 127.0.0.1:{port} refused the connection\n"


async def test_status_shows_the_board_of_a_running_sidecar(tmp_path: Path) -> None:
    async with silent() as up:
        checks = tcp("sessions", up.port, "[startup, readiness]") + tcp("builds", free_port(), "none")
        async with running(tmp_path, checks) as sidecar:
            await sidecar.until("/readyz", 200)
            await sidecar.until_logged("check is down", check="builds")
            table = await run_sidecar("status", "--port", str(sidecar.admin_port))
            as_json = await run_sidecar("status", "--port", str(sidecar.admin_port), "--output", "json")
            on_main = await run_sidecar("status", "--port", str(sidecar.port))
    gone = await run_sidecar("status", "--port", str(sidecar.admin_port))

    head, _, headings, first, second = table.out.splitlines()
    assert (table.code, table.err, head.endswith(", startup passed")) == (0, "", True)
    assert headings.replace("LAST 20", "LAST").split() == [
        *("CHECK", "TYPE", "GATES", "STATUS", "SINCE", "STREAK", "LAST", "AGE", "NEXT", "MESSAGE")
    ]
    assert (first.split()[:4], first.split()[6]) == (["sessions", "tcp", "readiness,startup", "up"], "+")
    assert (second.split()[:4], set(second.split()[6])) == (["builds", "tcp", "none", "down"], {"-"})
    body = json.loads(as_json.out)
    assert (as_json.code, body["phase"], [each["status"] for each in body["checks"]]) == (
        0,
        "serving",
        ["up", "down"],
    )
    assert on_main == Ended(1, "", f"127.0.0.1:{sidecar.port} is no admin listener of a sidecar\n")
    assert gone == Ended(1, "", f"no answer from 127.0.0.1:{sidecar.admin_port}: connection refused\n")
