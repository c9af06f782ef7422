"""Takes down what becomes of each cell while the tests run."""

from tools.reliability import Cell, Record


class Recorder:
    """Takes down how each test of a cell ended; a cell holds if all of them passed."""

    def __init__(self) -> None:
        self._cells: dict[Cell, bool] = {}

    def note(self, cell: Cell, *, passed: bool) -> None:
        """Take down one phase of a test: setting up, the call, or tearing down."""
        self._cells[cell] = self._cells.get(cell, True) and passed

    @property
    def record(self) -> Record:
        """What was taken down so far."""
        return Record(dict(self._cells))
