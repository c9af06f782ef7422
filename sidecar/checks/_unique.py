"""Whether a table's indexes keep columns unique, decided from what the catalog says of them. Asks nobody."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\w+|\S""")
"""A word of SQL: a literal, a quoted name, a word, or a sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index, as pg_index has it (postgresql.org/docs/current/catalog-pg-index.html)."""

    name: str
    columns: frozenset[str]
    """The columns of its key; those that it only includes make nothing unique."""
    expressions: str = ""
    predicate: str = ""
    is_unique: bool = True
    is_exclusion: bool = False
    """Whether it is an exclusion constraint's, which can be unique in its own way (WITHOUT OVERLAPS)."""
    is_valid: bool = True
    is_ready: bool = True
    is_immediate: bool = True
    has_nulls_distinct: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, with its indexes."""

    name: str
    columns: frozenset[str]
    nullable: frozenset[str] = frozenset()
    indexes: tuple[Index, ...] = ()


def why_not_unique(table: Table, columns: Sequence[str], where: str = "") -> str | None:
    """Return why columns are not unique in the rows that `where` selects; None if they are.

    One index must do it: of exactly these columns in any order, unique, valid, ready and immediate, and over
    no fewer rows. Those that come near are explained: of these columns, or else of some of them.
    """
    missing = [column for column in columns if column not in table.columns]
    if missing:
        return f"{table.name} has no column {', no column '.join(missing)}"
    exact = [index for index in table.indexes if _is_of(index, columns)]
    near = exact or [index for index in table.indexes if _comes_near(index, columns)]
    faults = {index.name: list(_faults(index, table, columns, where)) for index in near}
    if not all(faults.values()):
        return None
    wanted = f"{table.name} has no unique index on ({', '.join(columns)})" + (where and f" where {where}")
    explained = ", ".join(f"{name} {' and '.join(each)}" for name, each in faults.items())
    return f"{wanted}: {explained}" if explained else wanted


def _is_of(index: Index, columns: Collection[str]) -> bool:
    """Whether an index covers these columns and nothing else."""
    return index.columns == set(columns) and not index.expressions


def _comes_near(index: Index, columns: Collection[str]) -> bool:
    """Whether an index keeps something unique in which one of the columns is."""
    named = {word.strip('"') for word in _words(index.expressions)}
    return (index.is_unique or index.is_exclusion) and not (index.columns | named).isdisjoint(columns)


def _faults(index: Index, table: Table, columns: Sequence[str], where: str) -> Iterator[str]:
    """Yield what is wrong with an index."""
    if index.is_exclusion:
        yield "is an exclusion constraint"
    elif not index.is_unique:
        yield "is not unique"
    if index.expressions:
        yield f"covers the expression {index.expressions}"
    elif index.columns != set(columns):
        yield f"covers ({', '.join(sorted(index.columns))})"
    if not (index.is_valid and index.is_ready):
        yield "is not valid, since its creation failed or still runs"
    if not index.is_immediate:
        yield "is deferrable"
    if index.predicate and _words(index.predicate) != _words(where):
        yield f"holds only where {index.predicate}"
    nullable = [
        column for column in columns if column in table.nullable and not _excludes_null(where, column)
    ]
    if index.has_nulls_distinct and nullable:
        yield f"takes any number of NULLs in {' and '.join(nullable)}"


def _words(sql: str) -> list[str]:
    """Return the words of an expression: the same for two that differ in spaces, case or outer brackets."""
    words = [word if word[0] in "'\"" else word.lower() for word in _WORD.findall(sql)]
    around = _brackets_around(words)
    return words[around : len(words) - around]


def _brackets_around(words: Sequence[str]) -> int:
    """Return how many pairs of brackets are around all of it, looking at each word once."""
    opened, closed = list[int](), dict[int, int]()
    for position, word in enumerate(words):
        if word == "(":
            opened.append(position)
        elif word == ")" and opened:
            closed[opened.pop()] = position
    around = 0
    while closed.get(around) == len(words) - 1 - around:
        around += 1
    return around


def _excludes_null(where: str, column: str) -> bool:
    """Whether a predicate leaves out the rows in which a column is NULL, as one of what it joins with AND."""
    return any(
        part in ([column, "is", "not", "null"], [f'"{column}"', "is", "not", "null"])
        for part in _parts(where)
    )


def _parts(where: str) -> Iterator[list[str]]:
    """Yield what a predicate joins with AND, each without its outer brackets."""
    depth, part = 0, list[str]()
    for word in [*_words(where), "and"]:
        depth += (word == "(") - (word == ")")
        if depth == 0 and word == "and":
            yield _words(" ".join(part))
            part = []
        else:
            part.append(word)
