"""The whole board as JSON, for people on the admin listener: it has messages."""

import json
from typing import Any

from aiohttp import web

from sidecar.core.verdict import Gate
from sidecar.runtime.board import Board, Entry
from sidecar.runtime.clock import Clock
from sidecar.web.render import Format, Reply
from sidecar.web.site import respond


class StatusPage:
    """Answers what is known of every check now. Spans are seconds."""

    def __init__(self, board: Board, clock: Clock | None = None, *, revision: str = "") -> None:
        self._board = board
        self._clock = clock or Clock()
        self._revision = revision

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer GET and HEAD."""
        if request.method not in ("GET", "HEAD"):
            return respond(Reply(405, b"only GET and HEAD are answered here\n"), Allow="GET, HEAD")
        return respond(self.answer())

    def answer(self) -> Reply:
        """Return the board, with the checks in their configured order."""
        now = self._clock.monotonic()
        body = {
            "phase": self._board.phase,
            "revision": self._revision or None,
            "deploy": self._board.deploy_phase,
            "uptime_seconds": _seconds(now - self._board.started_at),
            "startup_passed": self._board.latch.startup_passed,
            "checks": [_describe(entry, now) for entry in self._board.entries()],
        }
        return Reply(200, json.dumps(body, ensure_ascii=False).encode(), Format.JSON)


def _describe(entry: Entry, now: float) -> dict[str, Any]:
    config, state, last = entry.config, entry.state, entry.state.last
    return {
        "name": config.name,
        "type": config.type,
        "target": config.target,
        "gates": [gate for gate in Gate if gate in config.gates],
        "status": state.status,
        "is_stale": entry.standing.is_stale(now),
        "is_new": entry.standing.is_new,
        "has_been_up": state.has_been_up,
        "since_seconds": _seconds(now - state.since),
        "streak": state.streak,
        "outcomes": list(entry.recent),
        "reason": last.reason if last else None,
        "message": last.message if last else "",
        "age_seconds": _seconds(now - last.finished_at) if last else None,
        "next_run_seconds": _until(entry.next_run_at, now),
    }


def _until(moment: float | None, now: float) -> float | None:
    return None if moment is None else _seconds(max(moment - now, 0.0))


def _seconds(span: float) -> float:
    return round(span, 3)
