"""What the catalog says of indexes, and what follows from it."""

import time
from dataclasses import replace

import pytest

from sidecar.checks._unique import Index, Table, why_not_unique

AB = Index(name="ab", columns=frozenset("ab"))
NOT_UNIQUE = "t has no unique index on (a, b)"


def why(*indexes: Index, nullable: str = "", where: str = "", columns: str = "ab") -> str | None:
    table = Table(name="t", columns=frozenset("abc"), nullable=frozenset(nullable), indexes=indexes)
    return why_not_unique(table, list(columns), where)


@pytest.mark.parametrize("columns", ["ab", "ba"])
def test_a_unique_index_of_these_columns_is_enough_in_any_order(columns: str) -> None:
    assert why(AB, columns=columns) is None


def test_one_good_index_among_bad_ones_is_enough() -> None:
    assert (
        why(replace(AB, name="bad", is_valid=False), AB, replace(AB, name="worse", is_unique=False)) is None
    )


@pytest.mark.parametrize(
    ("index", "told"),
    [
        (replace(AB, is_unique=False), "ab is not unique"),
        (replace(AB, is_unique=False, is_exclusion=True), "ab is an exclusion constraint"),
        (replace(AB, is_exclusion=True), "ab is an exclusion constraint"),
        (replace(AB, is_valid=False), "ab is not valid, since its creation failed or still runs"),
        (replace(AB, is_ready=False), "ab is not valid, since its creation failed or still runs"),
        (replace(AB, is_immediate=False), "ab is deferrable"),
        (replace(AB, predicate="(c > 1)"), "ab holds only where (c > 1)"),
        (replace(AB, columns=frozenset("abc")), "ab covers (a, b, c)"),
        (replace(AB, columns=frozenset("a")), "ab covers (a)"),
        (replace(AB, columns=frozenset("a"), expressions="lower(b)"), "ab covers the expression lower(b)"),
        (replace(AB, columns=frozenset(), expressions='lower("b")'), 'ab covers the expression lower("b")'),
        (
            replace(AB, predicate="(c > 1)", is_immediate=False, is_valid=False),
            (
                "ab is not valid, since its creation failed or still runs and is deferrable"
                " and holds only where (c > 1)"
            ),
        ),
    ],
)
def test_an_index_that_falls_short_is_explained(index: Index, told: str) -> None:
    assert why(index) == f"{NOT_UNIQUE}: {told}"


@pytest.mark.parametrize(
    "index",
    [
        replace(AB, columns=frozenset("c")),
        replace(AB, columns=frozenset("abc"), is_unique=False),
        replace(AB, columns=frozenset(), expressions="lower(c)"),
        replace(AB, is_unique=False, expressions="lower(c)"),
    ],
)
def test_an_index_that_is_about_something_else_is_not_told(index: Index) -> None:
    assert why(index) == NOT_UNIQUE


def test_of_several_the_ones_of_these_columns_are_explained() -> None:
    wider, partial = replace(AB, name="wider", columns=frozenset("abc")), replace(AB, predicate="(c > 1)")
    deferrable = replace(AB, name="late", is_immediate=False)

    assert why(wider, partial, deferrable) == f"{NOT_UNIQUE}: ab holds only where (c > 1), late is deferrable"


def test_no_index_at_all() -> None:
    assert why() == NOT_UNIQUE
    assert why(where="c > 1") == f"{NOT_UNIQUE} where c > 1"


def test_columns_that_do_not_exist_are_named() -> None:
    assert why(AB, columns="axby") == "t has no column x, no column y"


@pytest.mark.parametrize(
    ("where", "predicate"),
    [
        ("c IS NULL", "(c IS NULL)"),
        ("c is  null", "(c IS NULL)"),
        ("((c>1))", "(c > 1)"),
        ("(c > 1) AND (a > 1)", "((c > 1) AND (a > 1))"),
        ("c = 'It''s'", "(c = 'It''s')"),
        ("anything", ""),
    ],
)
def test_a_partial_index_that_covers_the_wanted_rows_is_enough(where: str, predicate: str) -> None:
    assert why(replace(AB, predicate=predicate), where=where) is None


@pytest.mark.parametrize(
    ("where", "predicate"),
    [
        ("c > 1", "(c > 2)"),
        ("c = 'x'", "(c = 'X')"),
        ('"C" > 1', "(c > 1)"),
        ("(c > 1) OR (a > 1)", "((c > 1) AND (a > 1))"),
        ("(c > 1 OR a > 1) AND b > 1", "(c > 1 OR (a > 1 AND b > 1))"),
        ("c = 'a b'", "(c = 'a  b')"),
        ("c = ')'", "c = ')')"),
    ],
)
def test_a_partial_index_over_other_rows_is_explained(where: str, predicate: str) -> None:
    told = why(replace(AB, predicate=predicate), where=where)

    assert told == f"{NOT_UNIQUE} where {where}: ab holds only where {predicate}"


def test_columns_that_may_be_null_let_nulls_in() -> None:
    assert why(AB, nullable="b") == f"{NOT_UNIQUE}: ab takes any number of NULLs in b"
    assert why(AB, nullable="cab") == f"{NOT_UNIQUE}: ab takes any number of NULLs in a and b"
    assert why(AB, nullable="c") is None
    assert why(replace(AB, has_nulls_distinct=False), nullable="ab") is None


def test_brackets_without_end_are_judged_soon() -> None:
    nested = "(" * 5000 + "a IS NOT NULL" + ")" * 5000
    began = time.process_time()

    assert why(replace(AB, predicate=nested), where="a IS NOT NULL") is None
    assert time.process_time() - began < 0.3


@pytest.mark.parametrize(
    ("where", "is_enough"),
    [
        ("a IS NOT NULL", True),
        ('"a" is not null', True),
        ("(c > 1) AND (a IS NOT NULL)", True),
        ("c > 1 AND a IS NOT NULL", True),
        ("((a IS NOT NULL) AND (c > 1))", True),
        ("a IS NULL", False),
        ("c IS NOT NULL", False),
        ("(c > 1) OR (a IS NOT NULL)", False),
        ("(c > 1 AND a IS NOT NULL) OR c > 2", False),
        ("a IS NOT NULL OR c > 1", False),
    ],
)
def test_rows_without_nulls_need_no_more(where: str, *, is_enough: bool) -> None:
    assert (why(replace(AB, predicate=where), nullable="a", where=where) is None) is is_enough
    assert (why(AB, nullable="a", where=where) is None) is is_enough
