"""`sidecar announce wait`: the last step of a deploy, over when its pods are ready or have given up."""

import asyncio
import os
import sys
from typing import Final

import click

from sidecar.cli._configuration import EXIT_FAILURE, EXIT_TIMEOUT
from sidecar.cli._options import duration, host, of_deploy
from sidecar.core.arrival import Arrival, Course
from sidecar.deploys._pipeline import pipeline_of
from sidecar.deploys._pods import Pods, until_arrived
from sidecar.support.loop import SidecarLoop
from sidecar.support.text import show_duration

MAIN_PORT: Final = 17808
EXIT_CODES: Final = {Course.LIVE: 0, Course.FAILED: EXIT_FAILURE, Course.UNDER_WAY: EXIT_TIMEOUT}


@click.command("wait")
@click.option("--host", "name", type=host, required=True, metavar="NAME", help="The pods' headless Service.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=MAIN_PORT,
    help=f"Where their sidecars listen; {MAIN_PORT} if not given.",
)
@click.option(
    "--revision",
    type=of_deploy("revision"),
    metavar="REV",
    help="What is to be live; the pipeline's if not given.",
)
@click.option(
    "--timeout",
    type=duration,
    default="10m",
    metavar="DURATION",
    help="Wait at most so long; 10m if not given.",
)
@click.option(
    "--at-least",
    type=click.IntRange(min=1),
    default=1,
    metavar="COUNT",
    help="Addresses that have to be there: pods, or twice as many where each has IPv4 and IPv6.",
)
@click.option(
    "--interval",
    type=duration,
    default="2s",
    metavar="DURATION",
    help="From one look to the next; 2s if not given.",
)
def wait(name: str, port: int, revision: str | None, timeout: float, at_least: int, interval: float) -> None:
    """Wait until a deploy is live or has failed.

    It is live when every pod is ready with the revision, and has failed when one that is not says so.

    Says on standard error how far it has got.

    Exits with 0 if the revision is live, 1 if it has failed, 2 if an option is refused, 124 if --timeout ran
    out.
    """
    awaited = revision or pipeline_of(os.environ).revision
    if not awaited:
        raise click.UsageError("no variable of a pipeline says which revision is deployed; give --revision")
    pods = Pods(host=name, port=port, revision=awaited, at_least=at_least)
    with asyncio.Runner(loop_factory=SidecarLoop) as runner:
        arrival = runner.run(until_arrived(pods, interval=interval, timeout=timeout, report=_report))
    click.echo(_ending(arrival, awaited, timeout))
    sys.exit(EXIT_CODES[arrival.course])


def _report(progress: str) -> None:
    click.echo(progress, err=True)


def _ending(arrival: Arrival, revision: str, timeout: float) -> str:
    if arrival.course is Course.LIVE:
        return f"live: {arrival.progress}"
    if arrival.course is Course.FAILED:
        return "\n".join((f"{revision} has failed", *arrival.failures))
    return f"not live after {show_duration(timeout)}: {arrival.progress}"
