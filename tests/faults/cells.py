"""The cells of one test function: each subject against each of its faults."""

from collections.abc import Mapping, Sequence

import pytest
from _pytest.mark import ParameterSet

from tests.faults.subjects import SUBJECTS, Subject


def cells(samples: Mapping[str, str], *, subjects: Sequence[Subject] = SUBJECTS) -> list[ParameterSet]:
    """Return each subject with each fault; `samples` has by fault the row that `make test` tries."""
    return [_cell(subject, column, samples[column]) for subject in subjects for column in samples]


def _cell(subject: Subject, column: str, sample: str) -> ParameterSet:
    name = f"{subject.row} {column}"
    return cell(subject.row, column, subject, column, is_sample=subject.row == sample, name=name)


def cell(
    row: str, column: str, *values: object, is_sample: bool = False, name: str | None = None
) -> ParameterSet:
    """Return one cell with the values of its test; `make test` tries those that are samples."""
    marks = [pytest.mark.cell(row, column), *([] if is_sample else [pytest.mark.faults])]
    return pytest.param(*values, marks=marks, id=name or column)
