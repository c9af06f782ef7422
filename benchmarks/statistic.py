"""Repeats by turns, so that the machine's noise falls on all that is compared."""

from collections.abc import Callable, Sequence
from statistics import median, quantiles
from typing import TypeVar

T = TypeVar("T")
S = TypeVar("S")


def by_turns(repeats: int, subjects: Sequence[T], measure: Callable[[T], S]) -> list[list[S]]:
    """Return the samples of each subject; a round measures each once, every other round backwards."""
    samples: list[list[S]] = [[] for _ in subjects]
    for number in range(repeats):
        order = range(len(subjects)) if number % 2 == 0 else reversed(range(len(subjects)))
        for index in order:
            samples[index].append(measure(subjects[index]))
    return samples


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median ratio of two samples of one round: what slows a machine for a while slows both."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that so many percent of `values` are below."""
    return values[0] if len(values) < 2 else quantiles(values, n=100)[percent - 1]
