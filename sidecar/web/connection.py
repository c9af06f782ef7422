"""A connection that slow, hostile and heavy clients cannot hold: aiohttp's, and the bounds that it lacks.

aiohttp closes idle connections and limits lines, headers and the requests that wait behind one another. Here
is the rest: a request that arrives slowly or without an end, an answer that nobody reads, more connections
than there is room for. A request that is being handled is never cut off, however long its answer takes.
"""

import asyncio
import logging
import resource
import socket
import struct
from collections import OrderedDict
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web

from sidecar.config.model import ServerConfig
from sidecar.web.site import HEADERS, Handler

LINE_LIMIT: Final = 8190
"""Bytes of a request line, and of a header."""
SHARE_OF_DESCRIPTORS: Final = 4
"""One of so many file descriptors is for a listener's clients: two listeners leave half to the checks."""

log = logging.getLogger("sidecar.web")

_RESET: Final = struct.pack("ii", 1, 0)
"""Linger for 0 seconds: the kernel forgets what was not sent, and says so to the peer."""


class BoundedServer(web.Server):
    """aiohttp's low-level server, whose connections keep to `bounds`.

    What a connection still does ends with it: aiohttp would go on waiting for the rest of a request's body.
    """

    def __init__(self, handler: Handler, bounds: ServerConfig) -> None:
        super().__init__(handler, handler_cancellation=True)
        self._bounds = bounds
        self._crowd = Crowd(room=affordable(bounds.max_connections), room_unread=bounds.max_unread)
        self._bugs: set[str] = set()

    def __call__(self) -> "Connection":
        """Return the protocol of a new connection."""
        return Connection(self, self._crowd, self._bounds)

    def tell_bug(self, crash: BaseException) -> None:
        """Log a crash of our own handler, each sort once: whoever causes it may ask again and again."""
        sort = type(crash).__name__
        if sort not in self._bugs:
            self._bugs.add(sort)
            log.error("answering a request crashed", exc_info=crash)


def affordable(wanted: int) -> int:
    """Return how many connections a listener may have: `wanted`, or fewer if we may open too few files."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(1, descriptors // SHARE_OF_DESCRIPTORS))


class Crowd:
    """A listener's connections, the one without a request for longest first; cuts off the supernumerary."""

    def __init__(self, *, room: int, room_unread: int) -> None:
        self._room = room
        self._room_unread = room_unread
        self._present: OrderedDict[Connection, None] = OrderedDict()
        self._unread: OrderedDict[Connection, None] = OrderedDict()

    def join(self, newcomer: "Connection") -> None:
        """Let a connection in, in the place of the one without a request for longest if there is no room."""
        self._present[newcomer] = None
        if len(self._present) > self._room:
            next(each for each in self._present if not each.is_handling).cut_off()

    def hear(self, speaker: "Connection") -> None:
        """Take note of a request."""
        if speaker in self._present:
            self._present.move_to_end(speaker)

    def block(self, writer: "Connection") -> None:
        """Take note of an answer that its client does not read; too many of them cost the first its place."""
        self._unread[writer] = None
        if len(self._unread) > self._room_unread:
            next(iter(self._unread)).cut_off()

    def unblock(self, writer: "Connection") -> None:
        """Take note that the client has read after all."""
        self._unread.pop(writer, None)

    def leave(self, leaver: "Connection") -> None:
        """Forget a connection, if it was not forgotten before."""
        self._present.pop(leaver, None)
        self._unread.pop(leaver, None)


class Connection(web.RequestHandler):
    """One client's connection. It has a timer only while a request or the reading of an answer is overdue."""

    __slots__ = ("_arrival", "_bounds", "_crowd", "_departure", "_server", "_unfinished", "_wire")

    def __init__(self, server: BoundedServer, crowd: Crowd, bounds: ServerConfig) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # how aiohttp is told to have none
            keepalive_timeout=bounds.idle_timeout,
            lingering_time=bounds.read_timeout,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
            auto_decompress=False,
        )
        self._server = server
        self._crowd = crowd
        self._bounds = bounds
        self._unfinished = 0
        self._arrival: asyncio.TimerHandle | None = None
        self._departure: asyncio.TimerHandle | None = None
        self._wire: asyncio.Transport

    @property
    def is_handling(self) -> bool:
        """Whether a request has arrived and its answer is being made: not while it is being sent."""
        return self._current_request is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin. No second answer is written before the first has left, and so none piles up."""
        super().connection_made(transport)
        self._wire = cast("asyncio.Transport", transport)
        self._wire.set_write_buffer_limits(high=0)
        self._crowd.join(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, with what came and is answered no more."""
        for message, _ in self._messages:
            _forget_trace(getattr(message, "exc", None))
        self._crowd.leave(self)
        self._stop_arrival()
        self._stop_departure()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came. What completes no head belongs to a request that is still to arrive, head or body.

        aiohttp itself calls this with nothing when it goes on with what it had put aside.
        """
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._unfinished = 0
            self._stop_arrival()
            self._crowd.hear(self)
        elif data:
            self._await_the_rest(len(data))

    def pause_writing(self) -> None:
        """Begin to wait for the client to read: called when the kernel takes no more of an answer."""
        super().pause_writing()
        self._departure = self._loop.call_later(self._bounds.write_timeout, self.cut_off)
        self._crowd.block(self)

    def resume_writing(self) -> None:
        """Go on: the last byte has left."""
        self._stop_departure()
        self._crowd.unblock(self)
        super().resume_writing()

    def cut_off(self) -> None:
        """Reset the connection, what was not sent included."""
        self._crowd.leave(self)
        wire: socket.socket = self._wire.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._wire.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's quotes what the client sent
    ) -> web.StreamResponse:
        """Answer what is no request, or crashed us, in the words of the standard alone."""
        if status == HTTPStatus.INTERNAL_SERVER_ERROR and exc is not None:
            self._server.tell_bug(exc)
        answer = super().handle_error(request, status, exc, f"{HTTPStatus(status).phrase.lower()}\n")
        answer.headers.update(HEADERS)
        _forget_trace(exc)
        return answer

    def _await_the_rest(self, came: int) -> None:
        self._unfinished += came
        if self._unfinished > self._bounds.max_request_bytes:
            self.cut_off()
        elif self._arrival is None:
            self._arrival = self._loop.call_later(self._bounds.read_timeout, self._end_arrival)

    def _end_arrival(self) -> None:
        self._arrival = None
        if self.is_handling:
            self._await_the_rest(0)
        else:
            self.cut_off()

    def _stop_arrival(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _stop_departure(self) -> None:
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None


def _forget_trace(error: BaseException | None) -> None:
    """Break the cycle of what was no request: the frames of its traceback hold what was received, and itself.

    Else a stranger's garbage, up to 256 KiB a piece, stays until the collector comes, whom we have made rare.
    """
    if error is not None:
        error.__traceback__ = None
