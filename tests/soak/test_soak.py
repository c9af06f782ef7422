"""A small soak of every type, and that a soak would see what is left behind."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.soak.__main__ import AS_IN_THE_IMAGE, driven, soaked
from benchmarks.soak.memory import Slope, slope
from benchmarks.soak.report import Record, faults, markdown, table
from benchmarks.soak.targets import Servers, kinds
from sidecar.checks import InstalledTypes
from tests.process.plugins import install

RUNS: Final = 100
"""So few say nothing of the memory, which still fills its caches."""
WHOLE: Final[Record] = {
    "outcomes": {
        "up": {"success": 90, "timeout": 2},
        "hung": {"timeout": 10},
        "flapping": {"success": 1, "dns": 1},
    },
    "before": {"descriptors": 7, "tasks": 1, "threads": 1},
    "after": {"descriptors": 7, "tasks": 1, "threads": 1},
    "rss_slope": {"value": 0.25, "low": -0.5, "high": 0.75},
    "block_slope": {"value": -1.0, "low": -20.0, "high": 18.0},
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("soak")) as started:
        yield started


def test_every_type_is_soaked() -> None:
    assert sorted(kinds()) == sorted(InstalledTypes().names())


def test_memory_is_allocated_as_in_the_image() -> None:
    image = Path(__file__).parents[2].joinpath("Dockerfile").read_text()

    assert [f"{name}={value} " in image for name, value in AS_IN_THE_IMAGE.items()] == [True]


@pytest.mark.servers
@pytest.mark.slow
@pytest.mark.parametrize("kind", kinds())
def test_a_few_hundred_runs_leave_nothing_behind(kind: str, servers: Servers) -> None:
    record = asyncio.run(soaked(kind, servers, RUNS, rounds=1, looks=2, crowd=1))

    assert list(faults(kind, record, judges_memory=False)) == []


LEAKING: Final = """
kept.append(open("/dev/null"))
kept.append(asyncio.create_task(asyncio.sleep(1e6)))
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


@pytest.mark.slow
def test_what_leaks_in_every_run_is_seen(tmp_path: Path) -> None:
    environ = install(tmp_path, run=LEAKING, prelude="import threading\nkept = []")
    runs = {"runs": 100, "rounds": 2, "looks": 4, "slope_limit": 1.0}
    order = {**runs, "crowd": 1, "targets": {"up": {"type": "trouble", "interval": "200ms"}}}

    record = asyncio.run(driven(order, environ))
    told = "\n".join(faults("trouble", record))

    assert all(
        f"trouble: {each} " in told
        for each in ("descriptors", "tasks", "threads", "the memory", "what lives")
    ), told
    assert record["looks"][-1][0] >= 3 * 100, "what grows was given time to settle"


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({}, []),
        ({"after": {"descriptors": 8, "tasks": 1, "threads": 0}}, ["redis: descriptors rose from 7 to 8"]),
        (
            {"rss_slope": {"value": 0.9, "low": 0.5, "high": 1.01}},
            ["redis: the memory may have grown by +0.90 (+0.50 to +1.01) KiB per 1,000 runs"],
        ),
        (
            {"rss_slope": {"value": 4.0, "low": 1.5, "high": 6.0}},
            ["redis: the memory grew by +4.00 (+1.50 to +6.00) KiB per 1,000 runs"],
        ),
        (
            {"block_slope": {"value": 150.0, "low": 101.0, "high": 200.0}},
            ["redis: what lives grew by +150 (+101 to +200) blocks per 1,000 runs"],
        ),
        ({"outcomes": {"up": {"success": 40, "auth": 60}}}, ["redis: what is up answered 40 of 100 runs"]),
        ({"outcomes": {"up": {}}}, ["redis: what is up was never asked"]),
        ({"outcomes": {"hung": {"success": 1, "timeout": 9}}}, ["redis: what is hung succeeded"]),
        ({"outcomes": {"flapping": {"dns": 9}}}, ["redis: what is flapping succeeded in 0 of 9 runs"]),
    ],
)
def test_a_bound_that_is_broken_is_told(broken: Mapping[str, Any], told: list[str]) -> None:
    assert list(faults("redis", {**WHOLE, **broken})) == told


def test_the_figures_are_shown_on_a_page_and_on_a_terminal() -> None:
    cells = ["redis", "104", "92", "10", "2", "-", "7 → 7", "1 → 1", "1 → 1", "+0.25 (-0.50 to +0.75)"]
    cells.append("-1 (-20 to +18)")

    assert markdown({"redis": WHOLE}).splitlines()[1:] == ["| --- " * 11 + "|", f"| {' | '.join(cells)} |"]
    assert table({"redis": WHOLE}).splitlines()[1].split() == " ".join(cells).split()


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
