"""All services that a pipeline can tell, configured with a secret each, and told of a deploy."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Final
from urllib.parse import quote

from sidecar.config.load_deploy import LoadedDeploy, load_deploy
from sidecar.config.source import Source
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import Receipt
from sidecar.deploys import InstalledServices
from sidecar.deploys._once import Patience, Teller, Told
from sidecar.deploys._service import Send
from sidecar.support.text import Redactor
from tests.checks.contract import SECRET
from tests.deploys.announcements import SHA
from tests.fuzz.bench import told_of

PATIENCE: Final = Patience(attempts=2, seconds=1.0)
NAMES: Final = ("slack", "hook", "rollbar", "sentry", "webhook")


@cache
def all_services(url: str = "http://service.test") -> LoadedDeploy:
    """Return the section `deploy` that announces to all of them, which are at `url`."""
    token = {"token": SECRET, "base_url": url}
    slack, hook, rollbar, sentry, webhook = NAMES
    services = [
        {"name": slack, "type": "slack", "channel": "C1", **token},
        {"name": hook, "type": "slack", "webhook_url": f"{url}/services/{quote(SECRET, safe='')}"},
        {"name": rollbar, "type": "rollbar", "read_token": SECRET, **token},
        {"name": sentry, "type": "sentry", "organization": "o", "projects": ["p"], **token},
        {"name": webhook, "type": "webhook", "url": url, "headers": {"X-Token": f"Token {SECRET}"}},
    ]
    section = {"service": "shop", "environment": "production", "revision": SHA, "announce": services}
    source = Source("test.yaml", json.dumps({"deploy": section}).encode())
    return load_deploy(source, {}, services=InstalledServices())


async def tell(
    deploy: LoadedDeploy, told: Announcement, receipts: Mapping[str, Receipt], send: Send
) -> list[Told]:
    """Tell all services, without a pause between two attempts; return how each ended."""
    teller = Teller(
        told,
        receipts,
        send_for=lambda _: send,
        redact=Redactor(deploy.secrets),
        patience=PATIENCE,
        draw=lambda *_: 0.0,
    )
    return await teller.tell(deploy.deploy.announce, InstalledServices())


def sound_end(told: Told) -> None:
    """Assert that a service was told, or was not for a reason of its own; and that no secret is told of."""
    assert "a bug in the sidecar" not in told.sentence, told.sentence
    assert told.sentence.isprintable()
    assert not told_of(SECRET, told.sentence), told.sentence
    assert all(isinstance(each, str) for pair in told.receipt.items() for each in pair)
