"""What judging a delivery contract comes to: findings, and what a run makes of them. Pure.

A rule of topology may gate. A rule of behaviour never does: what it sees is the consumers and publishers of
the revision that runs now, and it would hold back the very release that mends them.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from sidecar.checks._broker import Unknown
from sidecar.core.check import CheckFailed, Reason
from sidecar.core.finding import Finding, Standing

MESSAGE_LIMIT: Final = 280
"""Characters, as many as a line of a log carries well."""


class Rule(StrEnum):
    """What a finding is about."""

    NODE = "node"
    EXCHANGE = "exchange"
    QUEUE = "queue"
    BINDING = "binding"
    DEAD_LETTER = "dead_letter"
    CONSUMERS = "consumers"
    MESSAGES = "messages"
    UNROUTABLE = "unroutable"
    BACKLOG = "backlog"
    SAMPLE = "sample"
    """Whether copies of messages could be looked at."""
    IDENTIFIER = "identifier"


TOPOLOGY: Final = frozenset({Rule.NODE, Rule.EXCHANGE, Rule.QUEUE, Rule.BINDING, Rule.DEAD_LETTER})
"""The rules that may gate."""


def conclude(findings: Sequence[Finding], *, strict: bool) -> str | None:
    """Return the warning that the findings amount to, all of them in one; None if every rule holds.

    Raises:
        CheckFailed: a rule of topology is violated, or `strict` and unverifiable. It names the warnings too.
    """
    open_ones = [each for each in findings if each.standing is not Standing.HELD]
    fatal = [
        each for each in open_ones if each.rule in TOPOLOGY and (strict or each.standing is Standing.VIOLATED)
    ]
    others = [each for each in open_ones if each not in fatal]
    others.sort(key=lambda each: each.standing is Standing.UNVERIFIABLE)
    message = joined([each.sentence for each in (*fatal, *others)])
    if not fatal:
        return message or None
    reasons = {each.reason for each in fatal}
    raise CheckFailed(reasons.pop() if len(reasons) == 1 else Reason.CONTRACT, message)


def joined(sentences: Sequence[str]) -> str:
    """Return as many sentences as a message has room for, the first one always, and how many are left out."""
    for shown in range(len(sentences), 0, -1):
        left = [f"and {len(sentences) - shown} more"] if shown < len(sentences) else []
        message = "; ".join([*sentences[:shown], *left])
        if len(message) <= MESSAGE_LIMIT or shown == 1:
            return message
    return ""


def judged(rule: Rule, is_held: bool, *, held: str, violated: str) -> Finding:
    """Return the finding on a rule that is held or not, with a sentence for either."""
    return Finding(rule, Standing.HELD, held) if is_held else Finding(rule, Standing.VIOLATED, violated)


def violated(rule: Rule, sentence: str) -> Finding:
    """Return the finding on a rule that is not held."""
    return Finding(rule, Standing.VIOLATED, sentence)


def unverifiable(rule: Rule, sentence: str) -> Finding:
    """Return the finding on a rule about which the broker has nothing to tell."""
    return Finding(rule, Standing.UNVERIFIABLE, sentence, Reason.UNAVAILABLE)


def unknown(rule: Rule, what: str, fact: Unknown) -> Finding:
    """Return the finding on a rule whose fact could not be had."""
    return Finding(rule, Standing.UNVERIFIABLE, f"{what} cannot be verified: {fact.why}", fact.reason)
