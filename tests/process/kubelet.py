"""A prober that behaves like the kubelet's: prober `worker.go` in a few lines, in compressed time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Tell = Callable[[str], None]


@dataclass(frozen=True)
class ProbeSpec:
    """A probe of a container, its times divided by how much time is compressed."""

    name: str
    port: int
    path: str
    period: float
    timeout: float
    failure_threshold: int
    starts_as: bool

    @classmethod
    def from_manifest(
        cls, name: str, manifest: dict[str, Any], *, port: int, faster: float, starts_as: bool
    ) -> "ProbeSpec":
        return cls(
            name=name,
            port=port,
            path=manifest["httpGet"]["path"],
            period=manifest["periodSeconds"] / faster,
            timeout=manifest["timeoutSeconds"] / faster,
            failure_threshold=manifest["failureThreshold"],
            starts_as=starts_as,
        )


async def probe_forever(spec: ProbeSpec, tell: Tell) -> None:
    """Ask once a period on a new connection; tell each change that the thresholds let through."""
    settled, streak, last = spec.starts_as, 0, None
    while True:
        succeeded = await _ask(spec)
        streak = streak + 1 if succeeded is last else 1
        last = succeeded
        if succeeded is not settled and streak >= (1 if succeeded else spec.failure_threshold):
            settled = succeeded
            tell(f"{spec.name} {'passes' if settled else 'fails'}")
        await asyncio.sleep(spec.period)


async def _ask(spec: ProbeSpec) -> bool:
    """Whether a status from 200 to 399 comes within the timeout, as in pkg/probe/http/http.go."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(spec.timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", spec.port)
            writer.write(
                f"GET {spec.path} HTTP/1.1\r\nHost: 127.0.0.1:{spec.port}\r\n"
                "User-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
            )
            status = (await reader.readline()).split()
            return len(status) > 1 and 200 <= int(status[1]) < 400
    except (OSError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.transport.abort()
