"""One log line for each status change: what it was, for how long, and why it is another."""

import logging

from sidecar.core.events import StatusChanged
from sidecar.core.state import Status
from sidecar.support.text import show_age

log = logging.getLogger("sidecar.status")


def log_status_change(changed: StatusChanged) -> None:
    """Log a status change; a board's listener."""
    last = changed.after.last
    fields = {
        "check": changed.name,
        "type": changed.type,
        "from": changed.before.status,
        "to": changed.after.status,
        "after": show_age(changed.lasted),
        "runs": changed.runs_before,
    }
    if last is not None and last.reason is not None:
        fields |= {"reason": last.reason, "detail": last.message}
    elif last is not None and last.message:
        fields |= {"detail": last.message}
    level = logging.WARNING if changed.after.status is Status.DOWN else logging.INFO
    log.log(level, "check is %s", changed.after.status, extra=fields)
