"""The real process: started as a container would start it, asked as the kubelet would ask it."""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.process.mount import Mount
from tools.image import allocator

Log = dict[str, Any]


OWN_PORTS: Final = range(20_000, 32_000)
"""Below the ports that the kernel gives to connections, which might take one before it is listened on."""


def free_port() -> int:
    """Return a port on which nobody listens."""
    while True:
        port = random.choice(OWN_PORTS)  # noqa: S311 - spreads them, hides nothing
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port


@dataclass
class Sidecar:
    """A running `sidecar serve`."""

    process: asyncio.subprocess.Process
    port: int
    admin_port: int
    log: list[Log] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    _messages: Counter[str] = field(default_factory=Counter)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _has_ended: bool = False

    async def get(self, path: str, *, admin: bool = False, accept: str = "*/*") -> tuple[int, str]:
        """Ask on a new connection, as the kubelet does."""
        return await self.ask("GET", path, admin=admin, headers={"Accept": accept})

    async def change_drain(self, method: str) -> int:
        """Begin a drain with POST, or end it with DELETE, as `sidecar drain` does; return the code."""
        code, _ = await self.ask(method, "/drain", admin=True, headers={"X-Sidecar": "1"})
        return code

    async def ask(
        self, method: str, path: str, *, admin: bool = False, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Send a request on a new connection; return the code and the body."""
        port = self.admin_port if admin else self.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = {"Host": "pod", "Connection": "close", **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        finally:
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

    async def until_logged_times(self, message: str, times: int, *, within: float = 10.0) -> None:
        """Wait until so many log lines have had this message."""
        async with asyncio.timeout(within):
            while self.times(message) < times:
                self._arrived.clear()
                await self._arrived.wait()

    def times(self, message: str) -> int:
        """Return how many log lines have had this message."""
        return self._messages[message]

    def threads(self) -> int:
        """Return how many threads the process has."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def descriptors(self) -> int:
        """Return how many files and sockets the process has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

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
                self._messages[self.log[-1]["message"]] += 1
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
    mount: Mount | None = None,
    launcher: Sequence[str] = (),
) -> AsyncIterator[Sidecar]:
    """Run `sidecar serve` on a YAML list of checks; its listeners are open when the block begins.

    It ends without a drain unless `sections` say otherwise, as a native sidecar does. `server` has more keys
    of the section of that name. `launcher` is a command that executes the one that follows it.
    """
    port, admin_port = free_port(), free_port()
    config = mount.path if mount else folder / "config.yaml"
    write = mount.write if mount else config.write_text
    drain = "" if "drain:" in sections else "drain: {delay: 0s}\n"
    listeners = f"server: {{port: {port}, admin_port: {admin_port}, {server}}}\n"
    write(f"{listeners}{drain}{sections}\nchecks:\n{checks}")
    process = await asyncio.create_subprocess_exec(
        *launcher,
        *(sys.executable, "-m", "sidecar", "serve", "--config", str(config)),
        stderr=asyncio.subprocess.PIPE,
        env={**allocator(), **os.environ, **(env or {})},
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


def seeing(resolv_conf: Path) -> Sequence[str]:
    """Return the launcher that shows this file as `/etc/resolv.conf`, in a mount namespace of its own."""
    mounted = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return "unshare", "--mount", "sh", "-c", mounted, str(resolv_conf)
