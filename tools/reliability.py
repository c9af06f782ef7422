"""Writes what was measured into `docs/reliability.md`, and beside it what other tools have shipped.

`--cells FILE` is what `pytest tests/faults --record-cells FILE` wrote, and `--soak FILE` what `python -m
benchmarks.soak --json FILE` did; what no file is given for stays as it is. The exit code is 1 where a fault
that every type has to meet was neither tried nor is excused here.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.soak.report import markdown
from tests.regressions.index import REGRESSIONS

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "reliability.md"

Cell = tuple[str, str]
"""A row, which is a check type or another subject, and a column, which is a fault."""

NETWORK: Final = (
    "refused",
    "black hole",
    "accepted and silent",
    "reset in the handshake",
    "reset in mid-reply",
    "garbage",
    "one byte a second",
    "half-close",
    "endless reply",
    "oversized reply",
)
TLS: Final = ("TLS expired", "TLS wrong name", "TLS unknown CA", "plain text on a TLS port")
DNS: Final = ("DNS NXDOMAIN", "DNS silent", "DNS slow")
LOGIN: Final = ("wrong password", "password rotated", "permission removed")
SERVER: Final = ("killed", "SIGSTOP 1s", "SIGSTOP 60s", "restarted in mid-run")
RESOURCES: Final = ("descriptors exhausted", "memory limit near")
COLUMNS: Final = (*NETWORK, *TLS, *DNS, *LOGIN, *SERVER, "clock jumped by an hour", *RESOURCES)
"""The faults that every type has to meet."""
ROWS: Final = (
    "redis",
    "rabbitmq",
    "rabbitmq (kept channel)",
    "rabbitmq-delivery",
    "rabbitmq-inflight",
    "postgres",
    "postgres (keep)",
    "s3",
    "http",
    "tcp",
    "dns",
    "exec",
    "file",
)
PROCESS: Final = ("third-party check", "the process")
"""Subjects that are no type."""


@dataclass(frozen=True, slots=True)
class Excuse:
    """Why some cells make no sense."""

    reason: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    def covers(self, cell: Cell) -> bool:
        """Whether it is about this cell."""
        row, column = cell
        return row in self.rows and column in self.columns


CONNECTIONS: Final = ("refused", "black hole", "reset in the handshake", "reset in mid-reply", "half-close")
EXCUSES: Final = (
    Excuse("asks nobody over a network", ("exec", "file"), (*CONNECTIONS, *TLS, *DNS)),
    Excuse("logs in nowhere", ("tcp", "dns", "exec", "file"), ("wrong password", "password rotated")),
    Excuse("needs no permission", ("tcp",), ("permission removed",)),
    Excuse(
        "asks by datagrams, and over TCP only for what fits into none",
        ("dns",),
        (*CONNECTIONS[1:], "one byte a second", "endless reply", "oversized reply", *TLS),
    ),
    Excuse("is read at once, and no process keeps it", ("file",), ("one byte a second", *SERVER)),
    Excuse("begins anew with each run", ("dns", "exec"), ("restarted in mid-run",)),
)

HELD: Final = "✓"
BROKEN: Final = "✗"
UNTRIED: Final = "?"

_MARKED: Final = re.compile(
    r"(<!-- (?:cells|soak|tests): (?P<name>[a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Record:
    """Cells that were tried, by whether every test of theirs held."""

    cells: Mapping[Cell, bool]

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Return what `write` wrote."""
        return cls({(each["row"], each["column"]): each["held"] for each in json.loads(path.read_text())})

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        cells = [{"row": row, "column": column, "held": held} for (row, column), held in self.cells.items()]
        path.write_text(json.dumps(cells, indent=1) + "\n")

    def show(self, cell: Cell) -> str:
        """Return what became of a cell: held or not, the letter of its excuse, or that nobody tried."""
        if cell in self.cells:
            return HELD if self.cells[cell] else BROKEN
        excused = (_letter(number) for number, each in enumerate(EXCUSES) if each.covers(cell))
        return next(excused, UNTRIED)

    def count(self, cells: Iterable[Cell]) -> str:
        """Return how many of these held, of those that were tried."""
        tried = [self.cells[cell] for cell in cells if cell in self.cells]
        return f"{sum(tried)} of {len(tried)}"

    def untried(self) -> list[Cell]:
        """Return the cells that nobody tried, and nothing excuses."""
        return [(row, column) for row in ROWS for column in COLUMNS if self.show((row, column)) == UNTRIED]


def main() -> None:
    """Write the page; say which cells are missing."""
    options = _options()
    parts = {"regressions": regressions()}
    record = Record.read(options.cells) if options.cells else None
    if record:
        parts |= tables(record)
        print(f"==> {PAGE.relative_to(ROOT)}: {record.count(record.cells)} cells held")
    if options.soak:
        parts["runs"] = markdown(json.loads(options.soak.read_text()))
    PAGE.write_text(renewed(PAGE.read_text(), parts))
    untried = record.untried() if record else []
    for row, column in untried:
        print(f"not tried: {row}, {column}", file=sys.stderr)
    sys.exit(1 if untried else 0)


def renewed(page: str, parts: Mapping[str, str]) -> str:
    """Return the page with these parts of it, by name; the others stay."""

    def renew(match: re.Match[str]) -> str:
        if match["name"] not in parts:
            return match[0]
        return f"{match[1]}\n{parts[match['name']].rstrip()}\n\n{match[3]}"

    return _MARKED.sub(renew, page)


def tables(record: Record) -> dict[str, str]:
    """Return the tables of what faults did, by their names on the page."""
    of = {"types": _of_types, "own": _of_own_faults, "process": _of_the_process}
    return {name: "\n".join(lines(record)) for name, lines in of.items()}


def regressions() -> str:
    """Return a list of what others have shipped, each with the tests that fail where it is true here."""
    return "\n".join(_list_item(broken, tests) for broken, tests in REGRESSIONS.items())


def _list_item(broken: str, tests: Iterable[str]) -> str:
    return f"- {broken}:\n" + ",\n".join(f"  {_test(named)}" for named in tests)


def _test(named: str) -> str:
    path, _, name = named.partition("::")
    return f"[`{name}`](../{path})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.reliability", description=__doc__)
    parser.add_argument("--cells", type=Path, metavar="FILE")
    parser.add_argument("--soak", type=Path, metavar="FILE")
    return parser.parse_args()


def _of_types(record: Record) -> Iterator[str]:
    yield _line(["fault", *(f"`{row}`" for row in ROWS), "held"])
    yield _line(["---", *(":-:" for _ in ROWS), "---"])
    for column in COLUMNS:
        cells = [(row, column) for row in ROWS]
        yield _line([column, *map(record.show, cells), record.count(cells)])
    totals = [record.count((row, column) for column in COLUMNS) for row in ROWS]
    everything = record.count((row, column) for row in ROWS for column in COLUMNS)
    yield _line(["**held**", *totals, everything])
    yield ""
    yield f"{HELD} held, {BROKEN} did not, {UNTRIED} was not tried; a letter says why there is none:"
    yield ""
    yield from (f"- {_letter(number)}: {each.reason}" for number, each in enumerate(EXCUSES))


def _of_own_faults(record: Record) -> Iterator[str]:
    yield _line(["type", "faults", "held"])
    yield _line(["---"] * 3)
    for row in ROWS:
        yield from _of_one(record, row, shown=f"`{row}`")


def _of_the_process(record: Record) -> Iterator[str]:
    yield _line(["subject", "faults", "held"])
    yield _line(["---"] * 3)
    for row in PROCESS:
        yield from _of_one(record, row, shown=row)


def _of_one(record: Record, row: str, *, shown: str) -> Iterator[str]:
    cells = sorted(cell for cell in record.cells if cell[0] == row and cell[1] not in COLUMNS)
    if cells:
        faults = ", ".join(f"{column} {record.show((row, column))}" for _, column in cells)
        yield _line([shown, faults, record.count(cells)])


def _line(fields: Sequence[str]) -> str:
    return f"| {' | '.join(fields)} |"


def _letter(number: int) -> str:
    return chr(ord("a") + number)


if __name__ == "__main__":
    main()
