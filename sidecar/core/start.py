"""When a start is overdue, and when it is hopeless: what waiting does not cure."""

from collections.abc import Collection
from dataclasses import dataclass
from math import inf

from sidecar.core.check import Reason
from sidecar.core.verdict import Latch, Standing, awaits_startup


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRules:
    """How long a start may take, and what follows."""

    exits_when_overdue: bool = False
    fail_fast: float | None = None
    """Seconds that a check may fail for one permanent reason; None to wait whatever the reason."""


def is_overdue(latch: Latch, now: float) -> bool:
    """Whether startup has not passed by its deadline, at the monotonic second `now`."""
    return not latch.startup_passed and now >= latch.liveness_deadline


def hopeless_at(standing: Standing, permanent: Collection[Reason], rules: StartRules) -> float:
    """Return the monotonic second from which the start waits for this check in vain; infinity if it may pass.

    That is once a check that the start waits for has had nothing but one reason for `fail_fast` seconds, and
    that reason is one of the `permanent` ones of its type, which waiting does not cure.
    """
    last, since = standing.state.last, standing.state.reason_since
    if rules.fail_fast is None or last is None or since is None or not awaits_startup(standing):
        return inf
    return since + rules.fail_fast if last.reason in permanent else inf
