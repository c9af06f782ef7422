"""`make soak`: run every type of check so often, print what is left behind, and fail if anything is."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from benchmarks.soak.report import SLOPE_LIMIT, Record, faults, table
from benchmarks.soak.targets import Servers, kinds, targets_of

RUNS: Final = 100_000
LOOKS: Final = 30
"""How often the memory is looked at in a round."""
CROWD: Final = 2
EMPTY: Final[Mapping[str, str]] = MappingProxyType({})
AS_IN_THE_IMAGE: Final = {"MALLOC_ARENA_MAX": "1"}
"""Variables of the Dockerfile that say how memory is allocated."""
SMALL_CROWD: Final = {"exec": 1, "file": 1}
"""A process or a thread a run makes noise in the memory, by the number of those that run at once."""


def main() -> int:
    """Measure, print a table, and return 1 if a bound is broken."""
    options = _options()
    each = options.runs // (2 * len(options.types))  # once to warm up, and once to judge
    records: dict[str, Record] = {}
    with tempfile.TemporaryDirectory() as folder, Servers(Path(folder)) as servers:
        for kind in options.types:
            print(f"{kind}: twice {each:,} runs", file=sys.stderr)
            crowd = SMALL_CROWD.get(kind, CROWD)
            work = soaked(kind, servers, each, rounds=options.rounds, looks=LOOKS, crowd=crowd)
            records[kind] = asyncio.run(work)
            if options.json:
                options.json.write_text(json.dumps(records, indent=1) + "\n")
    print(table(records))
    broken = [fault for kind, record in records.items() for fault in faults(kind, record)]
    for fault in broken:
        print(fault, file=sys.stderr)
    return 1 if broken else 0


async def soaked(kind: str, servers: Servers, runs: int, *, rounds: int, looks: int, crowd: int) -> Record:
    """Return what a process of its own measured over so many runs of a type, or more while it settles."""
    with tempfile.TemporaryDirectory() as folder:
        async with targets_of(kind, servers, Path(folder)) as targets:
            order = {"runs": runs, "rounds": rounds, "looks": looks, "slope_limit": SLOPE_LIMIT}
            return await driven({**order, "crowd": crowd, "targets": targets})


async def driven(order: Mapping[str, Any], environ: Mapping[str, str] = EMPTY) -> Record:
    """Return what a process of its own answers to an order, with variables beside ours."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.soak.driver",
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, **AS_IN_THE_IMAGE, **environ},
    )
    try:
        answer, _ = await process.communicate(json.dumps(order).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"the process that was to be measured exited with {process.returncode}")
    record: Record = json.loads(answer)
    return record


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of all types together (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="at most, while memory settles (%(default)s)")
    parser.add_argument("--types", nargs="+", choices=kinds(), default=kinds(), help="which (all)")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
