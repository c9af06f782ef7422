"""The program, run to its end."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """What a finished run said."""

    code: int
    out: str
    err: str


async def run_sidecar(*arguments: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Ended:
    """Run `sidecar` with these arguments until it ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 30)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())
