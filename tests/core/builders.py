"""Values of `core` in letters: `s` a success, `w` a warning, `f` refused, `a` and `b` refused credentials."""

from collections.abc import Iterable

from sidecar.core.check import Reason
from sidecar.core.result import Outcome, Result
from sidecar.core.state import State, Status, settle

EPOCH = 1_800_000_000.0
FAILED = {
    "f": Reason.REFUSED,
    "a": Reason.AUTH,
    "b": Reason.FORBIDDEN,
}
SHOWN = {Status.UNKNOWN: "?", Status.UP: "+", Status.DOWN: "-"}


def result(letter: str, *, at: float = 0.0, duration: float = 0.0) -> Result:
    """Return the result that a letter stands for, which ended at the monotonic second `at`."""
    reason = FAILED.get(letter)
    outcome = Outcome.FAILURE if reason else Outcome.WARNING if letter == "w" else Outcome.SUCCESS
    message = {"s": "", "w": "ends in 6 days"}.get(letter, "db:5432 refused")
    return Result(
        outcome=outcome,
        finished_at=at,
        duration=duration,
        time=EPOCH + at,
        reason=reason,
        message=message,
    )


def states(
    letters: Iterable[str], *, failure_threshold: int = 3, success_threshold: int = 1, duration: float = 0.0
) -> list[State]:
    """Return the state before any run and after each, one run a second."""
    settled = [State()]
    for second, letter in enumerate(letters):
        settled.append(
            settle(
                settled[-1],
                result(letter, at=float(second), duration=duration),
                failure_threshold=failure_threshold,
                success_threshold=success_threshold,
            )
        )
    return settled


def statuses(settled: Iterable[State]) -> str:
    """Return `?`, `+` and `-` for unknown, up and down."""
    return "".join(SHOWN[state.status] for state in settled)
