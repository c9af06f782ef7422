"""`make soak`: run every type of check so often, print what is left behind, and fail if anything is."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from benchmarks.soak.report import Record, faults, table
from benchmarks.soak.targets import Servers, kinds, targets_of
from tools.image import allocator

RUNS: Final = 100_000
LOOKS: Final = 60
"""How often the memory is looked at in these runs."""
EMPTY: Final[Mapping[str, str]] = MappingProxyType({})
BY_THE_PAGE: Final = {"PYTHONMALLOC": "malloc"}
"""Has Python's objects where pages can go back one by one; its own arenas stay whole for one object."""


def main() -> int:
    """Measure, print a table, and return 1 if a bound is broken."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        record = asyncio.run(soaked(options.types or kinds(), options.runs, LOOKS, Path(folder)))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    print(table(record))
    broken = list(faults(record))
    for fault in broken:
        print(fault, file=sys.stderr)
    return 1 if broken else 0


async def soaked(types: Iterable[str], runs: int, looks: int, folder: Path) -> Record:
    """Return what a process of its own measured over so many runs of these types together."""
    async with AsyncExitStack() as stack:
        servers = stack.enter_context(Servers(folder))
        targets = {kind: await stack.enter_async_context(targets_of(kind, servers)) for kind in types}
        return await driven({"runs": runs, "looks": looks, "targets": targets})


async def driven(order: Mapping[str, Any], environ: Mapping[str, str] = EMPTY) -> Record:
    """Return what a process of its own answers to an order, with variables beside ours."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.soak.driver",
        stdin=PIPE,
        stdout=PIPE,
        env={**allocator(), **BY_THE_PAGE, **os.environ, **environ},
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument(
        "types", nargs="*", choices=[[], *kinds()], metavar="TYPE", help=", ".join(kinds()) + " (all)"
    )
    parser.add_argument(
        "--runs", type=int, default=RUNS, help="to judge, of all types together (%(default)s)"
    )
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
