"""Every check once, side by side, or until each has succeeded: for init containers, pipelines and laptops."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from random import Random
from typing import Any

from sidecar.config.check import CheckConfig, CheckType
from sidecar.core.result import Result
from sidecar.core.state import State, settle
from sidecar.runtime.imports import Imports
from sidecar.runtime.pacer import Pacer
from sidecar.runtime.runner import Runner
from sidecar.runtime.scheduler import varied_delay

Report = Callable[[CheckConfig, Result], None]


async def sweep(
    configs: Sequence[CheckConfig],
    *,
    find: Callable[[CheckConfig], CheckType[Any]],
    redact: Callable[[str], str],
    wait: float | None = None,
    report: Report = lambda _config, _result: None,
) -> dict[str, Result]:
    """Return the last result of each check by name, in the configured order.

    Without `wait` each runs once. With it those that fail are run again, as the server would, until they
    succeed or so many seconds have passed; a check that had no result by then is left out. Every result is
    told to `report` at once.
    """
    results: dict[str, Result] = {}
    dice = Random()  # noqa: S311 - spreads load, hides nothing

    def take(config: CheckConfig, result: Result) -> None:
        results[config.name] = result
        report(config, result)

    async def run(config: CheckConfig, imports: Imports, pacer: Pacer) -> None:
        check_type = find(config)
        await imports.load(check_type.drivers)
        runner = Runner(
            check_type.build(config),
            name=config.name,
            target=config.target,
            timeout=config.timeout,
            redact=redact,
            pacer=pacer,
        )
        try:
            await _run_until_success(config, runner, take, dice, is_patient=wait is not None)
        finally:
            await runner.aclose()

    async with aclosing(Imports()) as imports:
        pacer = Pacer(pace=0.0)  # no probe waits for an answer of ours
        with suppress(TimeoutError):
            async with asyncio.timeout(wait), asyncio.TaskGroup() as group:
                for config in configs:
                    group.create_task(run(config, imports, pacer), name=f"check:{config.name}")
    return {config.name: results[config.name] for config in configs if config.name in results}


async def _run_until_success(
    config: CheckConfig, runner: Runner, take: Report, dice: Random, *, is_patient: bool
) -> None:
    state = State()
    while True:
        result = await runner.run()
        take(config, result)
        if result.is_success or not is_patient:
            return
        state = settle(state, result, failure_threshold=config.failure_threshold, success_threshold=1)
        await asyncio.sleep(
            varied_delay(
                state, interval=config.interval, failure_threshold=config.failure_threshold, dice=dice
            )
        )
