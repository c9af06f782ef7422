"""What askers of AWS share: botocore at a bearable price, its credentials, and requests that end.

aiobotocore is used without aioboto3, which lays 2 MiB of resources over it that no check asks for. The extra
stays `aioboto3`, because that is what applications install, and it pins aiobotocore.
"""

import asyncio
import inspect
import io
import logging
import math
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from sidecar import __version__
from sidecar.checks._aiohttp import BODY_LIMIT, aiohttp, new_session, request_failures, resolver
from sidecar.checks._connect import file_reason, strerror
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.driver import Driver
from sidecar.support.net import show_address
from sidecar.support.proxy import proxy_for

if TYPE_CHECKING:
    import ssl

_SERVICES: Final = frozenset({"s3", "sts"})
_ONE_ATTEMPT: Final = {"mode": "standard", "total_max_attempts": 1}
_SECRET_LOGGERS: Final = ("botocore", "aiobotocore")
"""Their debug lines hold session tokens, and their warnings a traceback for what the run's message says."""
_STS_SENTENCES: Final[Mapping[str, str]] = {
    "AccessDenied": "the role's trust policy does not admit us",
    "ExpiredTokenException": "our identity token has expired",
    "IDPCommunicationError": "it cannot reach the cluster's identity provider",
    "InvalidIdentityToken": "our identity token is of no identity provider that the account knows",
}

botocore = Driver("botocore.exceptions", extra="s3")
botocore_parsers = Driver("botocore.parsers", extra="s3")
aiobotocore_config = Driver("aiobotocore.config", extra="s3")
aiobotocore_awsrequest = Driver("aiobotocore.awsrequest", extra="s3")
yarl = Driver("yarl", extra="all")


class Aiobotocore(Driver):
    """aiobotocore's sessions with the models that all of them share: 90 ms and 8 MiB, paid once."""

    def __init__(self) -> None:
        super().__init__("aiobotocore.session", extra="s3")
        self._loading = threading.Lock()
        self._models: Any = None

    def load(self) -> ModuleType:
        """Import it and parse the models. Blocks, so call it in a thread.

        Raises:
            MissingDriverError: it is not installed.
        """
        with self._loading:
            module = super().load()
            if self._models is None:
                self._models = _parse_models(module.AioSession())
                for name in _SECRET_LOGGERS:
                    logging.getLogger(name).setLevel(logging.CRITICAL)
        return module

    def new_session(self, *, region: str | None) -> Any:
        """Return a session that has read `~/.aws` and nothing else. Blocks, so call it in a thread.

        Without a `region` the session finds one as it finds credentials.

        Raises:
            BotoCoreError: `~/.aws` or the environment holds nonsense.
        """
        session = self.load().AioSession()
        session.register_component("data_loader", self._models)
        session.user_agent_extra += f" sidecar/{__version__}"
        if region is not None:
            session.set_config_variable("region", region)
        if session.get_config_variable("ca_bundle") is None:
            session.set_config_variable("ca_bundle", os.environ.get("SSL_CERT_FILE"))
        session.get_scoped_config()
        return session


aiobotocore = Aiobotocore()


def _parse_models(session: Any) -> Any:
    """Return a loader that has read what a client of S3 asks it for.

    It keeps all that it has read. Of the endpoints of 400 services two are of use; the others hold 6 MiB.
    """
    models = session.get_component("data_loader")
    endpoints, _ = models.load_data_with_path("endpoints")
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in _SERVICES & services.keys()}
    models.load_service_model("s3", "service-2")
    models.load_service_model("s3", "endpoint-rule-set-1")
    return models


def client_config(**settings: Any) -> Any:
    """Return the configuration of a client that asks once."""
    return aiobotocore_config.AioConfig(retries=dict(_ONE_ATTEMPT), **settings)


def bound_nested_clients(session: Any, *, patience: float) -> None:
    """Give the clients that the credential chain makes for itself a deadline, one attempt and our resolver.

    A client's own configuration does not reach them; the session's default does.
    """
    session.set_default_client_config(
        client_config(
            connect_timeout=patience,
            read_timeout=patience,
            connector_args={"resolver": resolver.ThreadedResolver()},
        )
    )


@contextmanager
def default_set_aside(session: Any) -> Iterator[None]:
    """Let a client that is created meanwhile have its configuration to itself.

    The session's default would be merged into it, and merging loses the transport.
    """
    default = session.get_default_client_config()
    session.set_default_client_config(None)
    try:
        yield
    finally:
        session.set_default_client_config(default)


async def fresh_credentials(session: Any) -> tuple[str, ...]:
    """Let botocore's chain find, or refresh, the session's credentials; return what of them is secret.

    Asked for apart from the request that needs them, so that their failures are told apart from its.

    Raises:
        CheckFailed: there are none; `credential_failures` tells the other reasons.
    """
    found = await session.get_credentials()
    if found is None:
        raise CheckFailed(
            Reason.AUTH,
            "no credentials: none are given, nor found in the environment, a web identity, ~/.aws, "
            "the container's agent or the node's metadata",
        )
    frozen = await found.get_frozen_credentials()
    return tuple(secret for secret in (frozen.access_key, frozen.secret_key, frozen.token) if secret)


@contextmanager
def credential_failures() -> Iterator[None]:
    """Turn what the search for credentials raises into a `CheckFailed`.

    Raises:
        CheckFailed: with reason auth, or the network's where a provider of credentials is out of reach;
            unavailable where we can open no file.
    """
    try:
        yield
    except botocore.ClientError as error:
        raise _refused_by_sts(error) from error
    except botocore.BotoCoreError as error:
        raise _unreachable(error) or _no_credentials(str(error)) from error
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        message = f"no credentials: {file}{strerror(error)}"
        raise CheckFailed(file_reason(error, Reason.AUTH), message) from error
    except (LookupError, RuntimeError, ValueError, botocore_parsers.ResponseParserError) as error:
        raise _no_credentials("what the provider of credentials gave is none, or has expired") from error


def _no_credentials(what: str) -> CheckFailed:
    return CheckFailed(Reason.AUTH, f"no credentials: {what}")


def _refused_by_sts(error: Any) -> CheckFailed:
    status, code = status_and_code(error)
    reason = Reason.UNAVAILABLE if status >= 500 or code.startswith("Throttl") else Reason.AUTH
    sentence = f": {_STS_SENTENCES[code]}" if code in _STS_SENTENCES else ""
    return CheckFailed(
        reason, f"no credentials: STS answered {error.operation_name} with {status} {code}{sentence}"
    )


def status_and_code(error: Any) -> tuple[int, str]:
    """Return an error answer's HTTP status and AWS' code for it, which is empty where the answer has none.

    A code that is no word is none of AWS' and may hold anything.
    """
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    code = str(error.response.get("Error", {}).get("Code", ""))
    is_word = code.replace(".", "").isalnum() and len(code) <= 64
    return status, code if is_word and not code.isdecimal() else ""


def _unreachable(error: BaseException | None) -> CheckFailed | None:
    """Return the network's failure that an error of botocore hides, if it does.

    botocore keeps the original beside the URL, and raises anew above it without `from`.
    """
    while error is not None:
        details = getattr(error, "kwargs", {})
        if "endpoint_url" in details:
            failure = _network_failure(details.get("error"), _address(details["endpoint_url"]))
            return CheckFailed(failure.reason, f"no credentials: {failure.message}")
        error = error.__context__
    return None


def _network_failure(error: object, address: str) -> CheckFailed:
    try:
        with network_failures(address):
            raise error if isinstance(error, TimeoutError | aiohttp.ClientError) else aiohttp.ClientError
    except CheckFailed as failure:
        return failure


@contextmanager
def network_failures(address: str) -> Iterator[None]:
    """Turn what a request to `address` raises, a limit of aiohttp's included, into a `CheckFailed`.

    Raises:
        CheckFailed: with reason dns, tls, refused, timeout, unavailable or protocol, or of a proxy's status.
    """
    with request_failures(address):
        try:
            yield
        except TimeoutError as error:
            raise CheckFailed(Reason.TIMEOUT, f"{address} gave no answer") from error


def _address(url: str) -> str:
    return show_address(*_host_and_port(url))


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


class Transport:
    """Carries a client's requests: each once, on a connection of its own, without following a redirect.

    Whoever uses it sets whom it trusts, and when it gives up. botocore's own loads authorities on the event
    loop, follows redirects, reads answers without bound and waits without bound for `100 Continue`.
    """

    def __init__(self) -> None:
        self.connections_opened = 0
        self.tls: ssl.SSLContext | None = None
        self.server_name: str | None = None
        self.gives_up_at = math.inf
        """When, by the event loop's clock, to stop waiting."""

    def configured(self, **_: object) -> Self:
        """Stand for a class of botocore's HTTP sessions: what it says of proxies and TLS is known here."""
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hold nothing."""

    async def close(self) -> None:
        """Hold nothing."""

    async def send(self, request: Any) -> Any:
        """Return the answer, read to its end, to a request that botocore has prepared and signed.

        Raises:
            CheckFailed: with the network's reason, or protocol, about the address that was asked.
        """
        address = _address(request.url)
        arguments = {
            **self._arguments(request.url),
            "headers": _headers(request),
            "data": await _body(request),
            "chunked": "Transfer-Encoding" in request.headers or None,
        }
        with network_failures(address):
            async with (
                new_session(address) as session,
                session.request(request.method, **arguments) as response,
            ):
                self.connections_opened += 1
                content = await _content(response, address)
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.raw_headers
        }
        return aiobotocore_awsrequest.AioAWSResponse(request.url, response.status, headers, _Body(content))

    def _arguments(self, url: str) -> dict[str, Any]:
        return {
            "url": yarl.URL(url, encoded=True),
            "timeout": aiohttp.ClientTimeout(total=self._patience(), ceil_threshold=math.inf),
            "allow_redirects": False,
            "skip_auto_headers": ["Content-Type"],
            "proxy": proxy_for(urlsplit(url).scheme, *_host_and_port(url)),
            "ssl": self.tls or True,
            "server_hostname": self.server_name,
        }

    def _patience(self) -> float:
        """Return the seconds that are left; aiohttp takes nothing for no limit."""
        return max(self.gives_up_at - asyncio.get_running_loop().time(), 0.001)


class _Body:
    """An answer's content that was read, where botocore expects one to be read."""

    def __init__(self, content: bytes) -> None:
        self._unread = io.BytesIO(content)

    @property
    def content(self) -> "_Body":
        return self

    async def read(self, amount: int = -1) -> bytes:
        return self._unread.read(amount)


def _headers(request: Any) -> dict[str, str]:
    """Return what was signed, but for what aiohttp says by itself or would wait on.

    Raises:
        CheckFailed: a credential ends in a line break, as one does that was written by `echo`.
    """
    texts = {
        name: value if isinstance(value, str) else value.decode() for name, value in request.headers.items()
    }
    if any("\n" in text or "\r" in text for text in texts.values()):
        raise _no_credentials("the access key or the session token holds a line break")
    dropped = ("expect", "transfer-encoding")
    return {name: text for name, text in texts.items() if name.lower() not in dropped} | {
        "Accept-Encoding": "identity"
    }


async def _body(request: Any) -> bytes | None:
    """Return the request's content, which is small; botocore hands it over as one of many kinds of file."""
    content = request.body.read() if hasattr(request.body, "read") else request.body
    read: bytes | None = await content if inspect.isawaitable(content) else content
    return read


async def _content(response: Any, address: str) -> bytes:
    try:
        await response.content.readexactly(BODY_LIMIT + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    raise CheckFailed(Reason.PROTOCOL, f"{address} answers with more than {BODY_LIMIT // 1024} KiB")
