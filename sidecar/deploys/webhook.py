"""Posts each event as JSON to a URL of your own, signed.

The body is described by [announcement.schema.json](../announcement.schema.json), a JSON Schema. It says what
has happened to which deploy, when, and how long it took, which checks fail and why, which pod saw it, and who
deployed what.

Delivery and signature are those of [Standard Webhooks](https://www.standardwebhooks.com), whose libraries
verify it: `webhook-id`, `webhook-timestamp`, and with the key `secret` a `webhook-signature` by HMAC-SHA256.
Any answer of 2xx means that it was taken. 410 means that it never will be, like every other refusal below
500 but 408, 421, 425 and 429; a redirect is not followed.

What happens twice: an event may come again, after an answer that was lost for instance, with the same
`webhook-id`, which is sent as the `Idempotency-Key` too. It is the same in all pods of a deploy.

Permissions: whoever has the URL may post there, so that its path is kept secret.

```yaml
- type: webhook
  url: https://deploys.example.com/hooks/${HOOK_KEY}
  secret: ${file:/run/secrets/hook/signing-secret}
  headers:
    x-team: platform
```
"""

import time
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from typing import Annotated, Any, Final

from sidecar.config.check import option
from sidecar.config.deploy import ServiceConfig, ServiceType
from sidecar.config.headers import NOT_YOURS, Headers, header_rules
from sidecar.config.interpolate import Scalar
from sidecar.config.kinds.kind import Schema
from sidecar.config.kinds.secret import Secret, SecretKind
from sidecar.config.problems import Mistake
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import DeployEvent, Receipt
from sidecar.deploys import _words
from sidecar.deploys._service import Answer, Cluster, Request, Send, as_json
from sidecar.deploys._url import HookUrl, hook_rules

PREFIX: Final = "whsec_"
KEY_BYTES: Final = range(24, 65)
"""How long a key is: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
_FROM_THE_ANNOUNCEMENT: Final = "it follows from the announcement"
_NOT_YOURS: Final = {
    **NOT_YOURS,
    "content-type": "it is application/json",
    "host": "it follows from the URL",
    "idempotency-key": _FROM_THE_ANNOUNCEMENT,
    "webhook-id": _FROM_THE_ANNOUNCEMENT,
    "webhook-signature": "it follows from the key secret",
    "webhook-timestamp": _FROM_THE_ANNOUNCEMENT,
}


class SigningSecretKind(SecretKind):
    """A secret in the form of Standard Webhooks."""

    def parse(self, scalar: Scalar) -> Secret:
        """Return it behind stars."""
        secret = super().parse(scalar)
        if not scalar.text.startswith(PREFIX) or len(_key(secret)) not in KEY_BYTES:
            raise Mistake(
                f"is not the secret of a webhook; write {PREFIX} and the base64 of 24 to 64 random bytes, "
                f"such as `echo {PREFIX}$(openssl rand -base64 32)` prints"
            )
        return secret


@dataclass(frozen=True, kw_only=True, repr=False)
class WebhookConfig(ServiceConfig):
    """Where to post, and how to sign."""

    url: HookUrl = option("URL to post to.")
    secret: Annotated[Secret, SigningSecretKind()] | None = option(
        "What to sign with: `whsec_` and base64; nothing is signed if left out.", default=None
    )
    headers: Headers | None = option("Headers to send as well.", default=None)

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from hook_rules(self.url, key="url")
        yield from header_rules(self.headers or {}, _NOT_YOURS)


class Webhook:
    """Keeps nothing: the receiver tells a repetition by its key. `clock` returns seconds since the epoch."""

    def __init__(self, config: WebhookConfig, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock

    async def tell(self, announcement: Announcement, receipt: Receipt, send: Send) -> Receipt:  # noqa: ARG002
        """Post the event."""
        body = as_json(describe(announcement))
        timestamp = str(int(self._clock()))  # of this attempt: receivers refuse what is old
        headers: dict[str, str | Secret] = {
            **{name.lower(): value for name, value in (self._config.headers or {}).items()},
            "content-type": "application/json",
            "idempotency-key": announcement.key,
            "webhook-id": announcement.key,
            "webhook-timestamp": timestamp,
        }
        if self._config.secret is not None:
            told = b".".join((announcement.key.encode(), timestamp.encode(), body))
            headers["webhook-signature"] = sign(self._config.secret, told)
        await send(Request(url=self._config.url.bare, headers=headers, body=body, answered=Answer(204)))
        return {}


def sign(secret: Secret, told: bytes) -> str:
    """Return the signature of an identifier, a timestamp and a body with dots between."""
    return f"v1,{b64encode(digest(_key(secret), told, sha256)).decode()}"


def describe(announcement: Announcement) -> dict[str, Any]:
    """Return the body, which `schema` describes. What is not known is left out."""
    deploy, origin = announcement.deploy, announcement.origin
    known = {
        "pod": announcement.pod,
        "user": origin.user,
        "branch": origin.branch,
        "commit_url": origin.commit_url,
        "build_url": origin.build_url,
        "comment": origin.comment,
    }
    return {
        "type": f"deploy.{announcement.event}",
        "timestamp": _words.instant(announcement.time),
        "data": {
            "service": deploy.service,
            "environment": deploy.environment,
            "revision": deploy.revision,
            "deploy": deploy.id,
            "started_at": _words.instant(announcement.started_at),
            "seconds": round(announcement.lasted, 3),
            "recovered": announcement.is_recovery,
            "unclaimed": announcement.is_unclaimed,
            "failures": [
                {"check": each.name, "reason": each.reason, "message": each.message}
                for each in announcement.failures
            ],
            "more_failures": announcement.unnamed,
            **{name: text for name, text in known.items() if text},
        },
    }


def schema() -> Schema:
    """Return the JSON Schema (2020-12) of a body."""
    failure = _object({name: _text(doc) for name, doc in _FAILURE.items()})
    data = {
        **{name: _text(doc, minLength=1) for name, doc in _ALWAYS.items()},
        "started_at": _text("When the deploy began.", format="date-time"),
        "seconds": {"description": "How long it has taken so far.", "type": "number", "minimum": 0},
        "recovered": {
            "description": "Whether it went live after it was said to have failed.",
            "type": "boolean",
        },
        "unclaimed": {
            "description": "Whether the claim's store was silent, so that other pods may say the same.",
            "type": "boolean",
        },
        "failures": {"description": "Checks that hold it back.", "type": "array", "items": failure},
        "more_failures": {
            "description": "How many more checks hold it back.",
            "type": "integer",
            "minimum": 0,
        },
    }
    known = {name: _text(doc, minLength=1) for name, doc in _IF_KNOWN.items()}
    events = [f"deploy.{event}" for event in DeployEvent]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What happened to a deploy",
        **_object(
            {
                "type": {"description": "What has happened.", "enum": events},
                "timestamp": _text("When it happened.", format="date-time"),
                "data": _object(data, known),
            }
        ),
    }


def _object(always: Schema, if_known: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**always, **(if_known or {})},
        "required": [*always],
        "additionalProperties": False,
    }


def _text(doc: str, **rules: Any) -> Schema:
    return {"description": doc, "type": "string", **rules}


def _key(secret: Secret) -> bytes:
    """Return the bytes of a secret; none if it has another form."""
    try:
        return b64decode(secret.reveal().removeprefix(PREFIX), validate=True)
    except (NoBase64, ValueError):
        return b""


_ALWAYS: Final = {
    "service": "Name of what is deployed.",
    "environment": "Where it is deployed to.",
    "revision": "Identity of what is deployed.",
    "deploy": "Identity of the deploy.",
}
_IF_KNOWN: Final = {
    "pod": "The pod that saw it.",
    "user": "Who deploys.",
    "branch": "The branch that is deployed.",
    "commit_url": "Page of the commit.",
    "build_url": "Page of the build.",
    "comment": "A sentence about the deploy.",
}
_FAILURE: Final = {
    "check": "Name of the check.",
    "reason": "Why it fails, in one word.",
    "message": "What it said last; may be empty.",
}


def _build(config: WebhookConfig, _: Cluster) -> Webhook:
    return Webhook(config)


service_type = ServiceType(config=WebhookConfig, build=_build)
