"""A dependency dies and returns under a kubelet-like prober: the order of events, in compressed time."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.network.fakes import silent
from tests.process.harness import running
from tests.process.kubelet import ProbeSpec, probe_forever

FASTER = 10.0
MANIFEST = Path(__file__).parents[2] / "k8s" / "component" / "sidecar.yaml"
PROBES = {"startupProbe": False, "readinessProbe": False, "livenessProbe": True}


def shipped_probes(port: int) -> Iterator[ProbeSpec]:
    pod: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())["spec"]["template"]["spec"]
    (sidecar,) = (each for each in pod["initContainers"] if each["name"] == "sidecar")
    for name, starts_as in PROBES.items():
        yield ProbeSpec.from_manifest(name, sidecar[name], port=port, faster=FASTER, starts_as=starts_as)


async def test_pod_leaves_the_endpoints_when_a_dependency_dies_and_comes_back_with_it(tmp_path: Path) -> None:
    told: list[str] = []
    heard = asyncio.Event()

    def tell(event: str) -> None:
        told.append(event)
        heard.set()

    async def until(event: str) -> None:
        async with asyncio.timeout(10):
            while event not in told:
                heard.clear()
                await heard.wait()

    async with silent() as db:
        checks = (
            f"  - {{name: db, type: tcp, host: 127.0.0.1, port: {db.port}, gates: [startup, readiness], "
            "interval: 200ms, timeout: 200ms}"
        )
        async with running(tmp_path, checks) as sidecar, asyncio.TaskGroup() as kubelet:
            probers = [
                kubelet.create_task(probe_forever(spec, tell)) for spec in shipped_probes(sidecar.port)
            ]
            await until("readinessProbe passes")

            tell("dependency dies")
            db.shut()
            await sidecar.until_logged("check is down", check="db", reason="refused")
            tell("check is down")
            await until("readinessProbe fails")
            told.remove("readinessProbe passes")

            tell("dependency returns")
            db.open()
            await until("readinessProbe passes")
            for prober in probers:
                prober.cancel()

    assert told == [
        "startupProbe passes",
        "dependency dies",
        "check is down",
        "readinessProbe fails",
        "dependency returns",
        "readinessProbe passes",
    ]
