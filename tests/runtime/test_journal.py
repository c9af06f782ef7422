"""One log line an event, with all that a person on call asks next."""

import logging

import pytest

from sidecar.core.events import Event, StartupPassed, StatusChanged
from sidecar.runtime.journal import log_event
from tests.core.builders import states

PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def line_of(event: Event, caplog: pytest.LogCaptureFixture) -> tuple[str, str, str, dict[str, object]]:
    """Return the line of an event: logger, level, message, fields."""
    caplog.set_level(logging.DEBUG)
    log_event(event)
    [record] = caplog.records
    fields = {name: value for name, value in vars(record).items() if name not in PLAIN}
    return record.name, record.levelname, record.getMessage(), fields


def last_change(runs: str, *, runs_before: int = 0) -> StatusChanged:
    """Return the status change that the last of these runs caused."""
    before, after = states(runs)[-2:]
    return StatusChanged(name="db", type="tcp", before=before, after=after, runs_before=runs_before)


def test_going_down_is_a_warning_with_reason_message_and_the_time_spent_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert line_of(last_change("s" * 68 + "fff", runs_before=69), caplog) == (
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
    assert line_of(last_change("fffs"), caplog) == (
        "sidecar.status",
        "INFO",
        "check is up",
        {"check": "db", "type": "tcp", "from": "down", "to": "up", "after": "1s", "runs": 0},
    )


def test_coming_up_with_a_warning_tells_it(caplog: pytest.LogCaptureFixture) -> None:
    assert line_of(last_change("w"), caplog)[3] == {
        "check": "db",
        "type": "tcp",
        "from": "unknown",
        "to": "up",
        "after": "0s",
        "runs": 0,
        "detail": "ends in 6 days",
    }


def test_a_change_without_a_result_is_told_without_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    unknown, down = states("")[0], states("fff")[-1]
    changed = StatusChanged(name="db", type="tcp", before=down, after=unknown, runs_before=0)

    assert line_of(changed, caplog)[3].keys() == {"check", "type", "from", "to", "after", "runs"}


def test_a_start_that_passed_is_information_with_the_time_that_it_took(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert line_of(StartupPassed(after=75.5), caplog) == (
        "sidecar.status",
        "INFO",
        "startup passed",
        {"after": "1m 15s"},
    )
