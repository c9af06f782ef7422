"""Pods of a deploy: a sidecar each, at an address of its own, behind one name."""

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.network.fakes import Connection, Fake, Script, shared_socket

NAME: Final = "web.default.svc.test"
NEW: Final = "abc123"
OLD: Final = "def456"


@dataclass
class Pod:
    """What the sidecar of a pod answers, as it is now; `asked` are the requests that came."""

    address: str
    revision: str = NEW
    is_ready: bool = False
    phase: str = "started"
    failures: dict[str, str] = field(default_factory=dict)
    server: str = "sidecar"
    asked: list[str] = field(default_factory=list)
    script: Script | None = None
    """What to do with a connection instead."""

    async def talk(self, connection: Connection) -> None:
        """Answer one request as a sidecar does."""
        self.asked.append((await connection.read_until(b"\r\n\r\n")).decode())
        body = json.dumps(self._body()).encode()
        head = [
            f"HTTP/1.1 {200 if self.is_ready else 503} So",
            f"Server: {self.server}",
            f"Content-Length: {len(body)}",
            "Content-Type: application/json",
            *([f"X-Revision: {self.revision}"] if self.revision else []),
        ]
        await connection.send("\r\n".join([*head, "", ""]).encode() + body)

    def _body(self) -> dict[str, Any]:
        failing = {name: [{"status": "fail", "output": said}] for name, said in self.failures.items()}
        return {
            "status": "pass" if self.is_ready else "fail",
            "description": "readyz",
            "checks": {"app": [{"status": "pass"}], **failing},
            "releaseId": self.revision,
            "deploy": self.phase,
        }


@contextlib.asynccontextmanager
async def serving(pods: Sequence[Pod], port: int = 0) -> AsyncIterator[int]:
    """Let each pod answer at its address, all on the port that is yielded."""
    async with contextlib.AsyncExitStack() as stack:
        for pod in pods:
            family = socket.AF_INET6 if ":" in pod.address else socket.AF_INET
            holder = stack.enter_context(shared_socket(family))
            holder.bind((pod.address, port))
            port = holder.getsockname()[1]
            fake = Fake(holder, pod.script or pod.talk, None)
            fake.open()
            stack.push_async_callback(fake.close)
        yield port
