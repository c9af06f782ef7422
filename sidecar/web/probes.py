"""The answers of the probes, rendered once and kept until the board or time changes them."""

from collections.abc import Collection
from dataclasses import dataclass

from sidecar.core.verdict import Line, Mark, Probe, Verdict
from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock
from sidecar.runtime.pulse import SLUGGISH, Pulse
from sidecar.support.text import show_age
from sidecar.web.render import PASSED, Reply, Style, render, without


@dataclass(frozen=True, slots=True)
class _Kept:
    reply: Reply
    version: int
    turns: int
    expires_at: float

    def is_true(self, board: Board, now: float) -> bool:
        """Whether the answer would be the same now; what checks tell changes no plain `ok`."""
        if self.turns != board.turns or now >= self.expires_at:
            return False
        return self.version == board.version or self.reply.body == PASSED


class Probes:
    """Answers every probe from memory, in microseconds. The `revision` is the app's, if it is known."""

    def __init__(self, board: Board, pulse: Pulse, clock: Clock | None = None, *, revision: str = "") -> None:
        self._board = board
        self._revision = revision
        self._pulse = pulse
        self._clock = clock or Clock()
        self._kept: dict[tuple[Probe, Style], _Kept] = {}

    def answer(self, probe: Probe, style: Style) -> Reply:
        """Return the answer of a whole probe."""
        now = self._clock.monotonic()
        kept = self._kept.get((probe, style))
        if kept is None or not kept.is_true(self._board, now):
            kept = self._kept[probe, style] = self._judge(probe, style, now)
        return kept.reply

    def _judge(self, probe: Probe, style: Style, now: float) -> _Kept:
        verdict = self._board.verdict(probe, now)
        reply = render(probe, verdict, style, about=self._about())
        return _Kept(reply, self._board.version, self._board.turns, verdict.expires_at)

    def answer_without(self, probe: Probe, style: Style, excluded: Collection[str]) -> Reply:
        """Return the answer of a probe with some checks left out."""
        verdict, warnings = without(self._board.verdict(probe, self._clock.monotonic()), excluded)
        return render(probe, verdict, style, warnings=warnings, about=self._about())

    def answer_on(self, name: str, probe: Probe, style: Style) -> Reply | None:
        """Return what a probe says about one check; None if no check has this name."""
        verdict = self._board.verdict_on(name, probe, self._clock.monotonic())
        return render(probe, verdict, style, about=self._about()) if verdict else None

    def answer_healthz(self, style: Style) -> Reply:
        """Return whether we ourselves are well. No check ever counts; that we were late is noted."""
        overdue = self._pulse.overdue()
        lines = [
            Line(name=loop, mark=Mark.FAILED, text="failed", reason=f"late by {show_age(late)}")
            for loop, late in overdue.items()
        ]
        if not lines and self._pulse.lag >= SLUGGISH:
            late = f"late by {show_age(self._pulse.lag)}"
            lines.append(Line(name="event-loop", mark=Mark.NOTED, text="warning", reason=late))
        verdict = Verdict(
            lines=tuple(lines) or (Line(name="loops", mark=Mark.OK, text="ok"),), expires_at=0.0
        )
        return render("healthz", verdict, style, about=self._about())

    def _about(self) -> dict[str, str]:
        """Return which revision we are, in the words of draft-inadarei-api-health-check, and its deploy."""
        if not self._revision:
            return {}
        phase = self._board.deploy_phase
        return {"releaseId": self._revision, **({"deploy": phase} if phase else {})}

    def names(self) -> list[str]:
        """Return the names of the checks."""
        return [standing.name for standing in self._board.standings()]
