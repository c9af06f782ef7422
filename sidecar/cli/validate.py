"""`sidecar validate`: the configuration only, with what it will cost a fleet."""

import click

from sidecar.app.needs import find_type
from sidecar.checks import InstalledTypes
from sidecar.cli._configuration import config_option, exit_on_problems, read_configuration
from sidecar.config.check import CheckConfig
from sidecar.config.model import Config
from sidecar.metrics import SERIES_OF_A_HEALTHY_CHECK

FLEET = 1000


@click.command("validate")
@config_option
@click.argument("file", required=False)
def command(path: str, file: str | None) -> None:
    """Read the configuration, report every problem and every piece of advice, and compute what it costs.

    FILE may be given instead of --config; - reads standard input. Exits with 0, or 2 if there are problems.
    """
    types = InstalledTypes()
    with exit_on_problems():
        config = read_configuration(file or path, types)
    for advice in config.advice:
        click.echo(f"advice: {advice}", err=True)
    count = len(config.checks)
    click.echo(f"{count} check{'' if count == 1 else 's'}, no problems")
    click.echo(f"per {FLEET:,} pods: {_arithmetic(config, types)}")


def _arithmetic(config: Config, types: InstalledTypes) -> str:
    held = sum(_holds_connection(check, types) for check in config.checks)
    opened = sum(60 / check.interval for check in config.checks if _opens_connections(check, types))
    runs = sum(60 / check.interval for check in config.checks)
    series = SERIES_OF_A_HEALTHY_CHECK * len(config.checks)
    return (
        f"{held * FLEET:,} connections held and {opened * FLEET:,.0f} opened a minute, "
        f"{runs * FLEET:,.0f} runs a minute, {series * FLEET:,} metric series of checks"
    )


def _holds_connection(check: CheckConfig, types: InstalledTypes) -> bool:
    return find_type(types, check).holds_connection and check.keeps_connection


def _opens_connections(check: CheckConfig, types: InstalledTypes) -> bool:
    """Whether each run opens one to somewhere outside the pod."""
    opens = find_type(types, check).opens_connection and not _holds_connection(check, types)
    return opens and check.is_remote
