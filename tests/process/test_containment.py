"""Third-party checks that misbehave: they fail alone, and the process still ends when told to."""

from pathlib import Path

import pytest

from sidecar.runtime.lifecycle import STOP_LIMIT
from tests.network.fakes import silent
from tests.process.harness import running
from tests.process.plugins import install

TROUBLE = "  - {name: trouble, type: trouble, gates: none, interval: 200ms, timeout: 200ms}\n"


def good(port: int) -> str:
    return (
        f"  - {{name: good, type: tcp, host: 127.0.0.1, port: {port}, gates: readiness, interval: 200ms}}\n"
    )


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        ("raise SystemExit(3)", "unexpected"),
        ("raise KeyboardInterrupt", "unexpected"),
        ("raise asyncio.CancelledError", "unexpected"),
        ("raise MemoryError", "unexpected"),
        ("return (lambda f: f(f))(lambda f: f(f))", "unexpected"),
        ("asyncio.current_task().cancel()\nawait asyncio.sleep(0)", "unexpected"),
        ("await asyncio.Event().wait()", "timeout"),
        ("while True:\n    try: await asyncio.sleep(60)\n    except asyncio.CancelledError: pass", "timeout"),
        ("try: await asyncio.sleep(60)\nfinally: await asyncio.sleep(60)", "timeout"),
        ("time.sleep(0.3)\nraise ValueError", "unexpected"),
    ],
    ids=[
        "SystemExit",
        "KeyboardInterrupt",
        "CancelledError",
        "MemoryError",
        "RecursionError",
        "cancels-itself",
        "hangs",
        "ignores-cancellation",
        "sleeps-in-clean-up",
        "blocks-the-loop",
    ],
)
async def test_a_misbehaving_check_fails_alone_and_the_process_ends_when_told(
    tmp_path: Path, run: str, reason: str
) -> None:
    env = install(tmp_path, run=run)
    async with silent() as fake, running(tmp_path, good(fake.port) + TROUBLE, env=env) as sidecar:
        await sidecar.until_logged("check is down", check="trouble", reason=reason)
        before = await sidecar.runs("good")
        await sidecar.until("/readyz", 200)
        while await sidecar.runs("good") <= before:
            pass

        code = await sidecar.stop(within=STOP_LIMIT + 1)

    assert code == 0


async def test_a_check_that_blocks_the_loop_for_ever_cannot_hold_up_the_end(tmp_path: Path) -> None:
    env = install(tmp_path, run="print('blocking', flush=True)\nwhile True: time.sleep(60)")
    async with running(tmp_path, TROUBLE, sections="ungated: true", env=env) as sidecar:
        code = await sidecar.stop(within=STOP_LIMIT + 1)

    assert code == 0


async def test_a_crash_is_logged_with_its_traceback_once(tmp_path: Path) -> None:
    env = install(tmp_path, run="raise KeyError('beds')")
    async with running(tmp_path, TROUBLE, sections="ungated: true", env=env) as sidecar:
        await sidecar.until_logged("check is down", check="trouble")
        await sidecar.stop()

    crashes = [line for line in sidecar.log if line["message"] == "check crashed"]
    assert (len(crashes), "KeyError: 'beds'" in crashes[0]["exc_info"]) == (1, True)
