"""Which cells run, and where their outcomes are written: `pytest tests/faults --record-cells FILE`."""

import gc
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

from sidecar.checks import rabbitmq_inflight
from tests.faults.dns_server import DnsServer
from tests.faults.recording import Recorder
from tests.faults.subjects import Servers, Subject
from tests.servers import running
from tools.servers import PostgresServer, RedisServer, S3Server, Server

HERE: Final = Path(__file__).parent
OF_THE_SESSION: Final = "{}_server"
OF_THE_MODULE: Final = "breakable_{}"
RECORDER: Final = pytest.StashKey[Recorder]()


@pytest.fixture
def servers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Servers:
    """Return the session's servers, with no time between two readings of what is in flight."""
    monkeypatch.setattr(rabbitmq_inflight, "APART", 0.0)
    return Servers(request, OF_THE_SESSION)


@pytest.fixture
def breakable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Servers:
    """Return servers that the test may kill and pause, each whole again for the next test."""
    monkeypatch.setattr(rabbitmq_inflight, "APART", 0.0)
    return Servers(request, OF_THE_MODULE)


@pytest.fixture(autouse=True)
def _spared_collector() -> Iterator[None]:
    """Keep what other tests left out of the collector's sight: to look through it takes most of a second."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def breakable_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield the module's Redis."""
    yield from running(RedisServer(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="module")
def breakable_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield the module's PostgreSQL."""
    yield from running(PostgresServer(tmp_path_factory.mktemp("postgres"), password="secret"))


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield one that has just begun: the clock of its refusals stands still, and is taken for a wrong one."""
    yield from running(S3Server(tmp_path_factory.mktemp("s3")))


@pytest.fixture(scope="module")
def breakable_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield the module's stand-in for S3."""
    yield from running(S3Server(tmp_path_factory.mktemp("s3")))


@pytest.fixture(scope="module")
def breakable_dns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield the module's DNS server."""
    yield from running(DnsServer(tmp_path_factory.mktemp("dns")))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the file, which also asks for the cells that are marked `faults`."""
    parser.addoption(
        "--record-cells", type=Path, metavar="FILE", help="run every cell, and write its outcome"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin a record."""
    config.stash[RECORDER] = Recorder()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have a subject's server up before its test: what begins earlier is not left behind by it."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return
    subject = item.callspec.params.get("subject")
    if isinstance(subject, Subject):
        pattern = OF_THE_MODULE if "breakable" in item.fixturenames else OF_THE_SESSION
        item.fixturenames.insert(0, pattern.format(subject.kind))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark all of them slow; leave out what only `make faults` runs, unless it is asked for."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.slow)
    if _is_whole(config):
        return
    left_out = [item for item in ours if item.get_closest_marker("faults")]
    items[:] = [item for item in items if item not in set(left_out)]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Take down how each phase of a cell's test ended."""
    report = yield
    cell = item.get_closest_marker("cell")
    if cell is not None:
        row, column = cell.args
        item.config.stash[RECORDER].note((row, column), passed=report.passed)
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """Write the record."""
    path: Path | None = config.getoption("record_cells", None)
    if path is not None:
        config.stash[RECORDER].record.write(path)


def _is_whole(config: pytest.Config) -> bool:
    markers: str = config.getoption("markexpr", "")
    return config.getoption("record_cells", None) is not None or "faults" in markers
