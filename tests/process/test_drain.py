"""The end of the real process, as the kubelet brings it about: hooks, signals, and what is answered."""

import asyncio
import signal
import sys
import time
from pathlib import Path

from sidecar.runtime.lifecycle import STOP_LIMIT
from tests.network.fakes import Connection, Fake, refused, silent, talking
from tests.process.harness import Sidecar, running
from tests.process.program import Ended, run_sidecar

LONG = "drain: {delay: 1h}\n"
"""No test waits for it."""


def gating(fake: Fake, gates: str = "readiness") -> str:
    return (
        f"  - {{name: db, type: tcp, host: 127.0.0.1, port: {fake.port}, gates: {gates}, "
        "interval: 200ms, failure_threshold: 1}\n"
    )


async def finished(sidecar: Sidecar, *, within: float = 10.0) -> tuple[int, str, bool]:
    """Wait for the end; return the code, the last line of the log, and whether there was a traceback."""
    async with asyncio.timeout(within):
        code = await sidecar.process.wait()
        await sidecar.until_logged("stopped")
    return code, sidecar.log[-1]["message"], "Traceback" in "".join(sidecar.raw)


CLEAN = (0, "stopped", False)


async def codes(sidecar: Sidecar) -> list[int]:
    return [(await sidecar.get(path))[0] for path in ("/readyz", "/livez", "/healthz")]


async def test_sigterm_turns_readyz_red_and_serves_on_for_the_delay(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, gating(db), sections="drain: {delay: 1s}\n") as sidecar:
        await sidecar.until("/readyz", 200)
        runs = await sidecar.runs("db")
        began = time.monotonic()
        sidecar.process.send_signal(signal.SIGTERM)
        body = await sidecar.until("/readyz", 503)
        answers = await codes(sidecar)
        await sidecar.until_logged("drain is over")
        lasted, ran_on = time.monotonic() - began, db.connections > runs + 1

        assert (body, answers, await finished(sidecar)) == (
            "[+]db ok\n[-]draining\nreadyz check failed\n",
            [503, 200, 200],
            CLEAN,
        )
    assert (lasted >= 1.0, lasted < 1.0 + STOP_LIMIT, ran_on) == (True, True, True)


async def test_readyz_may_be_kept_for_proxies_that_fall_back(tmp_path: Path) -> None:
    keep = "drain: {delay: 1h, readyz: keep}\n"
    async with silent() as db, running(tmp_path, gating(db), sections=keep) as sidecar:
        await sidecar.until("/readyz", 200)
        sidecar.process.send_signal(signal.SIGTERM)
        await sidecar.until_logged("drain began", by="a stop signal")
        kept = await codes(sidecar)
        db.shut()
        body = await sidecar.until("/readyz", 503)

        assert (kept, body) == ([200, 200, 200], "[-]db failed: refused\nreadyz check failed\n")


async def test_the_prestop_and_then_sigterm_are_one_drain(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, gating(db), sections="drain: {delay: 1s}\n") as sidecar:
        await sidecar.until("/readyz", 200)
        hook = await run_sidecar("drain", "--port", str(sidecar.admin_port))
        after_hook = await codes(sidecar)
        signalled = time.monotonic()
        code = await sidecar.stop()
        took = time.monotonic() - signalled
        await sidecar.until_logged("stopped")

    began = [line["message"] for line in sidecar.log].count("drain began")
    assert (hook, after_hook, code, began, took < 1.0) == (
        Ended(0, "the drain is over\n", ""),
        [503, 200, 200],
        0,
        1,
        True,
    )


async def test_a_drain_without_sigterm_ends_no_process_and_a_delete_takes_it_back(tmp_path: Path) -> None:
    async with (
        silent() as db,
        running(tmp_path, gating(db), sections="drain: {delay: 50ms}\n") as sidecar,
    ):
        await sidecar.until("/readyz", 200)
        began = await sidecar.change_drain("POST")
        _, over = await sidecar.get("/drained")
        drained = await codes(sidecar)
        ended = await sidecar.change_drain("DELETE")

        assert (began, over, drained, ended, await codes(sidecar)) == (
            202,
            "the drain is over\n",
            [503, 200, 200],
            200,
            [200, 200, 200],
        )


async def test_the_verb_fails_when_somebody_takes_the_drain_back(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, gating(db), sections=LONG) as sidecar:
        await sidecar.until("/readyz", 200)
        hook = asyncio.create_task(run_sidecar("drain", "--port", str(sidecar.admin_port)))
        await sidecar.until_logged("drain began")
        await sidecar.change_drain("DELETE")
        told = await hook

    assert (told.code, told.out) == (1, "")


async def test_a_restart_of_the_app_alone_waits_two_seconds_and_leaves_the_pod_ready(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, gating(db), sections=LONG) as sidecar:
        await sidecar.until("/readyz", 200)
        began = time.monotonic()
        app_hook = asyncio.create_task(sidecar.get("/drained"))
        meanwhile = await codes(sidecar)
        answer = await app_hook
        took = time.monotonic() - began

        assert (meanwhile, answer, 2.0 <= took < 4.0, await codes(sidecar)) == (
            [200, 200, 200],
            (200, "no drain has begun\n"),
            True,
            [200, 200, 200],
        )


async def test_the_apps_hook_is_answered_when_what_it_waits_for_is_down(tmp_path: Path) -> None:
    until = "drain: {delay: 0s, until: [{check: db, status: down}], deadline: 1h}\n"
    async with silent() as work, running(tmp_path, gating(work), sections=until) as sidecar:
        await sidecar.until("/readyz", 200)
        sidecar.process.send_signal(signal.SIGTERM)
        await sidecar.until_logged("drain began")
        app_hook = asyncio.create_task(sidecar.get("/drained"))
        runs = await sidecar.runs("db")
        while await sidecar.runs("db") < runs + 2:
            pass
        waited = not app_hook.done()
        work.shut()

        assert (waited, await app_hook, await finished(sidecar)) == (
            True,
            (200, "the drain is over\n"),
            CLEAN,
        )


async def test_what_is_waited_for_is_asked_at_once_however_long_its_interval(tmp_path: Path) -> None:
    until = "drain: {delay: 0s, until: [{check: idle}], deadline: 1h}\n"
    async with silent() as app:
        keys = f"name: idle, type: tcp, host: 127.0.0.1, port: {app.port}, interval: 1h, gates: startup"
        async with running(tmp_path, f"  - {{{keys}}}\n", sections=until) as sidecar:
            await sidecar.until("/readyz", 200)
            sidecar.process.send_signal(signal.SIGTERM)

            assert await finished(sidecar, within=5.0) == CLEAN


async def test_what_never_comes_true_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    until = "drain: {delay: 0s, until: [{check: db, status: down}], deadline: 1s}\n"
    async with silent() as work, running(tmp_path, gating(work), sections=until) as sidecar:
        await sidecar.until("/readyz", 200)
        began = time.monotonic()
        sidecar.process.send_signal(signal.SIGTERM)

        assert await finished(sidecar) == CLEAN
    assert 1.0 <= time.monotonic() - began < 1.0 + STOP_LIMIT + 1


async def test_a_second_sigterm_ends_at_once(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, gating(db), sections=LONG) as sidecar:
        await sidecar.until("/readyz", 200)
        sidecar.process.send_signal(signal.SIGTERM)
        await sidecar.until_logged("drain began")
        code = await sidecar.stop(within=1.0)

    assert (code, "Traceback" in "".join(sidecar.raw)) == (0, False)


async def test_sigterm_during_a_start_ends_it_cleanly(tmp_path: Path) -> None:
    async with (
        refused() as db,
        running(tmp_path, gating(db, "startup"), sections="drain: {delay: 100ms}\n") as sidecar,
    ):
        await sidecar.until("/startupz", 503)
        sidecar.process.send_signal(signal.SIGTERM)

        assert await finished(sidecar) == CLEAN


async def test_the_end_leaves_no_connection_half_open(tmp_path: Path) -> None:
    is_asked = asyncio.Event()

    async def hear_and_hang(connection: Connection) -> None:
        await connection.read()
        is_asked.set()
        await connection.until_closed()

    async with talking(hear_and_hang) as db, asyncio.timeout(15):
        keys = f"name: db, type: redis, url: 'redis://127.0.0.1:{db.port}', timeout: 1m, gates: startup"
        async with running(tmp_path, f"  - {{{keys}}}\n") as sidecar:
            await is_asked.wait()
            sidecar.process.send_signal(signal.SIGTERM)
            ended = await finished(sidecar)
        await db.emptied()

    assert ended == CLEAN


async def test_sigterm_before_anything_is_imported_is_obeyed() -> None:
    script = (
        "import signal, sys; sys.argv = ['sidecar', 'serve']; from sidecar import __main__\n"
        "sys.meta_path.insert(0, type('Never', (), {'find_spec': lambda *_: print('in', flush=True) or "
        "signal.pause()})())\n"
        "__main__.main()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"in\n"
    process.send_signal(signal.SIGTERM)
    _, err = await asyncio.wait_for(process.communicate(), 10)

    assert (process.returncode, err) == (0, b"")


async def test_sigterm_during_a_reload_ends_it_cleanly(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, gating(db)) as sidecar:
        await sidecar.until("/readyz", 200)
        sidecar.process.send_signal(signal.SIGHUP)
        sidecar.process.send_signal(signal.SIGTERM)

        assert await finished(sidecar) == CLEAN


async def test_the_app_is_told_by_a_file_that_a_start_takes_back(tmp_path: Path) -> None:
    file = tmp_path / "stop"
    file.touch()
    async with (
        silent() as db,
        running(
            tmp_path, gating(db), sections=f"drain: {{delay: 0s, notify: {{file: {file}}}}}\n"
        ) as sidecar,
    ):
        await sidecar.until_logged("withdrew the notification")
        before = file.exists()
        await sidecar.stop()

    assert (before, file.exists()) == (False, True)


async def test_a_reload_changes_the_drain_that_comes(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, gating(db), sections=LONG) as sidecar:
        await sidecar.until("/readyz", 200)
        config = tmp_path / "config.yaml"
        config.write_text(config.read_text().replace("delay: 1h", "delay: 0s"))
        sidecar.process.send_signal(signal.SIGHUP)
        await sidecar.until_logged("configuration reloaded")
        sidecar.process.send_signal(signal.SIGTERM)

        assert await finished(sidecar) == CLEAN


async def test_the_verb_says_when_nobody_answers() -> None:
    async with refused() as nobody:
        told = await run_sidecar("drain", "--port", str(nobody.port))

    assert told == Ended(1, "", f"no answer from 127.0.0.1:{nobody.port}: connection refused\n")


async def test_the_verb_says_when_it_was_the_wrong_port(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, gating(db)) as sidecar:
        told = await run_sidecar("drain", "--port", str(sidecar.port))

    assert told == Ended(
        1,
        "",
        f"127.0.0.1:{sidecar.port} answered 405: only GET and HEAD are answered here\n",
    )
