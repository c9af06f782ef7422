"""Services of our own: each takes what the real one documents, refuses the rest, and misbehaves when told."""

from tests.deploys.stand_ins.base import Asked, Misbehaviour, StandIn
from tests.deploys.stand_ins.rollbar import RollbarStandIn
from tests.deploys.stand_ins.slack import SlackStandIn

__all__ = ["Asked", "Misbehaviour", "RollbarStandIn", "SlackStandIn", "StandIn"]
