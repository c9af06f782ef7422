"""`sidecar announce`: tells the services of a deploy, from the pipeline that makes it."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click

from sidecar.cli._configuration import (
    EXIT_CONFIGURATION,
    EXIT_FAILURE,
    config_option,
    exit_on_problems,
    source_at,
)
from sidecar.cli._options import filled
from sidecar.cli._telling import as_json, as_text
from sidecar.cli._waiting import wait
from sidecar.config.deploy import DeployConfig, ServiceTypes
from sidecar.config.load import load_deploy
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import Deploy, DeployEvent
from sidecar.deploys import InstalledServices
from sidecar.deploys._once import Ending, Rehearsal, Teller, Told
from sidecar.deploys._pipeline import pipeline_of
from sidecar.deploys._receipts import Receipts, ReceiptsError, read_receipts, write_receipts
from sidecar.deploys._send import send
from sidecar.support.logs import set_up_logs
from sidecar.support.loop import SidecarLoop
from sidecar.support.text import Redactor

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """What is asked for beside the event."""

    path: str
    given: Mapping[str, str]
    """Keys of the section `deploy`."""
    receipts: Path | None
    is_rehearsal: bool
    is_json: bool


def _add(event: DeployEvent) -> None:
    """Add the verb that announces an event."""

    @command.command(event.value, short_help=HELP[event], help=HELP[event] + MORE_HELP)
    @config_option
    @click.option("--revision", type=filled, metavar="REV", help="What is deployed.")
    @click.option("--environment", type=filled, metavar="NAME", help="Where to.")
    @click.option("--service", type=filled, metavar="NAME", help="What of.")
    @click.option("--id", type=filled, metavar="ID", help="Of the deploy: another one for each.")
    @click.option("--comment", type=filled, metavar="TEXT", help="A sentence about it.")
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
        options = _Options(
            path=path,
            given={key: value for key, value in given.items() if value is not None},
            receipts=receipts,
            is_rehearsal=dry_run,
            is_json=output == "json",
        )
        sys.exit(_announce(event, options))


for _event in HELP:
    _add(_event)


def _announce(event: DeployEvent, options: _Options) -> int:
    """Tell all services, show what became of it, and return the exit code."""
    types = InstalledServices()
    with exit_on_problems():
        loaded = load_deploy(
            source_at(options.path),
            os.environ,
            services=types,
            given=options.given,
            otherwise=pipeline_of(os.environ).known(),
        )
    redact = Redactor(loaded.secrets)
    set_up_logs(level="error", as_json=False, redact=redact)
    before = _known(options, loaded.deploy)
    announcement = _announcement(event, loaded.deploy, before)
    rehearsals = {each.label: Rehearsal() for each in loaded.deploy.announce if options.is_rehearsal}
    told = _tell(loaded.deploy, types, announcement, before, rehearsals)
    if told or options.is_json:
        click.echo((as_json if options.is_json else as_text)(told, rehearsals, redact))
    else:
        click.echo(f"no service in deploy.announce wants to be told of {event}", err=True)
    is_kept = options.is_rehearsal or _keep(options, _after(before, event, told))
    is_told = all(each.ending is not Ending.GIVEN_UP for each in told)
    return 0 if is_told and is_kept else EXIT_FAILURE


def _known(options: _Options, config: DeployConfig) -> Receipts:
    """Return what was announced of this deploy before, and have the file ready to keep more.

    Ends the process with 2 if it cannot be: what is sent then could not be updated.
    """
    deploy, path = _deploy(config), options.receipts
    new = Receipts(deploy=deploy.key, started_at=time.time())
    if path is None:
        return new
    try:
        found = read_receipts(path)
        known = found if found and found.deploy == deploy.key else new
        if not options.is_rehearsal:
            write_receipts(path, known)
    except ReceiptsError as error:
        click.echo(error, err=True)
        sys.exit(EXIT_CONFIGURATION)
    if found and known is new:
        click.echo(f"{path} is about another deploy, and begins anew with this one", err=True)
    return known


def _keep(options: _Options, receipts: Receipts) -> bool:
    """Keep what services have answered; return whether that worked."""
    try:
        if options.receipts is not None:
            write_receipts(options.receipts, receipts)
    except ReceiptsError as error:
        click.echo(error, err=True)
        return False
    return True


def _after(before: Receipts, event: DeployEvent, told: Sequence[Told]) -> Receipts:
    answered = {each.service.label: each.receipt for each in told if each.receipt}
    return replace(
        before,
        has_failed=before.has_failed or event is DeployEvent.FAILED,
        by_service={**before.by_service, **answered},
    )


def _deploy(config: DeployConfig) -> Deploy:
    return Deploy(
        service=config.service,
        environment=config.environment,
        revision=config.revision,
        id=config.id or config.revision,
    )


def _announcement(event: DeployEvent, config: DeployConfig, before: Receipts) -> Announcement:
    return Announcement(
        event=event,
        deploy=_deploy(config),
        started_at=before.started_at,
        time=time.time(),
        is_recovery=event is DeployEvent.SUCCEEDED and before.has_failed,
        origin=config.origin,
    )


def _tell(
    config: DeployConfig,
    types: ServiceTypes,
    announcement: Announcement,
    before: Receipts,
    rehearsals: Mapping[str, Rehearsal],
) -> list[Told]:
    teller = Teller(
        announcement,
        before.by_service,
        send_for=lambda service: rehearsals[service.label].send if rehearsals else send,
    )
    with asyncio.Runner(loop_factory=SidecarLoop) as runner:
        return runner.run(teller.tell(config.announce, types))
