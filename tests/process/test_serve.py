"""The real process: its start, its end, and what it says when it cannot start."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from sidecar.runtime.lifecycle import STOP_LIMIT
from tests.network.fakes import Fake, silent
from tests.process.harness import free_port, running
from tests.process.program import Ended, run_sidecar


def gating(fake: Fake, name: str = "db") -> str:
    return f"  - {{name: {name}, type: tcp, host: 127.0.0.1, port: {fake.port}, gates: startup}}\n"


KUBELET_PATIENCE = 2.0
"""Seconds: the shipped manifest's timeout of a probe."""


def mapped_files(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_signal_ends_the_process_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    async with (
        silent() as db,
        running(tmp_path, gating(db)) as sidecar,
    ):
        await sidecar.until("/readyz", 200)

        code = await sidecar.stop(number)

    assert (code, sidecar.log[-1]["message"], "Traceback" in "".join(sidecar.raw)) == (0, "stopped", False)


async def test_the_start_is_told_in_order(tmp_path: Path) -> None:
    async with (
        silent() as db,
        running(tmp_path, gating(db)) as sidecar,
    ):
        await sidecar.until("/readyz", 200)
        await sidecar.stop()

    told = [line["message"] for line in sidecar.log]
    assert told == [
        "advice",
        "listening",
        "check is up",
        "startup passed",
        "drain began",
        "drain is over",
        "stopped",
    ]


async def test_hanging_dependencies_delay_neither_probes_nor_the_end(tmp_path: Path) -> None:
    async with silent() as hanging:
        checks = "".join(
            f"  - {{name: c{n}, type: tcp, host: 127.0.0.1, port: {hanging.port}, tls: {{}}, timeout: 30s}}\n"
            for n in range(200)
        )
        async with running(tmp_path, checks) as sidecar:
            async with asyncio.timeout(KUBELET_PATIENCE):
                answer = await sidecar.get("/readyz")
            code = await sidecar.stop(within=STOP_LIMIT + 1)

    assert (answer[0], code) == (503, 0)


async def test_a_taken_port_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    async with silent() as taken:
        config = tmp_path / "config.yaml"
        config.write_text(
            f"server: {{port: {taken.port}, admin_port: {free_port()}}}\nchecks:\n{gating(taken)}"
        )

        ended = await run_sidecar("serve", "--config", str(config))

    assert (ended.code, ended.out, json.loads(ended.err.splitlines()[-1])["message"]) == (
        1,
        "",
        f"cannot listen on 0.0.0.0:{taken.port}: the port is taken by another process",
    )


async def test_a_missing_configuration_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"

    told = await run_sidecar("serve", "--config", str(missing))

    assert told == Ended(
        2,
        "",
        f"{missing}: cannot be read: no such file or directory\nthe configuration has 1 problem\n",
    )


async def test_a_folder_as_configuration_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    told = await run_sidecar("check", "--config", str(tmp_path))

    assert told == Ended(
        2, "", f"{tmp_path}: cannot be read: is a directory\nthe configuration has 1 problem\n"
    )


async def test_probe_asks_a_running_sidecar_and_says_with_its_code(tmp_path: Path) -> None:
    async with silent() as db:
        checks = gating(db).replace("gates: startup", "interval: 200ms, failure_threshold: 1")
        async with running(tmp_path, checks) as sidecar:
            await sidecar.until("/readyz", 200)
            passing = await run_sidecar("probe", "readyz", "--port", str(sidecar.port))
            db.shut()
            await sidecar.until("/readyz", 503)
            failing = await run_sidecar("probe", "readyz", "--port", str(sidecar.port))
    gone = await run_sidecar("probe", "readyz", "--port", str(sidecar.port))

    assert (passing, failing, gone) == (
        Ended(0, "ok\n", ""),
        Ended(1, "[-]db failed: refused\nreadyz check failed\n", ""),
        Ended(1, "", f"no answer from 127.0.0.1:{sidecar.port}: connection refused\n"),
    )


async def test_probe_imports_nothing_but_the_standard_library() -> None:
    script = (
        "import sys; from sidecar.__main__ import main\n"
        "sys.argv = ['sidecar', 'probe', 'readyz', '--port', '9']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('click', 'aiohttp', 'yaml', 'asyncio', 'prometheus_client') if m in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await process.communicate()

    assert out.decode().splitlines()[-1] == "[]"


async def printed(script: str) -> list[str]:
    """Return the lines that a Python process prints, which has half a minute."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await asyncio.wait_for(process.communicate(), timeout=30)
    return out.decode().splitlines()


def without_checks(folder: Path) -> tuple[Path, int]:
    """Return a configuration that checks nothing, and its port."""
    config, port = folder / "config.yaml", free_port()
    config.write_text(f"ungated: true\nserver: {{port: {port}, admin_port: {free_port()}}}\nchecks: []\n")
    return config, port


async def test_a_start_imports_nothing_that_only_a_scrape_a_mistake_or_an_explanation_needs() -> None:
    script = (
        "import sys, sidecar.cli.serve\n"
        "late = ('prometheus_client', 'difflib', 'sidecar.runtime.explanation')\n"
        "print([m for m in late if m in sys.modules])"
    )

    assert await printed(script) == ["[]"]


async def test_what_writes_the_metrics_is_imported_for_the_first_scrape(tmp_path: Path) -> None:
    config, port = without_checks(tmp_path)
    script = (
        "import sys, threading, urllib.request\n"
        "from sidecar import __main__\n"
        "from sidecar.app import server as app\n"
        "from sidecar.app.ending import leave\n"
        "def ask(path):\n"
        f"    with urllib.request.urlopen(f'http://127.0.0.1:{port}{{path}}') as answer:\n"
        "        print(answer.status, 'prometheus_client' in sys.modules)\n"
        "def look():\n"
        "    ask('/readyz'); ask('/metrics'); leave(0)\n"
        "def collect_rarely(real=app.collect_rarely):\n"
        "    threading.Thread(target=look, daemon=True).start()\n"
        "    real()\n"
        "app.collect_rarely = collect_rarely\n"
        f"sys.argv = ['sidecar', 'serve', '--config', {str(config)!r}]\n"
        "__main__.main()"
    )

    assert await printed(script) == ["200 False", "200 True"]


async def test_the_garbage_collector_rests_until_the_listeners_are_open(tmp_path: Path) -> None:
    config, _ = without_checks(tmp_path)
    script = (
        "import gc, sys, threading, time\n"
        "from sidecar import __main__\n"
        "from sidecar.app import server as app\n"
        "from sidecar.app.ending import leave\n"
        "def bind(*where, real=app.bind):\n"
        "    print('binding', gc.isenabled())\n"
        "    return real(*where)\n"
        "def look():\n"
        "    while gc.isenabled(): time.sleep(0.01)\n"
        "    while not gc.isenabled(): time.sleep(0.01)\n"
        "    print('serving', gc.get_freeze_count() > 0)\n"
        "    leave(0)\n"
        "app.bind = bind\n"
        f"sys.argv = ['sidecar', 'serve', '--config', {str(config)!r}]\n"
        "threading.Thread(target=look, daemon=True).start()\n"
        "__main__.main()"
    )

    assert await printed(script) == ["binding False", "binding False", "serving True"]


async def test_drivers_that_no_check_uses_are_not_imported(tmp_path: Path) -> None:
    async with (
        silent() as db,
        running(tmp_path, gating(db)) as sidecar,
    ):
        await sidecar.until("/readyz", 200)
        maps = mapped_files(sidecar.process.pid)
        _, metrics = await sidecar.get("/metrics")

    assert "sidecar_check_up" in metrics
    assert [name for name in ("redis", "aiormq", "botocore", "asyncpg") if name in maps] == []
