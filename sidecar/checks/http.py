"""Sends one HTTP request on a new connection, as the kubelet does, and judges the answer.

Down means that no answer came, or not the expected one. `expect` says which that is: a status (200 to 299 if
left out), headers that contain a text, a body that contains a text or matches a regular expression in its
first 64 KiB. Without a wish for the body none is read. No redirect is followed: its reason is `contract`, and
its message names the place, unless its status is the expected one.

The reason is `auth` for the statuses 401 and 407, `forbidden` for 403, `not_found` for 404 and 410,
`unavailable` for 408, 425, 429 and 500 to 599, and for a connection that is closed without an answer;
`contract` for any other unexpected status, header or body; `protocol` for what is no HTTP or breaks off.

`HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are honoured, never for loopback. `host` asks a virtual host; for
its TLS name there is `tls.server_name`. `bearer_token_file` is read before every request: tokens rotate. No
cookie is kept, and the body is asked for uncompressed.

Permissions: those of the request; give it an account that may do nothing else.
Reasons that waiting does not cure: none, for a new role, an external secret or a route needs its minute.

```yaml
- name: search
  type: http
  url: https://search.example.com/_cluster/health
  bearer_token_file: /var/run/secrets/search/token
  expect:
    status: [200, 203]
    header:
      content-type: json
    matches: '"status": ?"(green|yellow)"'
  gates: startup
```
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from sidecar import __version__
from sidecar.checks._aiohttp import aiohttp, beginning_of, new_session, request_failures, shared_connector
from sidecar.checks._answer import ExpectConfig, judge_body, judge_headers, judge_status
from sidecar.checks._connect import client_tls, file_reason, strerror
from sidecar.config.check import CheckType, UrlCheckConfig, option
from sidecar.config.fields import FilePath
from sidecar.config.headers import NOT_YOURS, Headers, header_rules
from sidecar.config.interpolate import read_secret_file
from sidecar.config.kinds.text import PatternKind
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.problems import Mistake
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.driver import Driver
from sidecar.support.proxy import proxy_for
from sidecar.support.text import Redactor
from sidecar.support.thread import OneThread

if TYPE_CHECKING:
    import ssl

yarl = Driver("yarl", extra="all")

_NOT_YOURS: Final = {**NOT_YOURS, "host": "write the key host of the check"}


class Method(StrEnum):
    """What to do with the resource; nothing that is meant to change it."""

    GET = "GET"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"
    POST = "POST"


@dataclass(frozen=True, kw_only=True, repr=False)
class HttpConfig(UrlCheckConfig):
    """What to ask, and what to expect."""

    url: Annotated[Url, UrlKind((("http", 80), ("https", 443)))] = option("URL to ask, http or https.")
    method: Method = option("Method of the request.", default=Method.GET)
    headers: Headers | None = option("Headers to send.", default=None)
    host: Annotated[str, PatternKind(r"[A-Za-z0-9._:\[\]-]+", "a host, such as example.com")] | None = option(
        "Host to ask for instead of the URL's: a virtual host.", default=None
    )
    bearer_token_file: FilePath | None = option("File with a bearer token to send.", default=None)
    expect: ExpectConfig = option("The answer to expect; any 2xx if left out.", default=ExpectConfig())

    @property
    def target(self) -> str:
        """The URL without its userinfo and query."""
        return str(self.url)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        yield from header_rules(self.headers or {}, _NOT_YOURS)
        if self.tls is not None and self.url.scheme == "http":
            yield Mistake("has no use with http://; write https:// in the key url", key="tls")
        if self.method is Method.HEAD and self.expect.concerns_body:
            yield Mistake("wants a body, which no answer to HEAD has; write method: GET", key="expect")
        if sum(self._ways_to_authorize()) > 1:
            yield Mistake(
                "says in more than one way who is asking; keep one of bearer_token_file, "
                "the header authorization, and user name and password"
            )

    def _ways_to_authorize(self) -> tuple[bool, bool, bool]:
        by_header = any(name.lower() == "authorization" for name in self.headers or {})
        return self.bearer_token_file is not None, by_header, any(self.credentials)


class HttpCheck:
    """Keeps neither a connection nor a session: a kept connection hides a dead listener."""

    def __init__(self, config: HttpConfig) -> None:
        self.connections_opened = 0
        self._config = config
        self._connector: Any = None
        """Kept from the first run on, so that the next ones need not make it."""
        self._context: ssl.SSLContext | None = None
        self._in_thread = OneThread(f"token:{config.name}")

    async def run(self) -> None:
        """Ask once, and judge the answer."""
        expect, target = self._config.expect, self._config.target
        request = await self._request()
        self._connector = shared_connector()
        with _blotted(request["headers"]), request_failures(target):
            async with new_session(target) as session, session.request(**request) as response:
                self.connections_opened += 1
                judge_status(response.status, response.headers, expect, target)
                judge_headers(response.headers, expect, target)
                if expect.concerns_body:
                    judge_body(await beginning_of(response), expect, target)

    async def aclose(self) -> None:
        """Hold nothing."""

    async def _request(self) -> dict[str, Any]:
        url, tls = self._config.url, self._config.tls
        if url.scheme == "https" and self._context is None:
            self._context = await client_tls(tls)
        return {
            "method": self._config.method.value,
            "url": yarl.URL(url.bare),
            "headers": await self._headers(),
            "allow_redirects": False,
            "proxy": self._proxy,
            "ssl": self._context or True,
            "server_hostname": tls.server_name if tls else None,
        }

    @cached_property
    def _proxy(self) -> str | None:
        """What the environment prescribes: it stays as it is, and to read it costs a tenth of a run."""
        url = self._config.url
        return proxy_for(url.scheme, url.host, url.port)

    async def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": f"sidecar/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
        authorization = await self._authorization()
        if authorization is not None:
            headers["Authorization"] = authorization
        if self._config.host is not None:
            headers["Host"] = self._config.host
        return headers | {
            name.title(): value.reveal() for name, value in (self._config.headers or {}).items()
        }

    async def _authorization(self) -> str | None:
        token_file = self._config.bearer_token_file
        if token_file is not None:
            return f"Bearer {await self._in_thread(lambda: _read_token(Path(token_file)))}"
        username, password = self._config.credentials
        if username is None and password is None:
            return None
        pair = f"{username or ''}:{password.reveal() if password else ''}"
        return f"Basic {b64encode(pair.encode()).decode()}"


@contextmanager
def _blotted(sent: Mapping[str, str]) -> Iterator[None]:
    """Blot out a token that the server repeats: the runner knows only the secrets of the configuration."""
    try:
        yield
    except CheckFailed as error:
        _, _, token = sent.get("Authorization", "").partition(" ")
        raise CheckFailed(error.reason, Redactor([token])(error.message)) from error


def _read_token(path: Path) -> str:
    """Return the token in a file; what is wrong with the file is `auth`, which waits for it to change."""
    try:
        token = read_secret_file(path).decode("ascii").strip()
    except OSError as error:
        message = f"the token file {path} cannot be read: {strerror(error)}"
        raise CheckFailed(file_reason(error, Reason.AUTH), message) from error
    except UnicodeDecodeError as error:
        raise CheckFailed(Reason.AUTH, f"the token file {path} holds no token") from error
    if not token or not token.isprintable():
        raise CheckFailed(Reason.AUTH, f"the token file {path} holds no token")
    return token


check_type = CheckType(config=HttpConfig, build=HttpCheck, drivers=(aiohttp,))
