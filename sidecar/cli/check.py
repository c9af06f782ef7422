"""`sidecar check`: every check once, as a table or as JSON."""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import click

from sidecar.app.ending import end
from sidecar.app.needs import require_drivers
from sidecar.app.once import check_once
from sidecar.checks import InstalledTypes
from sidecar.cli._configuration import (
    EXIT_FAILURE,
    EXIT_TIMEOUT,
    config_option,
    exit_on_problems,
    read_configuration,
)
from sidecar.cli._table import as_table
from sidecar.config.check import CheckConfig
from sidecar.config.interpolate import Part, Scalar
from sidecar.config.kinds.number import DurationKind
from sidecar.config.model import Config
from sidecar.config.problems import Mistake, unknown
from sidecar.core.result import Outcome, Result
from sidecar.core.verdict import Gate
from sidecar.support.logs import set_up_logs
from sidecar.support.text import Redactor, show_duration

UNTIL_DEADLINE = "startup deadline"
NAMES_SHOWN = 10


@click.command("check")
@config_option
@click.option(
    "--wait",
    is_flag=False,
    flag_value=UNTIL_DEADLINE,
    metavar="[DURATION]",
    help="Run those that fail again until all pass, at most so long; alone it means the startup deadline.",
)
@click.option("--only", multiple=True, metavar="NAME", help="Run this check only; may be given again.")
@click.option(
    "--gate",
    type=click.Choice([gate.value for gate in Gate]),
    help="Run only the checks that gate this probe.",
)
@click.option(
    "--output", type=click.Choice(["table", "json"]), default="table", help="How to show the results."
)
def command(path: str, wait: str | None, only: tuple[str, ...], gate: str | None, output: str) -> None:
    """Run every check once, or until all pass, and show the results.

    Exits with 0 if all pass, 1 if one fails, 2 if the configuration is refused or --only or --gate choose
    none, 124 if --wait ran out, 130 or 143 if SIGINT or SIGTERM ended it.
    """
    types = InstalledTypes()
    with exit_on_problems():
        config = read_configuration(path, types)
        require_drivers(config, types)
    redact = Redactor(config.secrets)
    set_up_logs(level="critical", as_json=False, redact=redact)
    chosen = _choose(config.checks, only, gate)
    seconds = _seconds(wait, config)
    results = check_once(chosen, types, redact, wait=seconds, report=_report_failure if seconds else None)
    click.echo(_as_json(chosen, results) if output == "json" else _as_table(chosen, results))
    code = _exit_code(chosen, results, has_waited=seconds is not None)
    end(code)


def _choose(checks: Sequence[CheckConfig], only: Sequence[str], gate: str | None) -> list[CheckConfig]:
    names = [check.name for check in checks]
    for name in only:
        if name not in names:
            raise click.BadParameter(unknown("check", name, names), param_hint="--only")
    asked = [check for check in checks if not only or check.name in only]
    chosen = [check for check in asked if gate is None or gate in check.gates]
    if gate is not None and not chosen:
        raise click.BadParameter(_nothing_gates(gate, asked), param_hint="--gate")
    return chosen


def _nothing_gates(gate: str, asked: Sequence[CheckConfig]) -> str:
    """Say that `--gate` chooses no check: a start that waits for nothing would prove nothing."""
    if not asked:
        return f"no check gates {gate}: there are no checks"
    by_gates: dict[str, list[str]] = {}
    for check in asked:
        by_gates.setdefault(_as_written(check.gates), []).append(check.name)
    found = "; ".join(f"gates: {gates} stands at {_listed(names)}" for gates, names in by_gates.items())
    return (
        f"no check gates {gate}, so that nothing would be proved: {found}; "
        f"write gates: {gate} at the checks that are meant, or leave --gate out to run them all"
    )


def _as_written(gates: AbstractSet[Gate]) -> str:
    names = [gate for gate in Gate if gate in gates]
    return f"[{', '.join(names)}]" if len(names) > 1 else "".join(names) or "none"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _seconds(wait: str | None, config: Config) -> float | None:
    if wait is None:
        return None
    if wait == UNTIL_DEADLINE:
        return config.sections.startup.deadline
    try:
        return DurationKind().parse(Scalar(wait, (Part(wait),)))
    except Mistake as mistake:
        raise click.BadParameter(mistake.sentence, param_hint="--wait") from mistake


def _report_failure(config: CheckConfig, result: Result) -> None:
    if not result.is_success:
        click.echo(f"waiting for {config.name}: {result.reason}: {result.message}", err=True)


def _exit_code(chosen: Sequence[CheckConfig], results: Mapping[str, Result], *, has_waited: bool) -> int:
    if all(check.name in results and results[check.name].is_success for check in chosen):
        return 0
    return EXIT_TIMEOUT if has_waited else EXIT_FAILURE


def _as_table(chosen: Sequence[CheckConfig], results: Mapping[str, Result]) -> str:
    rows: list[tuple[str, ...]] = [("CHECK", "TYPE", "RESULT", "TOOK", "TARGET", "MESSAGE")]
    rows += [_row(check, results.get(check.name)) for check in chosen]
    return as_table(rows)


def _row(check: CheckConfig, result: Result | None) -> tuple[str, ...]:
    if result is None:
        return check.name, check.type, "no result", "", check.target, ""
    outcome = "ok" if result.outcome is Outcome.SUCCESS else result.reason or result.outcome
    took = show_duration(max(round(result.duration, 3), 0.001))
    return check.name, check.type, outcome, took, check.target, result.message


def _as_json(chosen: Sequence[CheckConfig], results: Mapping[str, Result]) -> str:
    return json.dumps([_as_dict(check, results.get(check.name)) for check in chosen], indent=2)


def _as_dict(check: CheckConfig, result: Result | None) -> dict[str, object]:
    known: dict[str, object] = {"name": check.name, "type": check.type, "target": check.target}
    if result is None:
        return {**known, "outcome": None}
    return {
        **known,
        "outcome": result.outcome,
        "reason": result.reason,
        "message": result.message,
        "duration_seconds": round(result.duration, 6),
    }
