"""Reads RabbitMQ's management API, and cannot change it: GET is the only request that stands here.

A visit is one connection and one request at a time. Whoever visits asks for objects by their names: a broker
may hold 50,000 queues. What the objects mean is for `_broker`.
"""

import contextlib
import json
import re
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote, unquote, urlencode

from sidecar import __version__
from sidecar.checks._aiohttp import body_within, new_session, request_failures
from sidecar.checks._answer import reason_of
from sidecar.checks._connect import client_tls
from sidecar.config.check import TlsConfig, UrlCheckConfig, option
from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.problems import Mistake
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.driver import Driver
from sidecar.support.proxy import proxy_for
from sidecar.support.text import Redactor, one_line

if TYPE_CHECKING:
    import ssl

yarl = Driver("yarl", extra="all")

BODY_LIMIT: Final = 1024 * 1024
"""Bytes of an answer: some 5,000 consumers of one queue."""
REQUEST_LIMIT: Final = 200
"""Requests of one visit: a configuration names 50 objects, and dead letters may be followed far."""


class Unanswered(Exception):
    """A question that the broker does not answer us; not a failure, for nothing was found to be wrong."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Access:
    """Where the management API is, and as whom it is asked."""

    url: Url
    username: str
    password: Secret
    tls: TlsConfig | None = None

    @property
    def root(self) -> str:
        """The URL that every path of the API is below; a proxy may have put it below a path of its own."""
        prefix = self.url.path.rstrip("/").removesuffix("/api")
        return f"{self.url.scheme}://{self.url.address}{prefix}/api"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return {
            "Accept": "*/*",  # asked for JSON alone, RabbitMQ answers 406 where it means 404
            "Accept-Encoding": "identity",
            "Authorization": f"Basic {self._login}",
            "User-Agent": f"sidecar/{__version__}",
        }

    @property
    def redact(self) -> Redactor:
        """What blots our login out of an answer, which may repeat it, before the answer is cut."""
        return Redactor((self.password.reveal(), self._login))

    @property
    def _login(self) -> str:
        return b64encode(f"{self.username}:{self.password.reveal()}".encode()).decode()


MANAGEMENT_PORTS: Final = {"amqp": ("http", 15672), "amqps": ("https", 15671)}


@dataclass(frozen=True, kw_only=True, repr=False)
class ManagedBrokerConfig(UrlCheckConfig):
    """Which broker is asked through its management API, and as whom."""

    url: Annotated[Url, UrlKind((("amqp", 5672), ("amqps", 5671)))] = option(
        "URL of the broker, for its host, virtual host and login: amqp://HOST/VHOST, or amqps:// for TLS."
    )
    management_url: Annotated[Url, UrlKind((("http", 80), ("https", 443)))] | None = option(
        "URL of the management API; if left out, the host of `url` at port 15672, or with amqps at 15671.",
        default=None,
    )

    @property
    def management(self) -> Url:
        """Where the management API is."""
        scheme, port = MANAGEMENT_PORTS[self.url.scheme]
        return self.management_url or Url(scheme=scheme, host=self.url.host, port=port)

    @property
    def vhost(self) -> str:
        """The virtual host."""
        return unquote(self.url.path[1:]) or "/"

    @property
    def target(self) -> str:
        """The address of the management API: nothing else is asked."""
        return self.management.address

    @property
    def hosts(self) -> tuple[str, ...]:
        """Its host."""
        return (self.management.host,)

    @property
    def port(self) -> int | None:
        """Its port."""
        return self.management.port

    @property
    def access(self) -> Access:
        """How the management API is asked."""
        url = self.management
        username, password = self.credentials
        if url.username is not None:
            username, password = url.username, url.password
        elif username is None:
            username, password = "guest", Secret("guest")
        return Access(url=url, username=username, password=password or Secret(""), tls=self.tls)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        if self.tls is not None and self.management.scheme == "http":
            yield Mistake("has no use without TLS; write management_url with https://", key="tls")
        if ":" in self.access.username:
            yield Mistake(
                "has a user name with a colon, which HTTP does not carry; ask as somebody else",
                key=self._key_of_login(),
            )

    def _key_of_login(self) -> str:
        if self.management.username is not None:
            return "management_url"
        return "url" if self.username is None else "username"


class Management:
    """The management API of one broker. Holds no connection between visits."""

    def __init__(self, access: Access) -> None:
        self.connections_opened = 0
        self._access = access
        self._context: ssl.SSLContext | None = None

    @asynccontextmanager
    async def visit(self) -> AsyncIterator["Visit"]:
        """Yield what reads the API over one connection, which ends with the block.

        Raises:
            CheckFailed: a file of the `tls:` block cannot be used.
        """
        if self._access.url.scheme == "https" and self._context is None:
            self._context = await client_tls(self._access.tls)
        sockets = Sockets()
        async with new_session(self._access.url.address, sockets=sockets.new) as session:
            try:
                yield Visit(session, self._access, self._context, sockets)
            finally:
                self.connections_opened += len(sockets.seen)


class Visit:
    """Reads while the connection lasts."""

    def __init__(
        self, session: Any, access: Access, context: "ssl.SSLContext | None", sockets: "Sockets"
    ) -> None:
        self._session = session
        self._access = access
        self._context = context
        self._sockets = sockets
        self._redact = access.redact
        self._is_proven = False
        self._requests = 0

    @property
    def target(self) -> str:
        """The address that is asked, for messages."""
        return self._access.url.address

    @property
    def addresses(self) -> frozenset[str]:
        """The addresses from which the requests came so far: the pod's own, as the network shows it."""
        return frozenset(host for host, _ in self._sockets.seen)

    async def get(self, *path: str, columns: tuple[str, ...], **query: str) -> Any:
        """Return what is at a path, its parts not yet percent-encoded; None where there is no such thing.

        `columns` are the keys to ask for, those inside others as dotted names; `query` is what else a list is
        narrowed by.

        Raises:
            Unanswered: the user has no right to see it, or the answer or the visit is too long.
            CheckFailed: there is no answer, or not one of the management API.
        """
        status, answer = await self._ask(path, {"columns": ",".join(columns), **query})
        if status == 200:
            return answer
        if status == 404 and _is_error(answer):
            return None
        raise self._unexpected(status)

    async def find(self, *path: str, name: str, columns: tuple[str, ...]) -> Any:
        """Return the one with this name of the list at a path; None where there is none, or no such list.

        For exchanges: asked for one at its own path, RabbitMQ 3.10 answers 500 and logs a crash where its
        statistics are switched off. It looks for the name itself, and reads no statistics for that.

        Raises:
            Unanswered: as with `get`.
            CheckFailed: as with `get`.
        """
        pattern = f"^{re.escape(name)}$"
        page = await self.get(*path, columns=columns, page="1", page_size="1", use_regex="true", name=pattern)
        items = page.get("items") if isinstance(page, dict) else page
        if items is None or items == []:
            return None
        if isinstance(items, list) and isinstance(items[0], dict) and items[0].get("name") == name:
            return items[0]
        raise self._unexpected(200)

    async def ailment(self, check: str) -> str | None:
        """Return why a health check of the broker fails; None if it passes.

        Raises:
            Unanswered: as with `get`, or this broker has no such check.
            CheckFailed: as with `get`.
        """
        status, answer = await self._ask(("health", "checks", check), {})
        verdict = answer.get("status") if isinstance(answer, dict) else None
        if (status, verdict) == (200, "ok"):
            return None
        if (status, verdict) == (503, "failed"):
            return self._why(answer, limit=100)
        if status == 404 and _is_error(answer):
            raise Unanswered(Reason.UNAVAILABLE, f"the broker has no health check {check}")
        raise self._unexpected(status)

    async def _ask(self, path: tuple[str, ...], query: Mapping[str, str]) -> tuple[int, Any]:
        """Return the status and the JSON of an answer, which is None where an error has none.

        Raises:
            Unanswered: the user has no right to see it, or the answer or the visit is too long.
            CheckFailed: there is no answer, or it is not from RabbitMQ.
        """
        self._requests += 1
        if self._requests > REQUEST_LIMIT:
            raise Unanswered(Reason.UNAVAILABLE, f"it would take more than {REQUEST_LIMIT} requests")
        with request_failures(self.target):
            async with self._session.get(self._url(path, query), **self._options()) as response:
                self._sockets.look()
                body = await body_within(response, BODY_LIMIT)
        answer = self._read(response.status, body)
        if response.status == 401:
            raise self._refusal(response.headers, answer)
        self._is_proven = True
        return response.status, answer

    def _url(self, path: tuple[str, ...], query: Mapping[str, str]) -> Any:
        """Return the URL of a path; what names of the broker's own answers hold is no text at times."""
        parts = "/".join(quote(part, safe="", errors="replace") for part in path)
        asked = f"?{urlencode(query, safe=',', errors='replace', quote_via=quote)}" if query else ""
        return yarl.URL(f"{self._access.root}/{parts}{asked}", encoded=True)

    def _options(self) -> dict[str, Any]:
        url, tls = self._access.url, self._access.tls
        return {
            "headers": self._access.headers,
            "allow_redirects": False,
            "proxy": proxy_for(url.scheme, url.host, url.port),
            "ssl": self._context or True,
            "server_hostname": tls.server_name if tls else None,
        }

    def _read(self, status: int, body: bytes | None) -> Any:
        if body is None and self._is_proven:
            raise Unanswered(Reason.UNAVAILABLE, f"the answer is longer than {BODY_LIMIT // 1024} KiB")
        try:
            return json.loads(body or b"")
        except (ValueError, RecursionError) as error:
            if status != 200:
                return None
            raise self._unexpected(status) from error

    def _refusal(self, headers: Any, answer: Any) -> Exception:
        """Return what a 401 means: RabbitMQ says it of logins, and of rights too, where others say 403."""
        why = self._why(answer, limit=80) if isinstance(answer, dict) else ""
        if "WWW-Authenticate" in headers or "log in" in why or not why:
            return CheckFailed(Reason.AUTH, f"{self.target} refused the login: {why or 'status 401'}")
        return Unanswered(Reason.FORBIDDEN, f"the broker says {why!r}")

    def _why(self, answer: Mapping[str, Any], *, limit: int) -> str:
        """Return the reason that RabbitMQ gives, in at most so many characters."""
        return one_line(self._redact(str(answer.get("reason", ""))), limit=limit)

    def _unexpected(self, status: int) -> CheckFailed:
        """Return what an answer means that a management API does not give when it is well."""
        reason = Reason.PROTOCOL if status == 200 else reason_of(status)
        return CheckFailed(reason, f"{self.target} answered {status}, and not as a management API does")


class Sockets:
    """Makes the sockets of a visit, and notes the local address of each that came to be connected."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()
        self._made: list[socket.socket] = []

    def new(self, address: tuple[Any, ...]) -> socket.socket:
        """Return a new socket for an address of `getaddrinfo`."""
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._made.append(made)
        return made

    def look(self) -> None:
        """Note which of them are connected now."""
        for made in self._made:
            with contextlib.suppress(OSError):  # closed, or never connected
                made.getpeername()
                host, port, *_ = made.getsockname()
                self.seen.add((host, port))


def _is_error(answer: Any) -> bool:
    """Whether an answer is an error in RabbitMQ's own words."""
    return isinstance(answer, dict) and "error" in answer
