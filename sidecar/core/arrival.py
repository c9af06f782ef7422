"""Whether a deploy has arrived: what the answers of all its pods' sidecars, taken together, mean."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sidecar.core.deploy import BAD_NEWS, DeployEvent

NAMED: Final = 5
"""Addresses that a line names; the others are counted."""
CHECKS_NAMED: Final = 3
"""The same, of the failing checks of one address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one address answered to the question whether it is ready."""

    address: str
    is_sidecar: bool = True
    """Whether a sidecar answered at all."""
    revision: str = ""
    """Empty where it does not say."""
    is_ready: bool = False
    phase: DeployEvent | None = None
    """Of its deploy; None where it does not say."""
    failures: tuple[str, ...] = ()
    """Its failing checks, each with the reason."""


class Course(StrEnum):
    """How a deploy goes."""

    UNDER_WAY = "under way"
    LIVE = "live"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a round of answers means, and a line that says how far it has got."""

    course: Course
    progress: str
    failures: tuple[str, ...] = ()
    """Why it has failed: a line each."""


def judge(heard: Sequence[Heard], revision: str, *, at_least: int, unknown: str = "") -> Arrival:
    """Return what a round of answers means for a revision that is to be live at so many addresses.

    It is live when every address answers that it is ready with this revision. It has failed when one that is
    not ready says that the deploy has; one that is ready again may be about to say otherwise. `unknown` says
    why no address is known.
    """
    ready = [each for each in heard if each.is_ready and each.revision == revision]
    others = [each for each in heard if each not in ready]
    lost = [each for each in others if each.revision == revision and each.phase in BAD_NEWS]
    progress = _progress(len(ready), others, revision, at_least=at_least, unknown=unknown)
    if not others and len(ready) >= at_least:
        return Arrival(Course.LIVE, progress)
    if lost:
        return Arrival(Course.FAILED, progress, tuple(_losses(lost)))
    return Arrival(Course.UNDER_WAY, progress)


def _progress(ready: int, others: Sequence[Heard], revision: str, *, at_least: int, unknown: str) -> str:
    count = ready + len(others)
    told = [f"{each.address} {_standing(each, revision)}" for each in others[:NAMED]]
    if len(others) > NAMED:
        told.append(f"and {len(others) - NAMED} more")
    if unknown:
        told.append(unknown)
    elif count < at_least:
        told.append(f"{at_least - count} more {'is' if at_least - count == 1 else 'are'} awaited")
    beginning = f"{ready} of {max(count, at_least)} ready with {revision}"
    return f"{beginning}: {'; '.join(told)}" if told else beginning


def _standing(heard: Heard, revision: str) -> str:
    if not heard.is_sidecar:
        return "is not answering"
    if not heard.revision:
        return "does not say its revision"
    if heard.revision != revision:
        return f"still runs {heard.revision}"
    return f"is not ready{f': {_listed(heard.failures)}' if heard.failures else ''}"


def _listed(failures: Sequence[str]) -> str:
    more = len(failures) - CHECKS_NAMED
    return ", ".join(failures[:CHECKS_NAMED]) + (f" and {more} more" if more > 0 else "")


def _losses(lost: Sequence[Heard]) -> Iterator[str]:
    """Yield each failing check of the pods whose deploy has failed; the pod alone where it names none."""
    for each in lost:
        said = f"{each.address} has {'timed out' if each.phase is DeployEvent.TIMED_OUT else 'failed'}"
        yield from (f"{said}: {failure}" for failure in each.failures)
        if not each.failures:
            yield said
