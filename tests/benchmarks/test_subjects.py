"""There is a subject of every type, and its bare calls ask what the check does."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cost import our_run
from benchmarks.proxy import Traffic, counting
from benchmarks.subjects import SUBJECTS, Address, Subject, bare_argument
from sidecar.checks import InstalledTypes

AT = Address(1234, path="/run/heartbeat")


def test_every_type_is_among_the_subjects() -> None:
    types = {subject.check(AT)["type"] for subject in SUBJECTS}

    assert sorted(types) == list(InstalledTypes().names())


@pytest.mark.parametrize("name", ["postgres", "postgres, kept"])
def test_a_driver_is_the_same_however_its_type_is_asked(name: str) -> None:
    assert bare_argument(name, AT) == "postgres=postgres://127.0.0.1:1234/postgres"


@pytest.mark.slow
@pytest.mark.servers
@pytest.mark.parametrize("name", ["rabbitmq-delivery", "rabbitmq-inflight"])
async def test_the_bare_calls_read_of_the_management_api_what_the_check_reads(
    name: str, tmp_path: Path
) -> None:
    [subject] = (each for each in SUBJECTS if each.name == name)
    with subject.dependency(tmp_path) as at:
        async with counting(at.port) as (port, ours):
            await _run_ours(subject, replace(at, port=port))
        async with counting(at.port) as (port, theirs), subject.bare(replace(at, port=port)) as ask:
            await ask()

    assert _read(ours) == _read(theirs)


async def _run_ours(subject: Subject, at: Address) -> None:
    ours = our_run(subject, at)
    await ours.ask()
    await ours.runner.aclose()


def _read(traffic: Traffic) -> tuple[int, int, int]:
    return traffic.connections, traffic.round_trips, traffic.received
