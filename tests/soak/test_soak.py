"""A small soak of every type, and that a soak would see what is left behind."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.soak.__main__ import driven, soaked
from benchmarks.soak.memory import Slope, slope
from benchmarks.soak.report import Record, faults, markdown, table
from benchmarks.soak.targets import kinds
from sidecar.checks import InstalledTypes
from tests.process.plugins import install

RUNS: Final = 300
"""So few say nothing of the memory, which still fills its caches."""
WHOLE: Final[Record] = {
    "outcomes": {
        "redis": {
            "up": {"success": 990, "timeout": 2},
            "hung": {"timeout": 10},
            "flapping": {"success": 1, "dns": 1},
        },
        "file": {"garbage": {"contract": 3}},
    },
    "before": {"descriptors": 7, "tasks": 1, "threads": 1},
    "after": {"descriptors": 7, "tasks": 1, "threads": 1},
    "resident": {"value": 0.25, "low": -0.5, "high": 0.75},
    "allocated": {"value": -0.2, "low": -2.0, "high": 1.8},
}


def test_every_type_is_soaked() -> None:
    ways = {"rabbitmq-channel", "postgres-session"}

    assert set(kinds()) - ways == set(InstalledTypes().names())


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_few_hundred_runs_of_all_types_leave_nothing_behind(tmp_path: Path) -> None:
    record = asyncio.run(soaked(kinds(), RUNS, looks=1, folder=tmp_path))
    told = faults(record, judges_memory=False)

    assert [each for each in told if "flapping" not in each] == [], "so few runs may see one state of it"
    assert sorted(record["outcomes"]) == sorted(kinds())


LEAKING: Final = """
kept.append(open("/dev/null"))
kept.append(asyncio.create_task(asyncio.sleep(1e6)))
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


@pytest.mark.slow
def test_what_leaks_in_every_run_is_seen(tmp_path: Path) -> None:
    environ = install(tmp_path, run=LEAKING, prelude="import threading\nkept = []")
    targets = {"trouble": {"up": {"type": "trouble", "interval": "200ms"}}}

    record = asyncio.run(driven({"runs": 100, "looks": 5, "targets": targets}, environ))
    told = "\n".join(faults(record))

    grown = (
        "descriptors rose",
        "tasks rose",
        "threads rose",
        "the resident memory grew",
        "what is allocated grew",
    )
    assert all(each in told for each in grown), told


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({}, []),
        ({"after": {"descriptors": 8, "tasks": 1, "threads": 0}}, ["descriptors rose from 7 to 8"]),
        (
            {"resident": {"value": 0.9, "low": 0.5, "high": 1.01}},
            ["the resident memory may have grown by +0.90 (+0.50 to +1.01) KiB per 1,000 runs"],
        ),
        (
            {"resident": {"value": 4.0, "low": 1.5, "high": 6.0}},
            ["the resident memory grew by +4.00 (+1.50 to +6.00) KiB per 1,000 runs"],
        ),
        (
            {"allocated": {"value": 4.0, "low": 1.5, "high": 6.0}},
            ["what is allocated grew by +4.00 (+1.50 to +6.00) KiB per 1,000 runs"],
        ),
    ],
)
def test_a_bound_that_is_broken_is_told(broken: Mapping[str, Any], told: list[str]) -> None:
    assert list(faults({**WHOLE, **broken})) == told


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ({"up": {"success": 40, "auth": 60}}, "what is up answered 40 of 100 runs"),
        ({"up": {}}, "what is up was never asked"),
        ({"hung": {"success": 1, "timeout": 9}}, "what is hung succeeded"),
        ({"flapping": {"dns": 9}}, "what is flapping succeeded in 0 of 9 runs"),
    ],
)
def test_a_target_that_was_not_in_its_state_is_told(states: Mapping[str, Any], told: str) -> None:
    assert list(faults({**WHOLE, "outcomes": {"redis": states}})) == [f"redis: {told}"]


def test_the_figures_are_shown_on_a_page_and_on_a_terminal() -> None:
    left_behind, runs = (part.splitlines() for part in markdown(WHOLE).split("\n\n"))

    assert left_behind[2:4] == ["| descriptors | 7 → 7 | no more |", "| tasks | 1 → 1 | no more |"]
    assert left_behind[5] == "| resident, KiB per 1,000 runs | +0.25 (-0.50 to +0.75) | 1 |"
    assert runs == [
        "| type | runs | up | hung | flapping | garbage |",
        "| --- | --- | --- | --- | --- | --- |",
        "| redis | 1,004 | 992 (990) | 10 (0) | 2 (1) | - |",
        "| file | 3 | - | - | - | 3 (0) |",
        "| all | 1,007 |  |  |  |  |",
    ]
    assert table(WHOLE).splitlines()[-1].split() == ["all", "1,007"]


def growing(resident: Iterable[int]) -> Slope:
    return slope([(100 * run, kib) for run, kib in enumerate(resident)])


@pytest.mark.parametrize(
    ("resident", "expected"),
    [([100] * 9, 0.0), (range(100, 109), 10.0), ([100, 100, 100, 900, 100, 100, 100, 100, 100], 0.0)],
)
def test_a_slope_follows_what_lasts_and_no_burst(resident: Iterable[int], expected: float) -> None:
    assert growing(resident).value == expected


def test_the_bounds_of_a_slope_are_the_wider_the_less_the_data_say() -> None:
    few, many = ([100 + look + 6 * (look % 2) for look in range(looks)] for looks in (8, 40))

    assert growing(few).low < growing(many).low <= 10 <= growing(many).high < growing(few).high
    assert growing(range(9)) == Slope(10.0, 10.0, 10.0)
