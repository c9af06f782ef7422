"""How each rule of some checks stands, asked once, side by side: for `sidecar explain`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from sidecar.config.check import CheckConfig, CheckType
from sidecar.core.check import Reason
from sidecar.core.explain import Explains, Samples
from sidecar.core.finding import Finding, Standing
from sidecar.core.sample import Sample
from sidecar.runtime.imports import Imports
from sidecar.runtime.runner import Runner
from sidecar.support.text import one_line

SENTENCE_LIMIT: Final = 1000
"""Characters."""

Ask = Callable[[], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True, slots=True)
class Explanation:
    """How each rule of a check stands."""

    check: CheckConfig
    findings: tuple[Finding, ...]


async def explain(
    configs: Sequence[CheckConfig],
    *,
    find: Callable[[CheckConfig], CheckType[Any]],
    redact: Callable[[str], str],
    sample: Sample | None = None,
) -> list[Explanation]:
    """Return how each rule of each check stands, in the configured order.

    A check has its own `timeout` for that. With `sample` those that can also look at copies of messages, as
    long again and longer by as many seconds as that takes. What a check cannot tell is unverifiable.

    Raises:
        ExceptionGroup: of a TypeError for each check that does not explain.
    """
    async with aclosing(Imports()) as imports, asyncio.TaskGroup() as group:
        explaining = [
            group.create_task(
                _explain(config, find(config), imports, redact, sample), name=f"check:{config.name}"
            )
            for config in configs
        ]
    return [each.result() for each in explaining]


async def _explain(
    config: CheckConfig,
    check_type: CheckType[Any],
    imports: Imports,
    redact: Callable[[str], str],
    sample: Sample | None,
) -> Explanation:
    await imports.load(check_type.drivers)
    check = check_type.build(config)
    if not isinstance(check, Explains):
        raise TypeError(f"a check of type {config.type} does not explain")
    question = _Question(check)
    runner = Runner(question, name=config.name, target=config.target, timeout=config.timeout, redact=redact)
    try:
        findings = await question.put(runner, check.findings)
        if sample is not None and question.is_answered and isinstance(check, Samples):
            runner.timeout += sample.seconds
            findings += await question.put(runner, partial(check.sample, sample))
    finally:
        await runner.aclose()
    return Explanation(config, tuple(_told(each, redact) for each in findings))


class _Question:
    """Has a runner ask a check for findings, instead of for the verdict of a run."""

    def __init__(self, check: Explains) -> None:
        self.is_answered = False
        self._check = check
        self._ask: Ask = check.findings
        self._findings: tuple[Finding, ...] = ()

    async def put(self, runner: Runner, ask: Ask) -> tuple[Finding, ...]:
        """Return what `ask` returns or, if it does not, why."""
        self._ask = ask
        result = await runner.run()
        self.is_answered = result.is_success
        if not self.is_answered:
            return (_nothing(result.message, result.reason or Reason.UNEXPECTED),)
        return self._findings

    async def run(self) -> None:
        """Ask, and keep the answer."""
        findings = tuple(await self._ask())
        if not all(isinstance(each, Finding) for each in findings):
            raise TypeError("a check that explains returns findings")
        self._findings = findings

    async def aclose(self) -> None:
        """Close the check."""
        await self._check.aclose()


def _nothing(why: str, reason: Reason) -> Finding:
    return Finding("check", Standing.UNVERIFIABLE, f"nothing more can be verified: {why}", reason)


def _told(finding: Finding, redact: Callable[[str], str]) -> Finding:
    """Return a finding without secrets, on one line."""
    return replace(finding, sentence=one_line(redact(finding.sentence), limit=SENTENCE_LIMIT))
