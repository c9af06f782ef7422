"""The paths, and what each answers: a request handler for one listener.

aiohttp's low-level server is used instead of its router and middlewares: a probe costs a dictionary look-up
and a response.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from sidecar.core.verdict import Probe
from sidecar.runtime.board import Board
from sidecar.web.probes import Probes
from sidecar.web.render import Format, Reply, Style

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
RenderMetrics = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Returns the metrics for an Accept header, and their content type."""

PROBE_PATHS: Final = {f"/{probe}": probe for probe in Probe}
PATHS: Final = (*PROBE_PATHS, "/healthz", "/metrics")
HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Server": "sidecar"}
EXCLUDE_LIMIT: Final = 100
"""Names that one request may exclude."""

_HEADERS_OF: Final = {
    each: CIMultiDict({**HEADERS, "Content-Type": f"{each}; charset=utf-8"}) for each in Format
}
"""As aiohttp keeps headers: it copies them into each response faster than from a dictionary."""


class Site:
    """Answers the requests of one listener. Trust follows the listener: `is_trusted` ones show messages.

    `pages` are further paths, which answer any method themselves.
    """

    def __init__(
        self,
        board: Board,
        probes: Probes,
        render_metrics: RenderMetrics,
        *,
        is_trusted: bool,
        pages: Mapping[str, Handler] = MappingProxyType({}),
    ) -> None:
        self._board = board
        self._probes = probes
        self._render_metrics = render_metrics
        self._is_trusted = is_trusted
        self._pages = pages

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Never redirects: the kubelet counts a 3xx as success."""
        page = self._pages.get(request.path)
        if page is not None:
            return await page(request)
        if request.method not in ("GET", "HEAD"):
            return respond(Reply(405, b"only GET and HEAD are answered here\n"), Allow="GET, HEAD")
        if request.path == "/metrics":
            return await self._answer_metrics(request)
        name, reply = self._answer(request)
        if name:
            self._board.count_request(name, reply.code)
        return respond(reply)

    async def _answer_metrics(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            body, content_type = await self._render_metrics(request.headers.get("Accept", ""))
        except OSError as error:  # the first scrape imports what writes them: a descriptor may be missing
            return respond(Reply(503, f"no metrics: {os.strerror(error.errno or 0).lower()}\n".encode()))
        return web.Response(body=body, headers={**HEADERS, "Content-Type": content_type})

    def _answer(self, request: web.BaseRequest) -> tuple[str, Reply]:
        """Return the probe that was asked, empty if none, and its answer."""
        style = self._style(request)
        probe = PROBE_PATHS.get(request.path)
        if probe is not None:
            return probe, self._answer_whole(probe, style, request)
        if request.path == "/healthz":
            return "healthz", self._probes.answer_healthz(style)
        return self._answer_one(request.path, style)

    def _answer_whole(self, probe: Probe, style: Style, request: web.BaseRequest) -> Reply:
        excluded = request.query.getall("exclude", ()) if request.query_string else ()
        if excluded:
            return self._probes.answer_without(probe, style, frozenset(excluded[:EXCLUDE_LIMIT]))
        return self._probes.answer(probe, style)

    def _answer_one(self, path: str, style: Style) -> tuple[str, Reply]:
        root, _, name = path[1:].partition("/")
        probe = PROBE_PATHS.get(f"/{root}")
        if probe is None:
            return "", Reply(404, f"no such path; there are {' '.join((*PATHS, *self._pages))}\n".encode())
        reply = self._probes.answer_on(name, probe, style)
        return root, reply or Reply(
            404, f"no such check; there are {' '.join(self._probes.names())}\n".encode()
        )

    def _style(self, request: web.BaseRequest) -> Style:
        is_verbose = bool(request.query_string) and "verbose" in request.query
        accept = request.headers.get("Accept", "")
        return _wanted_style(accept, is_verbose=is_verbose, is_trusted=self._is_trusted)


@lru_cache(maxsize=16)  # the kubelet's, Prometheus' and a person's; no more than strangers may fill
def _wanted_style(accept: str, *, is_verbose: bool, is_trusted: bool) -> Style:
    return Style(format=_wanted_format(accept), is_verbose=is_verbose, is_trusted=is_trusted)


def _wanted_format(accept: str) -> Format:
    for wanted in (Format.HEALTH_JSON, Format.JSON):
        if wanted in accept:
            return wanted
    return Format.TEXT


def stamped(handler: Handler, revision: str) -> Handler:
    """Return a handler whose every answer says which revision of the app answers."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = await handler(request)
        response.headers["X-Revision"] = revision
        return response

    return handle


def respond(reply: Reply, **headers: str) -> web.Response:
    """Return the response to send, with the headers of every response and these."""
    common = _HEADERS_OF[reply.format]
    return web.Response(
        status=reply.code, body=reply.body, headers={**common, **headers} if headers else common
    )
