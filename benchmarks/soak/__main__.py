"""`make soak`: run every type of check so often, print what is left behind, and fail if anything is."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.soak.report import faults, table
from benchmarks.soak.targets import kinds, targets_of

RUNS: Final = 100_000
CROWD: Final = 4
SMALL_CROWD: Final = {"exec": 1, "file": 1}
"""A process or a thread a run makes noise in the memory, by the number of those that run at once."""


def main() -> int:
    """Measure, print a table, and return 1 if a bound is broken."""
    options = _options()
    each = options.runs // len(options.types)
    records = {kind: asyncio.run(_soaked(kind, each)) for kind in options.types}
    if options.json:
        options.json.write_text(json.dumps(records, indent=2) + "\n")
    print(table(records))
    broken = [fault for kind, record in records.items() for fault in faults(kind, record)]
    for fault in broken:
        print(fault, file=sys.stderr)
    return 1 if broken else 0


async def _soaked(kind: str, runs: int) -> Any:
    print(f"{kind}: {runs:,} runs", file=sys.stderr)
    return await soaked(kind, runs)


async def soaked(kind: str, runs: int) -> Any:
    """Return what a process of its own measured over so many runs of a type."""
    with tempfile.TemporaryDirectory() as folder:
        async with targets_of(kind, Path(folder)) as targets:
            return await driven({"runs": runs, "crowd": SMALL_CROWD.get(kind, CROWD), "targets": targets})


async def driven(order: Any) -> Any:
    """Return what a process of its own answers to an order."""
    command = [sys.executable, "-m", "benchmarks.soak.driver"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        answer, _ = await process.communicate(json.dumps(order).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the process that was to be measured exited with {process.returncode}")
    return json.loads(answer)


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of all types together (%(default)s)")
    parser.add_argument("--types", nargs="+", choices=kinds(), default=kinds(), help="which (all)")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
