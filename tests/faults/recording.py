"""What became of each cell, for the table in `docs/reliability.md`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

Cell = tuple[str, str]
"""A row, which is a check type or another subject, and a column, which is a fault."""


@dataclass(frozen=True, slots=True)
class Record:
    """Cells by whether every test of theirs held."""

    cells: Mapping[Cell, bool]

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Return what `write` wrote."""
        found = json.loads(path.read_text())
        return cls({(each["row"], each["column"]): each["held"] for each in found})

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        cells = [{"row": row, "column": column, "held": held} for (row, column), held in self._sorted()]
        path.write_text(json.dumps(cells, indent=1) + "\n")

    def _sorted(self) -> Iterator[tuple[Cell, bool]]:
        yield from sorted(self.cells.items())


class Recorder:
    """Takes down the outcome of each test that is a cell; a cell holds if all its tests passed."""

    def __init__(self) -> None:
        self._cells: dict[Cell, bool] = {}

    def note(self, cell: Cell, *, passed: bool) -> None:
        """Take down one phase of a test: setting up, the call, or tearing down."""
        self._cells[cell] = self._cells.get(cell, True) and passed

    @property
    def record(self) -> Record:
        """What was taken down so far."""
        return Record(dict(self._cells))
