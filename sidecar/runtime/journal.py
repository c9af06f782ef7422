"""One log line for each event: what changed, after how long, and why."""

import logging
from typing import Final

from sidecar.core.events import Event, StartupPassed, StatusChanged
from sidecar.core.result import Result
from sidecar.core.state import Status
from sidecar.support.text import show_age

LEVELS: Final = {Status.DOWN: logging.WARNING}

log = logging.getLogger("sidecar.status")


def log_event(event: Event) -> None:
    """Log an event; a board's listener."""
    if isinstance(event, StartupPassed):
        log.info("startup passed", extra={"after": show_age(event.after)})
    else:
        _log_status_change(event)


def _log_status_change(changed: StatusChanged) -> None:
    status = changed.after.status
    fields = {
        "check": changed.name,
        "type": changed.type,
        "from": changed.before.status,
        "to": status,
        "after": show_age(changed.lasted),
        "runs": changed.runs_before,
        **_why(changed.after.last),
    }
    log.log(LEVELS.get(status, logging.INFO), "check is %s", status, extra=fields)


def _why(last: Result | None) -> dict[str, str]:
    if last is None:
        return {}
    why = {"reason": last.reason, "detail": last.message}
    return {name: value for name, value in why.items() if value}
