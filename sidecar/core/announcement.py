"""What a service is told of a deploy, and when an attempt to tell it is repeated."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Final

from sidecar.core.deploy import Deploy, DeployEvent, FailedCheck, Record, is_recovery

BUDGET: Final = 300.0
"""Seconds from the first attempt at an announcement after which it is given up."""
FIRST_PAUSE: Final = 1.0
"""Seconds between the first attempt and the second; doubled for each that follows."""
LONGEST_PAUSE: Final = 60.0
ENOUGH_DOUBLINGS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who deployed what, as far as it is known; empty where it is not."""

    user: str = ""
    branch: str = ""
    commit_url: str = ""
    build_url: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One event of a deploy, for one service. Holds no secret once it is `blotted`."""

    event: DeployEvent
    deploy: Deploy
    started_at: float
    """Seconds since the epoch."""
    time: float
    """The same, of the event."""
    pod: str = ""
    """The pod that saw it; empty where no pod did."""
    failures: tuple[FailedCheck, ...] = ()
    unnamed: int = 0
    """Failing checks beside those of `failures`."""
    is_recovery: bool = False
    """Whether the deploy went live after it was said to have failed."""
    is_unclaimed: bool = False
    """Whether the store of the claim was silent, so that other processes may say the same."""
    origin: Origin = Origin()

    @property
    def key(self) -> str:
        """A text that is the same whenever the same is announced, and then only: an idempotency key."""
        told = f"{self.deploy.key}:{self.event}"
        return blake2b(told.encode(), digest_size=16).hexdigest()

    @property
    def lasted(self) -> float:
        """Seconds from the start of the deploy to the event."""
        return max(self.time - self.started_at, 0.0)

    def blotted(self, redact: Callable[[str], str]) -> "Announcement":
        """Return it without the secrets that `redact` knows, whatever text has one.

        But for the deploy's own names: they are labels of metrics, and services know them by these.
        """
        return replace(
            self,
            pod=redact(self.pod),
            failures=tuple(replace(each, message=redact(each.message)) for each in self.failures),
            origin=Origin(**{name: redact(text) for name, text in asdict(self.origin).items()}),
        )


def announcement_of(
    record: Record, event: DeployEvent, origin: Origin, *, is_unclaimed: bool = False
) -> Announcement:
    """Return what is announced of an event that a record has.

    Raises:
        LookupError: it has not happened.
    """
    fact = record.fact(event)
    if fact is None:
        raise LookupError(f"{event} has not happened")
    return Announcement(
        event=event,
        deploy=record.deploy,
        started_at=record.started_at,
        time=fact.time,
        pod=fact.pod,
        failures=fact.failures,
        unnamed=fact.unnamed,
        is_recovery=event is DeployEvent.SUCCEEDED and is_recovery(record),
        is_unclaimed=is_unclaimed,
        origin=origin,
    )


def pause(attempts: int, *, retry_after: float, jitter: float) -> float:
    """Return the seconds to wait after so many attempts have failed.

    `jitter` stretches them, so that those who failed together do not come back together; `retry_after` are
    the seconds for which the service wants to be left alone.
    """
    doublings = min(attempts - 1, ENOUGH_DOUBLINGS)
    return max(min(FIRST_PAUSE * 2.0**doublings, LONGEST_PAUSE) * jitter, retry_after)
