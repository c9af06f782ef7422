"""A receiver of our webhooks: it verifies the signature and the schema, and knows what it got before."""

import json
import time
from base64 import b64decode, b64encode
from hashlib import sha256
from hmac import compare_digest, digest
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]  # comes with check-jsonschema

from tests.deploys.stand_ins.base import Asked, Said, StandIn, expect

PATH: Final = "/hooks/s3cret"
SIGNING_SECRET: Final = f"whsec_{b64encode(b'a key of thirty-two random bytes').decode()}"
SCHEMA: Final = Path(__file__).parents[3] / "docs" / "announcement.schema.json"
TOLERANCE: Final = 300
"""Seconds that a timestamp may be off."""


class WebhookStandIn(StandIn):
    """`accepted` are the bodies, each once; `repeated` counts those that came again."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.repeated = 0
        self._seen: set[str] = set()
        self._validator = jsonschema.Draft202012Validator(
            json.loads(SCHEMA.read_text()), format_checker=jsonschema.FormatChecker()
        )

    @property
    def hook_url(self) -> str:
        """The URL to post to."""
        return f"{self.url}{PATH}"

    def answer(self, asked: Asked) -> Said:
        expect((asked.method, asked.path) == ("POST", PATH), 404, "no such hook")
        key = asked.headers.get("webhook-id", "")
        _verify(key, asked)
        body = asked.object()
        fault = next((error.message for error in self._validator.iter_errors(body)), "")
        expect(not fault, 400, fault)
        expect(key == asked.headers.get("idempotency-key"), 400, "two keys")
        if key in self._seen:
            self.repeated += 1
        else:
            self._seen.add(key)
            self.accepted.append(body)
        return Said(204)


def _verify(key: str, asked: Asked) -> None:
    """Refuse what the reference libraries refuse."""
    timestamp = asked.headers.get("webhook-timestamp", "")
    expect(timestamp.isdecimal() and abs(int(timestamp) - time.time()) < TOLERANCE, 400, "too old or too new")
    secret = b64decode(SIGNING_SECRET.removeprefix("whsec_"))
    wanted = b64encode(digest(secret, b".".join((key.encode(), timestamp.encode(), asked.body)), sha256))
    version, _, given = asked.headers.get("webhook-signature", "").partition(",")
    expect(version == "v1" and compare_digest(given.encode(), wanted), 401, "no matching signature")
