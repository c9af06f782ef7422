"""The servers that are compared: a bare aiohttp handler, and the sidecar with checks in some condition."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.client import free_port, until_answered

BARE: Final = """
import sys
from aiohttp import web

HEADERS = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff",
           "Cache-Control": "no-store", "Server": "sidecar"}
PATHS = {"/readyz": b"ok"}

async def handle(request):
    return web.Response(body=PATHS[request.path], headers=HEADERS)

async def main():
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()

import asyncio
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.run_forever()
"""
HUNG: Final = """
import socket, sys
listener = socket.socket()
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen(4096)
kept = []
while True:
    kept.append(listener.accept())
    del kept[:-4096]
"""


@dataclass(frozen=True)
class Server:
    """A running process that answers on a port."""

    process: "subprocess.Popen[bytes]"
    port: int

    def rss(self) -> float:
        """Return the resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@contextmanager
def started(arguments: Sequence[str], port: int) -> Iterator[Server]:
    """Run a Python program until the end of the block."""
    process = subprocess.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL)
    try:
        yield Server(process, port)
    finally:
        process.kill()
        process.wait()


@contextmanager
def bare() -> Iterator[Server]:
    """Run a bare aiohttp handler that returns the bytes that a passing probe does."""
    port = free_port()
    with started(["-c", BARE, str(port)], port) as server:
        until_answered(port)
        yield server


@contextmanager
def sidecar(*, hanging: int) -> Iterator[Server]:
    """Run the sidecar with one check that is up, and so many that hang and gate nothing."""
    with ExitStack() as stack:
        up, hung, port, admin = (free_port() for _ in range(4))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for each in (up, hung):
            stack.enter_context(started(["-c", HUNG, str(each)], each))
        checks: list[dict[str, object]] = [
            {
                "name": f"hung-{n}",
                "type": "tcp",
                "host": "127.0.0.1",
                "port": hung,
                "tls": {},
                "gates": "none",
            }
            for n in range(hanging)
        ]
        checks.append({"name": "up", "type": "tcp", "host": "127.0.0.1", "port": up, "gates": "startup"})
        config = folder / "config.yaml"
        config.write_text(json.dumps({"server": {"port": port, "admin_port": admin}, "checks": checks}))
        server = stack.enter_context(started(["-m", "sidecar", "serve", "--config", str(config)], port))
        until_answered(port)
        yield server
