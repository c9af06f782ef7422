"""Begins, ends and waits for a drain over HTTP. The only pages that wait, and never for a dependency.

What changes state is on the admin listener alone, and asks for a header that no web page can send without
being allowed to.
"""

from collections.abc import Mapping
from math import ceil
from typing import Final

from aiohttp import web

from sidecar.runtime.drain import Drainer, Ending, StoppingError
from sidecar.support.text import show_duration
from sidecar.web.render import Reply
from sidecar.web.site import Handler, respond

PERMIT: Final = ("X-Sidecar", "1")
WAITING_LIMIT: Final = 100
"""Requests of a listener that may wait at one time: more would be somebody else's."""

TOLD: Final = {
    Ending.OVER: Reply(200, b"the drain is over\n"),
    Ending.CANCELLED: Reply(409, b"the drain was cancelled\n"),
    Ending.NONE_BEGAN: Reply(200, b"no drain has begun\n"),
}


class DrainPages:
    """The paths about drains of one listener."""

    def __init__(self, drainer: Drainer, *, is_trusted: bool) -> None:
        self._drainer = drainer
        self._is_trusted = is_trusted
        self._waiting = 0

    def paths(self) -> Mapping[str, Handler]:
        """Return what answers each path."""
        if self._is_trusted:
            return {"/drained": self.wait, "/drain": self.change}
        return {"/drained": self.wait}

    async def wait(self, request: web.BaseRequest) -> web.Response:
        """Answer 200 once the drain is over, or after 2 seconds without one.

        Answers 409 once it is cancelled, and 503 when too many wait.
        """
        if request.method not in ("GET", "HEAD"):
            return respond(Reply(405, b"only GET and HEAD are answered here\n"), Allow="GET, HEAD")
        if self._waiting >= WAITING_LIMIT:
            return respond(Reply(503, b"too many are waiting already\n"))
        self._waiting += 1
        try:
            return respond(TOLD[await self._drainer.ended()])
        finally:
            self._waiting -= 1

    async def change(self, request: web.BaseRequest) -> web.Response:
        """Begin a drain on POST, which `Retry-After` tells the longest time of; end it on DELETE."""
        if request.method not in ("POST", "DELETE"):
            return respond(Reply(405, b"only POST and DELETE are answered here\n"), Allow="POST, DELETE")
        name, value = PERMIT
        if request.headers.get(name) != value:
            return respond(Reply(403, f"needs the header {name}: {value}\n".encode()))
        return self._begin() if request.method == "POST" else self._cancel()

    def _begin(self) -> web.Response:
        self._drainer.begin()
        left = self._drainer.seconds_left()
        told = Reply(202, f"draining for at most {show_duration(ceil(left))}\n".encode())
        return respond(told, **{"Retry-After": str(ceil(left))})

    def _cancel(self) -> web.Response:
        try:
            was_draining = self._drainer.cancel()
        except StoppingError:
            return respond(Reply(409, b"a stop signal has come: the drain ends the process\n"))
        return respond(Reply(200, b"serving on\n" if was_draining else b"no drain was under way\n"))
