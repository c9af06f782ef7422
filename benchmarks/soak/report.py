"""What the figures of a soak say: the bounds, a table for a terminal, and one in Markdown."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

SLOPE_LIMIT: Final = 1.0
"""KiB that the memory may grow in 1,000 runs."""
STATES: Final = ("up", "hung", "flapping", "garbage")
"""Of the targets; a file system that hangs is none that a plain user can have, so that no file is hung."""

Record: TypeAlias = Mapping[str, Any]
"""The figures, as the JSON file has them."""
Row: TypeAlias = tuple[str, ...]


def faults(record: Record, *, judges_memory: bool = True) -> Iterator[str]:
    """Yield a sentence for each bound that was broken, and for each target that was not in its state."""
    if judges_memory:
        yield from _growth(record)
    for held, before in record["before"].items():
        if record["after"][held] > before:
            yield f"{held} rose from {before} to {record['after'][held]}"
    for kind, states in record["outcomes"].items():
        for state, endings in states.items():
            if (complaint := _unlike(state, endings)) is not None:
                yield f"{kind}: what is {state} {complaint}"


def markdown(record: Record) -> str:
    """Return what was left behind, and what was run, as two tables of a page."""
    return f"{_markdown(_left_behind(record))}\n{_markdown(_runs(record))}"


def table(record: Record) -> str:
    """Return the same tables as a terminal shows them."""
    return f"{_padded(_left_behind(record))}\n\n{_padded(_runs(record))}"


def _growth(record: Record) -> Iterator[str]:
    resident, allocated = record["resident"], record["allocated"]
    if resident["high"] > SLOPE_LIMIT:
        grew = "grew" if resident["low"] > SLOPE_LIMIT else "may have grown"
        yield f"the resident memory {grew} by {_shown(resident)} KiB per 1,000 runs"
    if allocated["low"] > SLOPE_LIMIT:
        yield f"what is allocated grew by {_shown(allocated)} KiB per 1,000 runs"


def _left_behind(record: Record) -> Iterator[Row]:
    yield ("", "measured", "bound")
    for held, before in record["before"].items():
        yield (held, f"{before} → {record['after'][held]}", "no more")
    for memory in ("resident", "allocated"):
        yield (f"{memory}, KiB per 1,000 runs", _shown(record[memory]), f"{SLOPE_LIMIT:.0f}")


def _runs(record: Record) -> Iterator[Row]:
    """Yield a line for each type: the runs in each state, and how many of them succeeded."""
    yield ("type", "runs", *STATES)
    total = 0
    for kind, states in record["outcomes"].items():
        runs = sum(sum(endings.values()) for endings in states.values())
        total += runs
        yield (kind, f"{runs:,}", *(_counted(states.get(state)) for state in STATES))
    yield ("all", f"{total:,}", *("" for _ in STATES))


def _counted(endings: Mapping[str, int] | None) -> str:
    if endings is None:
        return "-"
    return f"{sum(endings.values()):,} ({endings.get('success', 0):,})"


def _markdown(rows: Iterable[Row]) -> str:
    heading, *rest = rows
    lines = [heading, tuple("---" for _ in heading), *rest]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(slope: Mapping[str, float]) -> str:
    """Return a slope, and the bounds that hold 95 %."""
    value, low, high = (f"{slope[each]:+.2f}" for each in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _padded(rows: Iterable[Row]) -> str:
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


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
