"""How one rule of a check stands, for people who want more than the verdict of a run."""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.core.check import Reason


class Standing(StrEnum):
    """How a rule stands."""

    HELD = "held"
    VIOLATED = "violated"
    UNVERIFIABLE = "unverifiable"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one rule stands, in a sentence that states the fact, and never a secret.

    `rule` is the check type's own word for what it is about; `reason` is why it fails, where it is not held.
    """

    rule: str
    standing: Standing
    sentence: str
    reason: Reason = Reason.CONTRACT
