"""Announcements as a deploy of a shop brings them, and a service that is told them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sidecar.config.load_deploy import LoadedDeploy, load_deploy
from sidecar.config.source import Source
from sidecar.core.announcement import Announcement, Origin
from sidecar.core.deploy import Deploy, DeployEvent, FailedCheck, Receipt
from sidecar.deploys import InstalledServices
from sidecar.deploys._discreet import discreet
from sidecar.deploys._send import send
from sidecar.deploys._service import Cluster, Send, Service
from sidecar.support.text import Redactor

Keys = Mapping[str, object]
"""The keys of one element of `deploy.announce`, as they would stand in YAML."""

SHA: Final = "4f2a9c71d0b35e8846aa0c9d1f7e23b45c6d7e8f"
DEPLOY: Final = Deploy(service="shop", environment="production", revision=SHA, id="4711")
ORIGIN: Final = Origin(
    user="ada",
    branch="main",
    commit_url=f"https://git.test/shop/commit/{SHA}",
    build_url="https://ci.test/shop/4711?attempt=1&job=2",
    comment="Sell <b>tea</b> & coffee",
)
FAILURES: Final = (
    FailedCheck("db", "auth", "postgres:5432 refused the user <shop> & its password"),
    FailedCheck("queue", "refused"),
)
STARTED_AT: Final = 1_800_000_000.25
LASTED: Final = {
    DeployEvent.STARTED: 0.0,
    DeployEvent.SUCCEEDED: 125.5,
    DeployEvent.FAILED: 90.0,
    DeployEvent.TIMED_OUT: 600.0,
}
TROUBLE: Final = frozenset({DeployEvent.FAILED, DeployEvent.TIMED_OUT})


def announcement(event: DeployEvent, **changes: Any) -> Announcement:
    """Return what is announced of one event, with everything that can be known."""
    usual = {
        "deploy": DEPLOY,
        "started_at": STARTED_AT,
        "time": changes.get("started_at", STARTED_AT) + LASTED[event],
        "pod": "shop-7d9f-x2x4k",
        "failures": FAILURES if event in TROUBLE else (),
        "origin": ORIGIN,
    }
    return Announcement(event=event, **{**usual, **changes})


def loaded(keys: Keys) -> LoadedDeploy:
    """Return the section `deploy` that announces to one service, read as a user's file is."""
    section = {"service": "shop", "environment": "production", "revision": SHA, "announce": [keys]}
    source = Source("test.yaml", json.dumps({"deploy": section}).encode())
    return load_deploy(source, {}, services=InstalledServices())


def service_with(keys: Keys, cluster: Cluster | None = None) -> Service:
    """Return the service that these keys configure, as discreet as those who announce have it."""
    found = loaded(keys)
    config = found.deploy.announce[0]
    its = InstalledServices().find(config.type)
    assert its is not None
    return discreet(its.build(config, cluster or Cluster()), Redactor(found.secrets))


async def tell_all(service: Service, events: Iterable[DeployEvent], send: Send = send) -> Receipt:
    """Tell the events of one deploy in order, each with the receipt that was kept; return the last one."""
    receipt: Receipt = {}
    has_failed = False
    for event in events:
        is_recovery = has_failed and event is DeployEvent.SUCCEEDED
        told = announcement(event, is_recovery=is_recovery)
        receipt = await service.tell(told, receipt, send) or receipt
        has_failed = has_failed or event in TROUBLE
    return receipt
