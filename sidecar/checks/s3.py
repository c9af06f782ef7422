"""PUTs one small object into a bucket, always at the same key; one key is enough for all pods.

With `operation: get` it also reads the object back: the one it wrote must be whole, and one that another pod
wrote since must not be older. `operation: head` asks for the bucket only: it proves credentials, network and
the bucket's name, not that the application may write. Whatever `key` names is overwritten: give it to the
sidecar alone.

Down means that the object was not stored, or not found again. The reason is `auth` where there are no
credentials, or ones that S3 does not take: an unknown key, a wrong signature, an expired token, a clock that
is wrong. It is `forbidden` where they are not allowed to, the bucket's encryption key included, `not_found`
where there is no such bucket, `contract` where the bucket lives in another region, which the message names,
or takes no such request, `unavailable` where S3 asks to slow down or fails, and `protocol` where what answers
is not S3.

Without `access_key_id` the credentials, and without `region` the region, come from where an application's
SDK finds them: AWS_* variables, IRSA, EKS Pod Identity, `~/.aws`, the node's metadata. Containers of a pod
share its service account, so the check proves the application's own role. Where a bucket's policy demands
encryption or an ACL, `sse`, `kms_key_id` and `acl` say what the application says. Stores that know nothing of
checksums in requests need `checksum: when_required`.

Every PUT costs money ($0.005 per 1,000 in us-east-1), as does every KMS request without a bucket key, and
leaves a version in a bucket that keeps versions: add a lifecycle rule that expires noncurrent versions below
the key. Therefore the interval is 5m; the timeout is 10s because a cold search for credentials takes seconds.

Permissions: for `put` only s3:PutObject on the key, for `get` s3:GetObject too, and for `head` s3:ListBucket
on the bucket instead of both. Under SSE-KMS kms:GenerateDataKey on the KMS key, and for `get` kms:Decrypt. A
directory bucket wants s3express:CreateSession.

```json
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["s3:PutObject"],
      "Resource": "arn:aws:s3:::build-artifacts/.sidecar/probe"
    }
  ]
}
```

Reasons that waiting does not cure: tls, contract. The others may pass: roles, policies and buckets that were
just made take a minute to be known everywhere, and tokens rotate.

```yaml
- name: artifacts
  type: s3
  bucket: build-artifacts
  region: eu-west-1
  gates: startup
```
"""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, Final

from sidecar.checks._aiohttp import aiohttp
from sidecar.checks._aws import (
    Transport,
    aiobotocore,
    bound_nested_clients,
    client_config,
    credential_failures,
    default_set_aside,
    fresh_credentials,
)
from sidecar.checks._connect import client_tls
from sidecar.checks._s3_answers import answers_told_apart, headers_of, is_older, is_same_object
from sidecar.config.check import CheckConfig, CheckType, TlsConfig, option
from sidecar.config.fields import Label, SecretText, Span
from sidecar.config.kinds.text import PatternKind
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.problems import Mistake
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.text import Redactor
from sidecar.support.thread import OneThread

BODY: Final = b"sidecar probe\n"
"""Not empty: an empty one with an announced length confuses old stores."""
PATIENCE: Final = 0.95
"""Of the timeout: whoever gives no answer is named before the runner ends the run."""
STS_PATIENCE: Final = 0.8
"""The same where the SDK itself makes the request, and rounds its timeouts up to seconds."""


class Operation(StrEnum):
    """What is asked of the bucket."""

    PUT = "put"
    GET = "get"
    HEAD = "head"


class Addressing(StrEnum):
    """Where in the URL the bucket stands; `auto` leaves it to the SDK."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


class Encryption(StrEnum):
    """What S3 encrypts with."""

    AES256 = "AES256"
    KMS = "aws:kms"
    KMS_DSSE = "aws:kms:dsse"


class Acl(StrEnum):
    """The canned ACLs that a bucket's policy may demand."""

    PRIVATE = "private"
    OWNER_READ = "bucket-owner-read"
    OWNER_FULL_CONTROL = "bucket-owner-full-control"


class Checksum(StrEnum):
    """When requests carry a checksum, in the SDKs' own words."""

    WHEN_SUPPORTED = "when_supported"
    WHEN_REQUIRED = "when_required"


Bucket = Annotated[
    str,
    PatternKind(
        r"[A-Za-z0-9._-]{3,255}|arn:aws[a-z-]*:s3[a-z-]*:[a-z0-9-]*:[0-9]{12}:\S+",
        "the name of a bucket or the ARN of an access point",
    ),
]
Region = Annotated[
    str, PatternKind(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", "a region, such as eu-west-1")
]


@dataclass(frozen=True, kw_only=True, repr=False)
class S3Config(CheckConfig):
    """Which object, where, and with whose credentials."""

    interval: Span = option("Time from one run to the next while up.", default=300.0)
    timeout: Span = option("Deadline of one run, connecting included.", default=10.0)
    operation: Operation = option(
        "`put` an object; `get` it back too; or `head`, the bucket only.", default=Operation.PUT
    )
    bucket: Bucket = option("Bucket, or the ARN of an access point.")
    key: Label = option("The object's key; it is overwritten.", default=".sidecar/probe")
    region: Region | None = option("The bucket's region; the SDK's own search if left out.", default=None)
    endpoint_url: Annotated[Url, UrlKind((("http", 80), ("https", 443)))] | None = option(
        "URL of another store than AWS', such as http://minio:9000.", default=None
    )
    addressing: Addressing = option(
        "Where the bucket stands in the URL: `path`, `virtual` for the host, or `auto`.",
        default=Addressing.AUTO,
    )
    access_key_id: SecretText | None = option("Access key, instead of the SDK's own search.", default=None)
    secret_access_key: SecretText | None = option("The secret of the access key.", default=None)
    session_token: SecretText | None = option("Session token of temporary credentials.", default=None)
    sse: Encryption | None = option("Encryption to ask for.", default=None)
    kms_key_id: Label | None = option("With sse aws:kms: the KMS key.", default=None)
    acl: Acl | None = option("Canned ACL to ask for.", default=None)
    checksum: Checksum | None = option(
        "`when_required` for stores that refuse requests with a checksum.", default=None
    )
    tls: TlsConfig | None = option("TLS settings.", default=None)

    @property
    def target(self) -> str:
        """The bucket, and where it is unless at AWS."""
        where = f" at {self.endpoint_url.address}" if self.endpoint_url else ""
        return f"s3://{self.bucket}{where}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The endpoint's host, or AWS' for the region."""
        if self.endpoint_url is not None:
            return (self.endpoint_url.host,)
        return (f"s3.{self.region}.amazonaws.com" if self.region else "s3.amazonaws.com",)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        yield from self._credential_rules()
        endpoint = self.endpoint_url
        if endpoint is not None and (endpoint.username or endpoint.password):
            yield Mistake("takes no user; write access_key_id and secret_access_key", key="endpoint_url")
        if endpoint is not None and endpoint.scheme == "http" and self.tls is not None:
            yield Mistake("has no use without TLS; write the endpoint_url with https://", key="tls")
        if self.kms_key_id is not None and self.sse not in (Encryption.KMS, Encryption.KMS_DSSE):
            yield Mistake("needs the key sse beside it, as aws:kms or aws:kms:dsse", key="kms_key_id")

    def _credential_rules(self) -> Iterator[Mistake]:
        if self.access_key_id is not None and self.secret_access_key is None:
            yield Mistake("needs the key secret_access_key beside it", key="access_key_id")
        if self.secret_access_key is not None and self.access_key_id is None:
            yield Mistake("needs the key access_key_id beside it", key="secret_access_key")
        if self.session_token is not None and self.access_key_id is None:
            yield Mistake("needs the keys access_key_id and secret_access_key beside it", key="session_token")


class S3Check:
    """Keeps a client of the SDK and its credentials, but no connection: they would idle for minutes."""

    def __init__(self, config: S3Config) -> None:
        self._config = config
        self._transport = Transport()
        self._held = AsyncExitStack()
        self._in_thread = OneThread(f"session:{config.name}")
        self._session: Any = None
        self._client: Any = None

    @property
    def connections_opened(self) -> int:
        """Connections to S3 opened since the check was built."""
        return self._transport.connections_opened

    async def run(self) -> None:
        """Ask the bucket; search for credentials anew after they were not good enough."""
        patience = PATIENCE * self._config.timeout
        self._transport.gives_up_at = asyncio.get_running_loop().time() + patience
        try:
            with credential_failures():
                client, credentials = await self._opened()
            with self._answers_told_apart(client, credentials):
                await self._ask(client)
        except CheckFailed as failure:
            if failure.reason in (Reason.AUTH, Reason.FORBIDDEN) and self._config.access_key_id is None:
                await self.aclose()
            raise

    async def aclose(self) -> None:
        """Forget client and credentials."""
        self._client = self._session = None
        await self._held.aclose()

    async def _opened(self) -> tuple[Any, tuple[str, ...]]:
        """Return a client, and what of its credentials, which are fresh, must not be shown."""
        session, client = self._session, self._client
        if session is None:
            session = self._session = await self._in_thread(self._new_session)
            bound_nested_clients(session, patience=STS_PATIENCE * self._config.timeout)
        credentials = await fresh_credentials(session)
        if client is None:
            client = self._client = await self._new_client(session)
        return client, credentials

    def _answers_told_apart(self, client: Any, credentials: tuple[str, ...]) -> AbstractContextManager[None]:
        return answers_told_apart(
            self._config.target,
            key=self._config.key,
            region=client.meta.region_name,
            redact=Redactor(credentials),
        )

    def _new_session(self) -> Any:
        config = self._config
        session = aiobotocore.new_session(region=config.region)
        if config.access_key_id and config.secret_access_key:
            token = config.session_token.reveal() if config.session_token else None
            session.set_credentials(config.access_key_id.reveal(), config.secret_access_key.reveal(), token)
        return session

    async def _new_client(self, session: Any) -> Any:
        endpoint = self._config.endpoint_url
        if endpoint is None or endpoint.scheme == "https":
            await self._prepare_tls(session)
        with default_set_aside(session):
            client = await self._held.enter_async_context(
                session.create_client(
                    "s3", endpoint_url=endpoint.bare if endpoint else None, config=self._client_config()
                )
            )
        client.meta.events.register("before-call.s3", _stay_in_region)
        return client

    async def _prepare_tls(self, session: Any) -> None:
        """Trust whom the `tls:` block, AWS_CA_BUNDLE, SSL_CERT_FILE or else the system trusts."""
        tls = self._config.tls or TlsConfig()
        ca = tls.ca or session.get_config_variable("ca_bundle")
        self._transport.tls = await client_tls(replace(tls, ca=ca))
        self._transport.server_name = tls.server_name

    def _client_config(self) -> Any:
        config = self._config
        addressing = None if config.addressing is Addressing.AUTO else str(config.addressing)
        return client_config(
            http_session_cls=self._transport.configured,
            s3={"addressing_style": addressing} if addressing else None,
            request_checksum_calculation=config.checksum,
            response_checksum_validation=config.checksum,
        )

    async def _ask(self, client: Any) -> None:
        match self._config.operation:
            case Operation.PUT:
                await self._put(client, BODY)
            case Operation.GET:
                await self._put_and_get(client)
            case Operation.HEAD:
                await self._head(client)

    async def _put(self, client: Any, body: bytes) -> Any:
        config = self._config
        wishes = {"ServerSideEncryption": config.sse, "SSEKMSKeyId": config.kms_key_id, "ACL": config.acl}
        given = {name: str(wish) for name, wish in wishes.items() if wish is not None}
        stored = await client.put_object(Bucket=config.bucket, Key=config.key, Body=body, **given)
        if not stored.get("ETag"):
            raise self._not_s3(f"PUT of {config.key} without an ETag")
        return stored

    async def _put_and_get(self, client: Any) -> None:
        """Read back what was stored. Other pods store at the same key: newer than ours is as good as ours."""
        body = BODY + secrets.token_hex(8).encode()
        stored = await self._put(client, body)
        found = await client.get_object(Bucket=self._config.bucket, Key=self._config.key)
        content = await found["Body"].read()
        if is_same_object(stored, found) and content != body:
            raise self._broken_contract("other bytes than were stored")
        if is_older(found, than=stored):
            raise self._broken_contract("an older object than the one just stored")

    async def _head(self, client: Any) -> None:
        answer = await client.head_bucket(Bucket=self._config.bucket)
        if "text/html" in headers_of(answer).get("content-type", ""):
            raise self._not_s3("HEAD with a web page")

    def _broken_contract(self, what: str) -> CheckFailed:
        return CheckFailed(Reason.CONTRACT, f"{self._config.target} gave back for {self._config.key} {what}")

    def _not_s3(self, how: str) -> CheckFailed:
        return CheckFailed(Reason.PROTOCOL, f"{self._config.target} answered {how}: that is not S3")


def _stay_in_region(context: dict[str, Any], **_: object) -> None:
    """Let botocore believe that it has followed a redirect: it would send the object again, elsewhere."""
    context.get("s3_redirect", {})["redirected"] = True


check_type = CheckType(
    config=S3Config,
    build=S3Check,
    drivers=(aiohttp, aiobotocore),
    permanent=frozenset({Reason.TLS, Reason.CONTRACT}),
)
