"""Services of our own: each takes what the real one documents, refuses the rest, and misbehaves when told."""

from tests.deploys.stand_ins.base import Asked, Misbehaviour, StandIn
from tests.deploys.stand_ins.cluster import ClusterStandIn
from tests.deploys.stand_ins.rollbar import RollbarStandIn
from tests.deploys.stand_ins.sentry import SentryStandIn
from tests.deploys.stand_ins.slack import SlackStandIn
from tests.deploys.stand_ins.webhook import WebhookStandIn

__all__ = [
    "Asked",
    "ClusterStandIn",
    "Misbehaviour",
    "RollbarStandIn",
    "SentryStandIn",
    "SlackStandIn",
    "StandIn",
    "WebhookStandIn",
]
