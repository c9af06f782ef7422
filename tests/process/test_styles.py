"""The ends of the shipped styles: their configurations, hooks and signals, faster than in a cluster."""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.k8s.styles import Shipped, style
from tests.process.harness import Sidecar, running
from tests.process.program import Ended, run_sidecar

FASTER = 5
OVER = "the drain is over\n"


@dataclass
class Worker:
    """The app of the styles: it lives, and is idle once it has been told to stop and has finished."""

    told: asyncio.Event = field(default_factory=asyncio.Event)
    has_finished: bool = False

    async def healthz(self, _: web.Request) -> web.Response:
        return web.Response()

    async def idle(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self.has_finished else 503)

    async def stop(self, _: web.Request) -> web.Response:
        self.told.set()
        return web.Response()


@dataclass
class App:
    """A worker, and where it listens."""

    worker: Worker
    address: str


@pytest.fixture
async def app() -> AsyncIterator[App]:
    worker, application = Worker(), web.Application()
    application.add_routes(
        [
            web.get("/healthz", worker.healthz),
            web.get("/idle", worker.idle),
            web.post("/stop", worker.stop),
        ]
    )
    async with TestServer(application) as server:
        yield App(worker, f"http://127.0.0.1:{server.port}")


def sped_up(shipped: Shipped, app: App) -> tuple[str, str]:
    """Return the checks of the app and the drain of a shipped configuration, its seconds fractions of them.

    The drain's deadline is an hour, for which no test waits.
    """
    config = yaml.safe_load(shipped.config.replace("http://localhost:8080", app.address))
    checks = [{"interval": "1s", **each} for each in config["checks"] if each["type"] == "http"]
    drain = {key: "1h" if key == "deadline" else value for key, value in config["drain"].items()}
    parts = (yaml.safe_dump(checks), yaml.safe_dump({"drain": drain}))
    first, second = (re.sub(r"\b(\d+)s\b", _fraction, part) for part in parts)
    return first, second


def _fraction(seconds: re.Match[str]) -> str:
    return f"{int(seconds[1]) * 1000 // FASTER}ms"


async def ended(sidecar: Sidecar) -> tuple[int, str]:
    """Wait for the end; return the code and the last line of the log."""
    async with asyncio.timeout(5):
        code = await sidecar.process.wait()
        await sidecar.until_logged("stopped")
    return code, sidecar.log[-1]["message"]


async def test_a_workers_sigterm_comes_when_it_is_idle_and_the_sidecars_after_it(
    tmp_path: Path, app: App
) -> None:
    shipped = style("native/worker")
    [own], [theirs] = ([c["lifecycle"]["preStop"] for c in each] for each in (shipped.ours, shipped.apps))
    checks, drain = sped_up(shipped, app)

    async with running(tmp_path, checks, sections=drain) as sidecar:
        await sidecar.until("/readyz", 200)
        hook = own["exec"]["command"][1:]
        of_sidecar = asyncio.create_task(run_sidecar(*hook, "--port", str(sidecar.admin_port)))
        of_app = asyncio.create_task(sidecar.get(theirs["httpGet"]["path"]))
        await asyncio.wait_for(app.worker.told.wait(), 5)
        runs = await sidecar.runs("idle")
        while await sidecar.runs("idle") < runs + 8:
            pass
        waiting = (of_sidecar.done(), of_app.done(), (await sidecar.get("/livez"))[0])
        app.worker.has_finished = True
        hooks = (await of_sidecar, await of_app)
        sidecar.process.send_signal(signal.SIGTERM)

        assert (waiting, hooks, await ended(sidecar)) == (
            (False, False, 200),
            (Ended(0, OVER, ""), (200, OVER)),
            (0, "stopped"),
        )


async def test_a_plain_sidecar_drains_on_sigterm_and_the_apps_hook_waits_for_it(
    tmp_path: Path, app: App
) -> None:
    shipped = style("plain/deployment")
    [hook] = [each["lifecycle"]["preStop"]["httpGet"] for each in shipped.apps]
    checks, drain = sped_up(shipped, app)

    async with running(tmp_path, checks, sections=drain) as sidecar:
        await sidecar.until("/readyz", 200)
        began = time.monotonic()
        sidecar.process.send_signal(signal.SIGTERM)
        of_app = asyncio.create_task(sidecar.get(hook["path"]))
        await sidecar.until("/readyz", 503)
        meanwhile = ((await sidecar.get("/livez"))[0], of_app.done())
        answer, lasted = await of_app, time.monotonic() - began

        assert (meanwhile, answer, lasted >= 5 / FASTER, await ended(sidecar)) == (
            (200, False),
            (200, OVER),
            True,
            (0, "stopped"),
        )
