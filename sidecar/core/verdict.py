"""The answer of one probe at one moment, from the states of all checks.

What the gates mean is decided here and nowhere else; `web` only renders it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import Final

from sidecar.core.phase import LEAVING, Phase
from sidecar.core.result import Outcome
from sidecar.core.state import State, Status


class Gate(StrEnum):
    """A probe that a check can hold back."""

    LIVENESS = "liveness"
    READINESS = "readiness"
    STARTUP = "startup"


class Probe(StrEnum):
    """What the kubelet asks us; the value is the path. `/healthz`, about ourselves, is not judged here."""

    LIVEZ = "livez"
    READYZ = "readyz"
    STARTUPZ = "startupz"


OWN_GATE: Final = {
    Probe.LIVEZ: Gate.LIVENESS,
    Probe.READYZ: Gate.READINESS,
    Probe.STARTUPZ: Gate.STARTUP,
}


class Mark(StrEnum):
    """How a line begins, as kube-apiserver's do; `!` is noted without failing the probe."""

    OK = "+"
    FAILED = "-"
    NOTED = "!"


class Answer(StrEnum):
    """A verdict in one word, in the words of draft-inadarei-api-health-check."""

    PASS = "pass"  # noqa: S105 - a word of the health check draft, no password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that a verdict needs to know of one check."""

    name: str
    gates: frozenset[Gate]
    state: State
    stale_at: float
    """Monotonic seconds from which the last result is too old to trust."""
    pending: frozenset[Gate] = frozenset()
    """Those of `gates` that an edit gave it while we were serving: in force once it has been up."""

    @property
    def is_new(self) -> bool:
        """Whether an edit has given it gates, and it has not been up since."""
        return bool(self.pending)

    def is_stale(self, now: float) -> bool:
        """Whether the last result is too old to trust."""
        return now >= self.stale_at

    def is_up(self, now: float) -> bool:
        """Whether the check is settled up on a result fresh enough to trust."""
        return self.state.status is Status.UP and not self.is_stale(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """What holds for good once it held."""

    startup_passed: bool
    liveness_deadline: float
    """Monotonic seconds from which a check that never came up may fail `/livez`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a verdict. `reason` may be shown to anybody, `message` only to the trusted."""

    name: str
    mark: Mark
    text: str = ""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer of a probe, true until `expires_at` as long as no state changes."""

    lines: tuple[Line, ...]
    expires_at: float
    """Monotonic seconds at which time alone may change the answer; infinity if it cannot."""

    @property
    def answer(self) -> Answer:
        """Fail when a line does, else warn when one is noted, else pass."""
        marks = {line.mark for line in self.lines}
        if Mark.FAILED in marks:
            return Answer.FAIL
        return Answer.WARN if Mark.NOTED in marks else Answer.PASS


def judge(probe: Probe, standings: Sequence[Standing], phase: Phase, latch: Latch, now: float) -> Verdict:
    """Return what `probe` answers now, with a line a check in the configured order."""
    lines = [_line(probe, standing, latch, now) for standing in standings]
    if probe is Probe.READYZ and phase in LEAVING:
        lines.append(Line(name=phase, mark=Mark.FAILED))
    return Verdict(lines=tuple(lines), expires_at=_expiry(standings, latch, now))


def judge_one(probe: Probe, standing: Standing, latch: Latch, now: float) -> Verdict:
    """Return what `probe` answers about one check, asked by name: as if that check alone gated the probe."""
    asked = replace(standing, gates=frozenset({OWN_GATE[probe]}), pending=frozenset())
    untouched = replace(latch, startup_passed=False)
    return judge(probe, [asked], Phase.SERVING, untouched, now)


def failing(standings: Sequence[Standing], latch: Latch, now: float) -> tuple[tuple[Line, ...], float]:
    """Return the line of every check that holds a probe back, and the second at which time may change that.

    In the configured order, a check once, whichever phase the process is in: a drain is no check's fault.
    """
    lines = tuple(
        _trouble(standing, now, mark=Mark.FAILED, text="failed")
        for standing in standings
        if standing.gates and not standing.is_up(now)
        if any(_holds_back(probe, standing, latch, now) for probe in Probe)
    )
    return lines, _expiry(standings, latch, now)


def pending_after_edit(
    old: Standing | None, gates: frozenset[Gate], now: float, *, is_edited: bool
) -> frozenset[Gate]:
    """Return which of its new `gates` are in force only once a check has been up, after an edit in serving.

    An edit by itself changes no answer: it takes no pod out, and lets none in. So all gates of a check that
    was added, or that was up and is to answer another question (`is_edited`), are pending; one that was not
    up goes on holding back what it held back.
    """
    if old is None:
        return gates
    if old.is_up(now):
        return gates if is_edited else frozenset()
    return gates - (old.gates - old.pending)


def has_started(standings: Iterable[Standing]) -> bool:
    """Whether every check that gates startup has been up."""
    return not any(awaits_startup(standing) for standing in standings)


def awaits_startup(standing: Standing) -> bool:
    """Whether the start waits for this check: it gates startup and has not been up."""
    return _gates(standing, Gate.STARTUP) and not standing.state.has_been_up


def _line(probe: Probe, standing: Standing, latch: Latch, now: float) -> Line:
    if _holds_back(probe, standing, latch, now):
        return _trouble(standing, now, mark=Mark.FAILED, text="failed")
    if standing.is_up(now) or _is_settled_startup(probe, standing):
        return _good(standing)
    story = "new" if standing.is_new else standing.state.status
    return _trouble(standing, now, mark=Mark.NOTED, text=f"{story}, not gating")


def _holds_back(probe: Probe, standing: Standing, latch: Latch, now: float) -> bool:
    if probe is Probe.LIVEZ:
        return _is_dead(standing, latch, now)
    is_awaited = not latch.startup_passed and awaits_startup(standing)
    return is_awaited or (probe is Probe.READYZ and _is_missed(standing, now))


def _is_missed(standing: Standing, now: float) -> bool:
    return _gates(standing, Gate.READINESS) and not standing.is_up(now)


def _is_dead(standing: Standing, latch: Latch, now: float) -> bool:
    """Unknown and stale are alive: an app is never killed for our lack of knowledge."""
    is_down = standing.state.status is Status.DOWN and not standing.is_stale(now)
    had_its_chance = standing.state.has_been_up or now >= latch.liveness_deadline
    return _gates(standing, Gate.LIVENESS) and is_down and had_its_chance


def _gates(standing: Standing, gate: Gate) -> bool:
    return gate in standing.gates - standing.pending


def _is_settled_startup(probe: Probe, standing: Standing) -> bool:
    return probe is Probe.STARTUPZ and Gate.STARTUP in standing.gates and standing.state.has_been_up


def _good(standing: Standing) -> Line:
    last = standing.state.last
    if last is not None and last.outcome is Outcome.WARNING:
        return Line(name=standing.name, mark=Mark.NOTED, text="warning", message=last.message)
    return Line(name=standing.name, mark=Mark.OK, text="ok")


def _trouble(standing: Standing, now: float, *, mark: Mark, text: str) -> Line:
    message = standing.state.last.message if standing.state.last else ""
    return Line(name=standing.name, mark=mark, text=text, reason=_reason(standing, now), message=message)


def _reason(standing: Standing, now: float) -> str:
    if standing.state.last is None:
        return "no result yet"
    return "stale" if standing.is_stale(now) else standing.state.last.reason or ""


def _expiry(standings: Iterable[Standing], latch: Latch, now: float) -> float:
    moments = [latch.liveness_deadline, *(standing.stale_at for standing in standings)]
    return min((moment for moment in moments if moment > now), default=inf)
