"""A configuration that changes under a running process: what is new is taken, what is bad is refused."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.network.fakes import Fake, silent
from tests.process.harness import Sidecar, running
from tests.process.mount import Mount


def tcp(name: str, fake: Fake, more: str = "gates: readiness") -> str:
    return f"  - {{name: {name}, type: tcp, host: 127.0.0.1, port: {fake.port}, {more}, interval: 300ms}}\n"


@asynccontextmanager
async def mounted(folder: Path, checks: str) -> AsyncIterator[tuple[Sidecar, Mount, str]]:
    """Run the sidecar on a mounted ConfigMap; yield it, the mount, and the head of its configuration."""
    mount = Mount(folder / "mount", "config.yaml")
    async with running(folder, checks, mount=mount) as sidecar:
        yield (
            sidecar,
            mount,
            f"server: {{port: {sidecar.port}, admin_port: {sidecar.admin_port}}}\nchecks:\n",
        )


async def test_a_swapped_config_map_adds_removes_and_keeps_checks(tmp_path: Path) -> None:
    async with silent() as db, silent() as cache, mounted(tmp_path, tcp("db", db)) as (sidecar, mount, head):
        await sidecar.until("/readyz", 200)
        before = await sidecar.runs("db")

        mount.write(head + tcp("db", db) + tcp("cache", cache))
        await sidecar.until_logged("configuration reloaded", added="cache")
        await sidecar.until_logged("check is up", check="cache")
        kept = await sidecar.runs("db")
        mount.write(head + tcp("cache", cache))
        await sidecar.until_logged("configuration reloaded", removed="db")
        body = await sidecar.until("/readyz?verbose", 200)

    assert (kept >= before, body) == (True, "[+]cache ok\nreadyz check passed\n")


async def test_a_bad_edit_of_every_gating_check_takes_no_pod_out(tmp_path: Path) -> None:
    async with silent() as db, silent() as other, mounted(tmp_path, tcp("db", db)) as (sidecar, mount, head):
        await sidecar.until("/readyz", 200)
        other.shut()

        mount.write(head + tcp("db", other, "gates: [startup, readiness]"))
        await sidecar.until_logged("configuration reloaded", edited="db")
        await sidecar.until_logged("check is down", check="db")
        body = await sidecar.until("/readyz?verbose", 200)
        other.open()
        back: dict[str, Any] = {"check": "db", "from": "down"}
        await sidecar.until_logged("check is up", **back)
        other.shut()
        gating_again = await sidecar.until("/readyz", 503)

    assert (body, gating_again.splitlines()[0]) == (
        "[!]db new, not gating: refused\nreadyz check passed\n",
        "[-]db failed: refused",
    )


async def test_an_edit_of_what_holds_a_pod_back_lets_it_in_no_sooner(tmp_path: Path) -> None:
    async with silent() as db, mounted(tmp_path, tcp("db", db)) as (sidecar, mount, head):
        await sidecar.until("/readyz", 200)
        db.shut()
        await sidecar.until("/readyz", 503)

        answers = []
        for number, edit in enumerate(("description: x", "timeout: 1s")):
            mount.write(head + tcp("db", db, f"gates: readiness, {edit}"))
            await sidecar.until_logged_times("configuration reloaded", number + 1)
            answers.append((await sidecar.get("/readyz"))[0])
        db.open()
        await sidecar.until("/readyz", 200)

    assert answers == [503, 503]


async def test_a_refused_file_changes_nothing_but_a_log_line_and_a_metric(tmp_path: Path) -> None:
    async with silent() as db, mounted(tmp_path, tcp("db", db)) as (sidecar, mount, head):
        await sidecar.until("/readyz", 200)

        mount.write(head + tcp("db", db).replace("type: tcp", "type: tpc"))
        refused = await sidecar.until_logged("configuration refused")
        _, metrics = await sidecar.get("/metrics")
        code, _ = await sidecar.get("/readyz")
        mount.write(head + tcp("db", db, "gates: startup"))
        await sidecar.until_logged("configuration reloaded", adjusted="db")
        _, mended = await sidecar.get("/metrics")

    assert ("did you mean 'tcp'?" in refused["detail"], code) == (True, 200)
    assert "sidecar_config_last_reload_successful 0.0" in metrics
    assert "sidecar_config_last_reload_successful 1.0" in mended


async def test_a_half_written_file_is_not_taken(tmp_path: Path) -> None:
    async with (
        silent() as db,
        silent() as cache,
        running(tmp_path, tcp("db", db) + tcp("cache", cache)) as sidecar,
    ):
        await sidecar.until("/readyz", 200)
        path = tmp_path / "config.yaml"
        whole = path.read_text()
        with path.open("w") as file:
            file.write(whole.splitlines(keepends=True)[0] + "checks:\n  - {name: db, type: tcp, ho")
            file.flush()
            await sidecar.until_logged("configuration refused", within=15)
        path.write_text(whole)
        await sidecar.until_logged("configuration reloaded", within=15)
        body = await sidecar.until("/readyz?verbose", 200)

    assert body == "[+]db ok\n[+]cache ok\nreadyz check passed\n"


async def test_sighup_reads_the_configuration_now(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, tcp("db", db)) as sidecar:
        await sidecar.until("/readyz", 200)

        os.kill(sidecar.process.pid, signal.SIGHUP)
        await sidecar.until_logged("configuration reloaded")
        code = await sidecar.stop()

    assert code == 0


async def test_sections_that_wait_for_a_restart_say_so(tmp_path: Path) -> None:
    async with silent() as db, mounted(tmp_path, tcp("db", db)) as (sidecar, mount, head):
        await sidecar.until("/readyz", 200)

        mount.write(f"log: {{level: debug}}\n{head}{tcp('db', db)}")
        told = await sidecar.until_logged("configuration reloaded")

    assert told["waiting_for_restart"] == "log"


async def test_a_client_that_asks_all_along_sees_no_gap_over_a_thousand_reloads(tmp_path: Path) -> None:
    async with (
        silent() as db,
        silent() as cache,
        mounted(tmp_path, tcp("db", db)) as (sidecar, mount, head),
    ):
        versions = (
            tcp("db", db, "gates: startup") + tcp("cache", cache),
            tcp("db", db) + tcp("cache", cache, "gates: none, timeout: 1s"),
            tcp("db", db),
        )
        await sidecar.until("/readyz", 200)
        async with asked_all_along(sidecar) as answers:
            await reload_times(200, sidecar, mount, head, versions)
            before = used_by(sidecar)
            await reload_times(800, sidecar, mount, head, versions)
            after = used_by(sidecar)

    assert {code for code, _ in answers} == {200}
    assert max(seconds for _, seconds in answers) < 1.0
    assert all(more - less <= bound for more, less, bound in zip(after, before, (4096, 4, 4), strict=True))


@asynccontextmanager
async def asked_all_along(sidecar: Sidecar) -> AsyncIterator[list[tuple[int, float]]]:
    """Ask `/readyz` a hundred times a second inside the block; yield each answer's code and its seconds."""
    answers: list[tuple[int, float]] = []
    is_over = asyncio.Event()

    async def ask() -> None:
        while not is_over.is_set():
            began = time.monotonic()
            code, _ = await sidecar.get("/readyz")
            answers.append((code, time.monotonic() - began))
            await asyncio.sleep(0.01)

    asking = asyncio.create_task(ask())
    try:
        yield answers
    finally:
        is_over.set()
        await asking


async def reload_times(
    count: int, sidecar: Sidecar, mount: Mount, head: str, versions: Sequence[str]
) -> None:
    """Have it reload so many times, each in force before the next; every fiftieth finds another version."""
    done = sidecar.times("configuration reloaded")
    for number in range(count):
        if number % 50 == 0:
            mount.write(head + versions[number // 50 % len(versions)])
        sidecar.process.send_signal(signal.SIGHUP)
        await sidecar.until_logged_times("configuration reloaded", done + number + 1)


def used_by(sidecar: Sidecar) -> list[int]:
    """Return the resident KiB, the descriptors and the threads of the process."""
    status = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    told = dict(line.split(":\t", 1) for line in status.splitlines())
    return [int(told["VmRSS"].split()[0]), sidecar.descriptors(), int(told["Threads"])]
