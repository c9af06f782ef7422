"""Deploys, records and what processes see, for the tests of claims and of tracking."""

from typing import Final

from sidecar.core.deploy import (
    Delivery,
    Deploy,
    DeployEvent,
    Fact,
    FailedCheck,
    Progress,
    Record,
)
from tests.runtime.fakes import EPOCH

DEPLOY: Final = Deploy(service="builds", environment="production", revision="abc123", id="42")
FULL: Final = Record(
    deploy=DEPLOY,
    facts=(
        Fact(event=DeployEvent.STARTED, time=EPOCH + 0.125, pod="builds-0"),
        Fact(
            event=DeployEvent.FAILED,
            time=EPOCH + 60.5,
            pod="builds-1",
            failures=(FailedCheck("db", "auth", 'db:5432 said "no", für immer\n'), FailedCheck("mq", "dns")),
            unnamed=3,
        ),
        Fact(event=DeployEvent.SUCCEEDED, time=EPOCH + 90, pod="builds-2"),
    ),
    deliveries=(
        Delivery("slack", DeployEvent.STARTED, Progress.DELIVERED),
        Delivery("slack", DeployEvent.FAILED, Progress.GIVEN_UP),
        Delivery("slack", DeployEvent.SUCCEEDED),
    ),
    receipts={"slack": {"channel": "C1", "ts": "1.5"}},
    courier="builds-2-c0ffee",
    courier_until=EPOCH + 120.25,
)
"""A record in which everything has a value."""
