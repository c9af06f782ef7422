"""The real process: started as a container would start it, asked as the kubelet would ask it."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Log = dict[str, Any]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Sidecar:
    """A running `sidecar serve`."""

    process: asyncio.subprocess.Process
    port: int
    admin_port: int
    log: list[Log] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _has_ended: bool = False

    async def get(self, path: str, *, admin: bool = False, accept: str = "*/*") -> tuple[int, str]:
        """Ask on a new connection, as the kubelet does."""
        port = self.admin_port if admin else self.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET {path} HTTP/1.1\r\nHost: pod\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        return int(head.split()[1]), body

    async def until_logged(self, message: str, *, within: float = 10.0, **fields: object) -> Log:
        """Wait for a log line with this message and these fields."""
        async with asyncio.timeout(within):
            while True:
                for line in self.log:
                    if line["message"] == message and fields.items() <= line.items():
                        return line
                if self._has_ended:
                    raise AssertionError(f"ended without logging {message!r}:\n{''.join(self.raw)}")
                self._arrived.clear()
                await self._arrived.wait()

    async def until(self, path: str, code: int, *, within: float = 10.0) -> str:
        """Ask until `path` answers `code`; return the body."""
        async with asyncio.timeout(within):
            while True:
                got, body = await self.get(path)
                if got == code:
                    return body
                await asyncio.sleep(0.02)

    async def runs(self, check: str) -> int:
        """Return how many runs of a check have ended."""
        _, metrics = await self.get("/metrics")
        counted = [line for line in metrics.splitlines() if line.startswith("sidecar_check_runs_total{")]
        return sum(int(float(line.split()[-1])) for line in counted if f'check="{check}"' in line)

    async def stop(self, number: signal.Signals = signal.SIGTERM, *, within: float = 5.0) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(within):
            return await self.process.wait()

    async def read_log(self) -> None:
        stream = self.process.stderr
        assert stream is not None
        async for line in stream:
            self.raw.append(line.decode())
            if line.startswith(b"{"):
                self.log.append(json.loads(line))
            self._arrived.set()
        self._has_ended = True
        self._arrived.set()


@asynccontextmanager
async def running(
    folder: Path,
    checks: str,
    *,
    sections: str = "",
    server: str = "",
    env: Mapping[str, str] | None = None,
    resolv_conf: Path | None = None,
) -> AsyncIterator[Sidecar]:
    """Run `sidecar serve` on a YAML list of checks; its listeners are open when the block begins.

    `server` has more keys of the section of that name. With `resolv_conf` the process sees that file as
    `/etc/resolv.conf`, in a mount namespace of its own.
    """
    port, admin_port = free_port(), free_port()
    config = folder / "config.yaml"
    listeners = f"server: {{port: {port}, admin_port: {admin_port}, {server}}}"
    config.write_text(f"{listeners}\n{sections}\nchecks:\n{checks}")
    process = await asyncio.create_subprocess_exec(
        *(_seeing(resolv_conf) if resolv_conf else ()),
        *(sys.executable, "-m", "sidecar", "serve", "--config", str(config)),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
        limit=1 << 20,
    )
    sidecar = Sidecar(process, port, admin_port)
    reading = asyncio.create_task(sidecar.read_log())
    try:
        await sidecar.until_logged("listening")
        yield sidecar
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


def _seeing(resolv_conf: Path) -> tuple[str, ...]:
    mounted = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return "unshare", "--mount", "sh", "-c", mounted, str(resolv_conf)
