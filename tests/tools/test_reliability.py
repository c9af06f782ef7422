"""The tables of `docs/reliability.md`."""

from pathlib import Path

from tools.reliability import COLUMNS, EXCUSES, PAGE, ROWS, Record, regressions, renewed, tables

ALL = {(row, column): True for row in ROWS for column in COLUMNS}
PART = Record(
    {
        ("redis", "refused"): True,
        ("tcp", "refused"): False,
        ("redis", "LOADING"): True,
        ("redis", "OOM"): False,
        ("the process", "disk full"): True,
    }
)


def table(name: str, record: Record) -> list[str]:
    return [line for line in tables(record)[name].splitlines() if line.startswith("|")][2:]


def test_only_the_parts_that_are_known_anew_are_written() -> None:
    page = "before\n<!-- cells: own -->\nold\n<!-- end -->\n<!-- soak: runs -->\nold\n<!-- end -->\nafter"

    assert renewed(page, {"runs": "new\n"}) == page.replace("runs -->\nold\n", "runs -->\n\nnew\n\n")


def test_the_page_names_what_others_shipped_and_its_tests_as_the_index_does() -> None:
    page = PAGE.read_text()

    assert renewed(page, {"regressions": regressions()}) == page


def test_every_fault_says_how_many_types_it_met_and_every_type_how_many_faults() -> None:
    refused, *_, totals = table("types", PART)

    assert refused == "| refused | ✓ | ? | ? | ? | ? | ? | ? | ? | ? | ✗ | ? | a | a | 1 of 2 |"
    assert totals.startswith("| **held** | 1 of 1 | 0 of 0 |")
    assert totals.endswith("| 1 of 2 |")


def test_what_is_no_fault_of_every_type_stands_with_its_own() -> None:
    assert table("own", PART) == ["| `redis` | LOADING ✓, OOM ✗ | 1 of 2 |"]
    assert table("process", PART) == ["| the process | disk full ✓ | 1 of 1 |"]


def test_what_is_neither_tried_nor_excused_is_named() -> None:
    excused = {cell for cell in ALL if any(each.covers(cell) for each in EXCUSES)}
    without = {cell: held for cell, held in ALL.items() if cell not in excused}
    del without["s3", "killed"]

    assert Record(without).untried() == [("s3", "killed")]


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    PART.write(tmp_path / "cells.json")

    assert Record.read(tmp_path / "cells.json") == PART


def test_the_page_tells_of_every_fault_that_it_counts() -> None:
    page = PAGE.read_text()
    told = page.partition("## What the person on call sees")[2]

    assert [column for column in COLUMNS if f"**{column}**" not in told] == []
    assert all(f": {name} -->" in page for name in ("types", "own", "process", "runs", "regressions"))
