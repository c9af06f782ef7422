"""One announcement of a pipeline, from the configuration to the exit code."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from sidecar.cli._configuration import EXIT_CONFIGURATION, EXIT_FAILURE, exit_on_problems, source_at
from sidecar.cli._telling import as_json, as_text
from sidecar.config.deploy import DeployConfig
from sidecar.config.load_deploy import LoadedDeploy, load_deploy
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import DeployEvent
from sidecar.deploys import InstalledServices
from sidecar.deploys._once import Ending, Rehearsal, Teller, Told
from sidecar.deploys._pipeline import pipeline_of
from sidecar.deploys._receipts import Receipts, ReceiptsError, read_receipts, write_receipts
from sidecar.deploys._send import send
from sidecar.support.logs import set_up_logs
from sidecar.support.loop import SidecarLoop
from sidecar.support.text import Redactor


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be announced, and how."""

    event: DeployEvent
    path: str
    """Of the configuration."""
    given: Mapping[str, str]
    """Keys of the section `deploy` that go before the configuration's."""
    receipts: Path | None
    is_rehearsal: bool
    is_json: bool


def announce(wanted: Wanted) -> int:
    """Tell all services, show what became of it, and return the exit code.

    Ends the process with 2 if the configuration or the file of receipts is refused.
    """
    loaded = _load(wanted)
    redact = Redactor(loaded.secrets)
    set_up_logs(level="error", as_json=False, redact=redact)
    now = time.time()
    before = _before(wanted, Receipts(deploy=loaded.deploy.identity.key, started_at=now))
    announcement = _announcement(wanted.event, loaded.deploy, before, now)
    rehearsals = {each.label: Rehearsal() for each in loaded.deploy.announce if wanted.is_rehearsal}
    told = _tell(loaded.deploy, announcement, before, rehearsals, redact)
    if told or wanted.is_json:
        click.echo((as_json if wanted.is_json else as_text)(told, rehearsals, redact))
    else:
        click.echo(f"no service in deploy.announce wants to be told of {wanted.event}", err=True)
    is_kept = _keep(wanted, _after(before, wanted.event, told))
    is_told = all(each.ending is not Ending.GIVEN_UP for each in told)
    return 0 if is_told and is_kept else EXIT_FAILURE


def _load(wanted: Wanted) -> LoadedDeploy:
    with exit_on_problems():
        return load_deploy(
            source_at(wanted.path),
            os.environ,
            services=InstalledServices(),
            given=wanted.given,
            otherwise=pipeline_of(os.environ).known(),
        )


def _announcement(event: DeployEvent, config: DeployConfig, before: Receipts, now: float) -> Announcement:
    return Announcement(
        event=event,
        deploy=config.identity,
        started_at=before.started_at,
        time=now,
        is_recovery=event is DeployEvent.SUCCEEDED and before.has_failed,
        origin=config.origin,
    )


def _tell(
    config: DeployConfig,
    announcement: Announcement,
    before: Receipts,
    rehearsals: Mapping[str, Rehearsal],
    redact: Redactor,
) -> list[Told]:
    teller = Teller(
        announcement,
        before.by_service,
        send_for=lambda service: rehearsals[service.label].send if rehearsals else send,
        redact=redact,
    )
    with asyncio.Runner(loop_factory=SidecarLoop) as runner:
        return runner.run(teller.tell(config.announce, InstalledServices()))


def _before(wanted: Wanted, new: Receipts) -> Receipts:
    """Return what was announced of the deploy before, or `new`, and make sure that more can be kept.

    Ends the process with 2 if it cannot: what is sent then could never be updated.
    """
    if wanted.receipts is None:
        return new
    try:
        found = read_receipts(wanted.receipts)
        known = found if found and found.deploy == new.deploy else new
        if not wanted.is_rehearsal:
            write_receipts(wanted.receipts, known)
    except ReceiptsError as error:
        click.echo(error, err=True)
        sys.exit(EXIT_CONFIGURATION)
    if found and known is new:
        click.echo(f"{wanted.receipts} is about another deploy, and begins anew with this one", err=True)
    return known


def _after(before: Receipts, event: DeployEvent, told: Sequence[Told]) -> Receipts:
    answered = {each.service.label: each.receipt for each in told if each.receipt}
    return replace(
        before,
        has_failed=before.has_failed or event is DeployEvent.FAILED,
        by_service={**before.by_service, **answered},
    )


def _keep(wanted: Wanted, receipts: Receipts) -> bool:
    """Keep what services have answered, if that is wanted; return whether nothing went wrong."""
    try:
        if wanted.receipts is not None and not wanted.is_rehearsal:
            write_receipts(wanted.receipts, receipts)
    except ReceiptsError as error:
        click.echo(error, err=True)
        return False
    return True
