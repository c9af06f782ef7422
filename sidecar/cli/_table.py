"""Rows as text: columns as wide as what stands in them."""

from collections.abc import Sequence


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows, the headings first, one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
