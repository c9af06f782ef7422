"""The admin listener on a unix socket, for pods that share their node's network."""

import json
from pathlib import Path

import pytest

from tests.network.fakes import silent
from tests.process.harness import running
from tests.process.program import Ended, run_sidecar


async def test_the_admin_socket_takes_the_place_of_the_admin_port(tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    async with silent() as db:
        checks = f"  - {{name: db, type: tcp, host: 127.0.0.1, port: {db.port}, gates: readiness}}\n"
        async with running(
            tmp_path, checks, sections="drain: {delay: 0s}\n", server=f"admin_socket: {path}"
        ) as sidecar:
            listening = await sidecar.until_logged("listening")
            await sidecar.until("/readyz", 200)
            ready = await run_sidecar("probe", "readyz", "--verbose", "--socket", path)
            status = await run_sidecar("status", "--output", "json", "--socket", path)
            drained = await run_sidecar("drain", "--socket", path)
            code, _ = await sidecar.get("/readyz")
            with pytest.raises(ConnectionRefusedError):
                await sidecar.get("/status", admin=True)

    assert listening["admin"] == path
    assert ready == Ended(0, "[+]db ok\nreadyz check passed\n", "")
    assert [each["name"] for each in json.loads(status.out)["checks"]] == ["db"]
    assert (drained, code) == (Ended(0, "the drain is over\n", ""), 503)


async def test_the_verbs_name_a_socket_on_which_nobody_answers(tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")

    told = [
        await run_sidecar(*verb, "--socket", path) for verb in (("probe", "readyz"), ("drain",), ("status",))
    ]

    assert told == [Ended(1, "", f"no answer from {path}: no such file or directory\n")] * 3
