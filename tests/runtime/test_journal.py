"""One log line a status change, with all that a person on call asks next."""

import logging

import pytest

from sidecar.core.events import StatusChanged
from sidecar.runtime.clock import Clock
from sidecar.runtime.journal import log_status_change
from tests.core.builders import states

PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def told(
    caplog: pytest.LogCaptureFixture, runs: str, *, runs_before: int = 0
) -> tuple[str, str, str, dict[str, object]]:
    """Return the line of the last status change of these runs: logger, level, message, fields."""
    caplog.set_level(logging.DEBUG)
    settled = states(runs)
    log_status_change(
        StatusChanged(name="db", type="tcp", before=settled[-2], after=settled[-1], runs_before=runs_before)
    )
    [record] = caplog.records
    fields = {name: value for name, value in vars(record).items() if name not in PLAIN}
    return record.name, record.levelname, record.getMessage(), fields


def test_going_down_is_a_warning_with_reason_message_and_the_time_spent_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert told(caplog, "s" * 68 + "fff", runs_before=69) == (
        "sidecar.status",
        "WARNING",
        "check is down",
        {
            "check": "db",
            "type": "tcp",
            "from": "up",
            "to": "down",
            "after": "1m 10s",
            "runs": 69,
            "reason": "refused",
            "detail": "db:5432 refused",
        },
    )


def test_coming_up_is_information_without_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, "fffs", runs_before=0) == (
        "sidecar.status",
        "INFO",
        "check is up",
        {"check": "db", "type": "tcp", "from": "down", "to": "up", "after": "1s", "runs": 0},
    )


def test_coming_up_with_a_warning_tells_it(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, "w")[3] == {
        "check": "db",
        "type": "tcp",
        "from": "unknown",
        "to": "up",
        "after": "0s",
        "runs": 0,
        "detail": "ends in 6 days",
    }


def test_a_change_without_a_result_is_told_without_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    down, up = states("sfff")[-1], states("")[0]

    log_status_change(StatusChanged(name="db", type="tcp", before=down, after=up, runs_before=0))

    fields = vars(caplog.records[0])
    assert ("reason" in fields, "detail" in fields) == (False, False)


def test_the_clocks_are_the_machines_by_default() -> None:
    clock = Clock()

    assert (clock.monotonic() <= clock.monotonic(), clock.wall() > 1_700_000_000) == (True, True)
