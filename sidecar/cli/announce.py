"""`sidecar announce`: tells the services of a deploy, from the pipeline that makes it."""

import sys
from pathlib import Path
from typing import Final

import click

from sidecar.cli._announcing import Wanted, announce
from sidecar.cli._configuration import config_option
from sidecar.cli._options import of_deploy
from sidecar.cli._waiting import wait
from sidecar.core.deploy import DeployEvent

HELP: Final = {
    DeployEvent.STARTED: "Say that a deploy has begun.",
    DeployEvent.SUCCEEDED: "Say that a deploy is live.",
    DeployEvent.FAILED: "Say that a deploy has failed.",
}
"""What a pipeline can say; that a deploy has timed out it sees as a failure of its own."""
MORE_HELP: Final = """

Each service of deploy.announce that wants to hear of it is told. Options go before the section deploy of the
configuration, and that before the variables of CircleCI, GitHub Actions or GitLab CI.

Exits with 0 if all were told, 1 if one was not, 2 if the configuration or an option is refused.
"""


@click.group("announce")
def command() -> None:
    """Tell the team of a deploy from the pipeline that makes it, or wait until it is live."""


command.add_command(wait)


def _add(event: DeployEvent) -> None:
    """Add the verb that announces an event."""

    @command.command(event.value, short_help=HELP[event], help=HELP[event] + MORE_HELP)
    @config_option
    @click.option("--revision", type=of_deploy("revision"), metavar="REV", help="What is deployed.")
    @click.option("--environment", type=of_deploy("environment"), metavar="NAME", help="Where to.")
    @click.option("--service", type=of_deploy("service"), metavar="NAME", help="What of.")
    @click.option("--id", type=of_deploy("id"), metavar="ID", help="Of the deploy: another one for each.")
    @click.option("--comment", type=of_deploy("comment"), metavar="TEXT", help="A sentence about it.")
    @click.option(
        "--receipts",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Keep there what services answer, so that the next step updates it.",
    )
    @click.option("--dry-run", is_flag=True, help="Show the requests, secrets masked, and send nothing.")
    @click.option(
        "--output", type=click.Choice(["text", "json"]), default="text", help="How to show what became of it."
    )
    def verb(path: str, receipts: Path | None, output: str, *, dry_run: bool, **given: str | None) -> None:
        wanted = Wanted(
            event=event,
            path=path,
            given={key: value for key, value in given.items() if value is not None},
            receipts=receipts,
            is_rehearsal=dry_run,
            is_json=output == "json",
        )
        sys.exit(announce(wanted))


for _event in HELP:
    _add(_event)
