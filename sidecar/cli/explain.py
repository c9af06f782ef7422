"""`sidecar explain`: what the checks prove, in sentences that a reviewer can read."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import click

from sidecar.app.ending import end
from sidecar.app.needs import require_drivers
from sidecar.app.once import can_explain, can_sample, explain_once
from sidecar.checks import InstalledTypes
from sidecar.cli._configuration import EXIT_FAILURE, config_option, exit_on_problems, read_configuration
from sidecar.config.check import CheckConfig
from sidecar.config.interpolate import Part, Scalar
from sidecar.config.kinds.number import DurationKind
from sidecar.config.model import Config
from sidecar.config.problems import Mistake, unknown
from sidecar.core.finding import Finding, Standing
from sidecar.core.sample import Identifier, Sample
from sidecar.runtime.explanation import Explanation
from sidecar.support.logs import set_up_logs
from sidecar.support.text import Redactor

SAMPLE_LIMIT: Final = 1000
"""Messages of each way."""
SECONDS: Final = 5.0
SECONDS_LIMIT: Final = 60.0


@click.group("explain")
def command() -> None:
    """Say in sentences what is promised, and whether it is held."""


@command.command("delivery")
@config_option
@click.option("--only", multiple=True, metavar="NAME", help="Ask this check only; may be given again.")
@click.option(
    "--sample",
    "count",
    type=click.IntRange(1, SAMPLE_LIMIT),
    metavar="COUNT",
    help="Also look at copies of so many real messages of each verified binding, at most "
    f"{SAMPLE_LIMIT}; this declares and binds a private queue for the time.",
)
@click.option(
    "--sample-for", "span", metavar="DURATION", help="Wait at most so long for them: 5s, and at most 1m."
)
@click.option(
    "--identifier",
    metavar="WHERE",
    help="Where their identifier is: message_id, header:NAME or json:/pointer; message_id if not given.",
)
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="How to show the sentences."
)
def delivery(
    path: str, only: tuple[str, ...], count: int | None, span: str | None, identifier: str | None, output: str
) -> None:
    """Say of the delivery contract what is held, violated or unverifiable, against the live systems.

    Asks each check that can tell: those of the types rabbitmq-delivery and postgres, and plug-ins'.

    Exits with 0 if every sentence is held, 1 if one is violated or unverifiable, 2 if the configuration or an
    option is refused, 130 or 143 if SIGINT or SIGTERM ended it.
    """
    sample = _sample(count, span, identifier)
    types = InstalledTypes()
    with exit_on_problems():
        config = read_configuration(path, types)
        require_drivers(config, types)
    chosen = _choose(config, types, only, is_sampling=sample is not None)
    redact = Redactor(config.secrets)
    set_up_logs(level="critical", as_json=False, redact=redact)
    explained = explain_once(chosen, types, redact, sample=sample)
    click.echo(_as_json(explained) if output == "json" else "\n".join(_as_text(explained)))
    code = 0 if all(each.standing is Standing.HELD for each in _findings(explained)) else EXIT_FAILURE
    end(code)


def _sample(count: int | None, span: str | None, identifier: str | None) -> Sample | None:
    if count is None:
        for option, value in (("--sample-for", span), ("--identifier", identifier)):
            if value is not None:
                raise click.BadParameter("has no use without --sample", param_hint=option)
        return None
    return Sample(count=count, seconds=_seconds(span), identifier=_identifier(identifier))


def _seconds(span: str | None) -> float:
    if span is None:
        return SECONDS
    try:
        seconds = DurationKind().parse(Scalar(span, (Part(span),)))
    except Mistake as mistake:
        raise click.BadParameter(mistake.sentence, param_hint="--sample-for") from mistake
    if not 0 < seconds <= SECONDS_LIMIT:
        raise click.BadParameter("is nothing, or longer than 1m", param_hint="--sample-for")
    return seconds


def _identifier(where: str | None) -> Identifier:
    try:
        return Identifier() if where is None else Identifier.parse(where)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--identifier") from error


def _choose(
    config: Config, types: InstalledTypes, only: Sequence[str], *, is_sampling: bool
) -> list[CheckConfig]:
    able = [check for check in config.checks if can_explain(check, types)]
    names = [check.name for check in able]
    for name in only:
        if name not in names:
            raise click.BadParameter(unknown("check that explains", name, names), param_hint="--only")
    chosen = [check for check in able if not only or check.name in only]
    if not chosen:
        raise click.UsageError("the configuration has no check that explains, such as a rabbitmq-delivery")
    if is_sampling and not any(can_sample(check, types) for check in chosen):
        raise click.BadParameter("none of the checks looks at messages", param_hint="--sample")
    return chosen


def _findings(explained: Sequence[Explanation]) -> Iterator[Finding]:
    for each in explained:
        yield from each.findings


def _as_text(explained: Sequence[Explanation]) -> Iterator[str]:
    """Yield a paragraph a check, and a last line with how many sentences stand how."""
    width = max(map(len, Standing))
    for each in explained:
        yield f"{each.check.name} ({each.check.type}, {each.check.target})"
        yield from (f"  {found.standing:<{width}}  {found.sentence}" for found in each.findings)
        yield ""
    counted = Counter(found.standing for found in _findings(explained))
    yield ", ".join(f"{counted[standing]} {standing}" for standing in Standing)


def _as_json(explained: Sequence[Explanation]) -> str:
    return json.dumps([_as_dict(each) for each in explained], indent=2)


def _as_dict(explanation: Explanation) -> dict[str, object]:
    check = explanation.check
    return {
        "name": check.name,
        "type": check.type,
        "target": check.target,
        "findings": [_finding_as_dict(each) for each in explanation.findings],
    }


def _finding_as_dict(finding: Finding) -> dict[str, object]:
    is_held = finding.standing is Standing.HELD
    return {
        "rule": finding.rule,
        "standing": finding.standing,
        "reason": None if is_held else finding.reason,
        "sentence": finding.sentence,
    }
