"""The cells of one test function: each subject against each of its faults."""

from collections.abc import Mapping, Sequence

import pytest
from _pytest.mark import ParameterSet

from tests.faults.subjects import SUBJECTS, Subject


def cells(samples: Mapping[str, str], *, subjects: Sequence[Subject] = SUBJECTS) -> list[ParameterSet]:
    """Return each subject with each fault; `samples` has by fault the row that `make test` tries."""
    return [_cell(subject, column, samples[column]) for subject in subjects for column in samples]


def _cell(subject: Subject, column: str, sample: str) -> ParameterSet:
    marks = [pytest.mark.cell(subject.row, column)]
    if subject.row != sample:
        marks.append(pytest.mark.faults)
    return pytest.param(subject, column, marks=marks, id=f"{subject.row} {column}")
