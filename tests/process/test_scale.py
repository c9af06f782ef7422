"""A thousand checks in one process, and two hundred names that never resolve."""

import asyncio
from pathlib import Path

import pytest

from sidecar.runtime.lifecycle import STOP_LIMIT
from tests.network.dns import FakeDns
from tests.network.fakes import silent
from tests.process.harness import running, seeing

KUBELET_PATIENCE = 2.0


def tcp(name: str, host: str, port: int, more: str = "gates: none") -> str:
    return f"  - {{name: {name}, type: tcp, host: {host}, port: {port}, {more}}}\n"


async def test_a_thousand_checks_come_up_and_readyz_answers_within_the_kubelets_patience(
    tmp_path: Path,
) -> None:
    async with silent() as fake:
        checks = "".join(tcp(f"c{n}", "127.0.0.1", fake.port, "gates: startup") for n in range(1000))
        async with running(tmp_path, checks) as sidecar:
            async with asyncio.timeout(KUBELET_PATIENCE):
                await sidecar.get("/readyz")
            await sidecar.until("/startupz", 200, within=20)
            code = await sidecar.stop(within=STOP_LIMIT + 1)

    assert code == 0


async def test_a_thousand_hanging_checks_delay_no_probe_beyond_the_kubelets_patience(tmp_path: Path) -> None:
    async with silent() as fake:
        url = f"type: http, url: 'http://127.0.0.1:{fake.port}/', gates: startup, timeout: 1s"
        checks = "".join(f"  - {{name: c{n}, {url}}}\n" for n in range(1000))
        async with running(tmp_path, checks) as sidecar:
            for _ in range(30):
                async with asyncio.timeout(KUBELET_PATIENCE):
                    code, _ = await sidecar.get("/readyz")
                await asyncio.sleep(0.1)
            ended = await sidecar.stop(within=STOP_LIMIT + 1)

    assert (code, ended) == (503, 0)


@pytest.mark.servers
async def test_two_hundred_hanging_names_hold_up_nobody_else(tmp_path: Path) -> None:
    """The resolver's configuration is the machine's own: the process gets another in a mount namespace."""
    async with FakeDns({"good.test": ["127.0.0.1"]}, silent=["hung.test"]) as dns, silent() as fake:
        checks = (
            "".join(tcp(f"hung{n}", f"n{n}.hung.test", 80, "gates: none, timeout: 500ms") for n in range(200))
            + tcp("literal", "127.0.0.1", fake.port, "gates: readiness, interval: 300ms")
            + tcp("good", "good.test", fake.port, "gates: startup, interval: 300ms")
        )
        resolv = tmp_path / "resolv.conf"
        resolv.write_text(f"nameserver {dns.address}\n")
        async with running(tmp_path, checks, launcher=seeing(resolv)) as sidecar:
            await sidecar.until("/readyz", 200)
            await sidecar.until_logged("check is down", check="hung199", reason="timeout", within=20)
            before = await sidecar.runs("literal")
            await asyncio.sleep(3)
            during = await sidecar.runs("literal") - before
            async with asyncio.timeout(KUBELET_PATIENCE):
                code, _ = await sidecar.get("/readyz")
            ended = await sidecar.stop(within=STOP_LIMIT + 1)

    assert (code, during >= 7, ended) == (200, True, 0)
