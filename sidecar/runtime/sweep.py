"""Every check once, side by side, or until each has succeeded: for init containers, pipelines and laptops."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sidecar.config.check import CheckConfig, CheckType
from sidecar.core.result import Result
from sidecar.core.state import State, next_delay, settle
from sidecar.runtime.runner import Runner

Report = Callable[[CheckConfig, Result], None]


async def sweep(
    configs: Sequence[CheckConfig],
    *,
    find: Callable[[CheckConfig], CheckType[Any]],
    redact: Callable[[str], str],
    wait: float | None = None,
    report: Report = lambda _config, _result: None,
) -> dict[str, Result]:
    """Return the last result of each check by name.

    Without `wait` each runs once. With it those that fail are run again, as the server would, until they
    succeed or so many seconds have passed. Every result is told to `report` at once.
    """
    results: dict[str, Result] = {}

    async def run(config: CheckConfig) -> None:
        runner = _runner(config, find, redact)
        try:
            await _run_until_success(config, runner, take, is_patient=wait is not None)
        finally:
            await runner.aclose()

    def take(config: CheckConfig, result: Result) -> None:
        results[config.name] = result
        report(config, result)

    tasks = [asyncio.create_task(run(config), name=f"check:{config.name}") for config in configs]
    if tasks:
        await asyncio.wait(tasks, timeout=wait)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {config.name: results[config.name] for config in configs if config.name in results}


async def _run_until_success(config: CheckConfig, runner: Runner, take: Report, *, is_patient: bool) -> None:
    state = State()
    while True:
        result = await runner.run()
        take(config, result)
        if result.is_success or not is_patient:
            return
        state = settle(state, result, failure_threshold=config.failure_threshold, success_threshold=1)
        await asyncio.sleep(
            next_delay(state, interval=config.interval, failure_threshold=config.failure_threshold)
        )


def _runner(
    config: CheckConfig, find: Callable[[CheckConfig], CheckType[Any]], redact: Callable[[str], str]
) -> Runner:
    check = find(config).build(config)
    return Runner(check, name=config.name, target=config.target, timeout=config.timeout, redact=redact)
