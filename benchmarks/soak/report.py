"""What the figures of a soak say: the bounds, a table for a terminal, and one in Markdown."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

SLOPE_LIMIT: Final = 1.0
"""KiB that the memory may grow in 1,000 runs."""
BLOCK_LIMIT: Final = 100.0
"""Blocks that may be more in 1,000 runs: a leak leaves one at least in each run against some state."""
STATES: Final = ("up", "hung", "flapping", "garbage")
"""Of the targets; a file system that hangs is none that a plain user can have, so that no file is hung."""
PER_1000: Final = ("KiB per 1,000 runs", "blocks per 1,000 runs")
HEADINGS: Final = ("type", "runs", *STATES, "descriptors", "tasks", "threads", *PER_1000)

Record: TypeAlias = Mapping[str, Any]
"""The figures of one type, as the JSON file has them."""


def faults(kind: str, record: Record, *, judges_memory: bool = True) -> Iterator[str]:
    """Yield a sentence for each bound that a type broke, and for each target that was not in its state."""
    if judges_memory:
        yield from _growth(kind, record)
    for held, before in record["before"].items():
        if record["after"][held] > before:
            yield f"{kind}: {held} rose from {before} to {record['after'][held]}"
    for state, endings in record["outcomes"].items():
        if (complaint := _unlike(state, endings)) is not None:
            yield f"{kind}: what is {state} {complaint}"


def markdown(records: Mapping[str, Record]) -> str:
    """Return the table as a page shows it."""
    rows = [HEADINGS, tuple("---" for _ in HEADINGS), *_rows(records)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def table(records: Mapping[str, Record]) -> str:
    """Return the table as a terminal shows it."""
    rows = [HEADINGS, *_rows(records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_padded(row, widths) for row in rows)


def _growth(kind: str, record: Record) -> Iterator[str]:
    if record["rss_slope"]["high"] > SLOPE_LIMIT:
        grew = "grew" if record["rss_slope"]["low"] > SLOPE_LIMIT else "may have grown"
        yield f"{kind}: the memory {grew} by {_shown(record['rss_slope'], 2)} KiB per 1,000 runs"
    if record["block_slope"]["low"] > BLOCK_LIMIT:
        yield f"{kind}: what lives grew by {_shown(record['block_slope'], 0)} blocks per 1,000 runs"


def _rows(records: Mapping[str, Record]) -> Iterator[tuple[str, ...]]:
    for kind, record in records.items():
        runs = {state: sum(endings.values()) for state, endings in record["outcomes"].items()}
        yield (
            kind,
            f"{sum(runs.values()):,}",
            *(f"{runs[state]:,}" if state in runs else "-" for state in STATES),
            *(f"{before} → {record['after'][held]}" for held, before in record["before"].items()),
            _shown(record["rss_slope"], 2),
            _shown(record["block_slope"], 0),
        )


def _shown(slope: Mapping[str, float], digits: int) -> str:
    """Return a slope, and the bounds that hold 95 %."""
    value, low, high = (f"{slope[each]:+.{digits}f}" for each in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _padded(row: Iterable[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _unlike(state: str, endings: Mapping[str, int]) -> str | None:
    """Return how the runs against a target show that it was not in its state; None if they show it."""
    runs, successes = sum(endings.values()), endings.get("success", 0)
    if not runs:
        return "was never asked"
    if state == "up" and successes < 0.5 * runs:
        return f"answered {successes} of {runs} runs"
    if state == "flapping" and not 0 < successes < runs:
        return f"succeeded in {successes} of {runs} runs"
    return "succeeded" if state in ("hung", "garbage") and successes else None
