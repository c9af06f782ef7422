"""The group of all verbs; each verb's own file is imported when it is asked for."""

import importlib
from typing import Final

import click

from sidecar import __version__
from sidecar.support.tls import authorities_put_off

VERBS: Final = {
    "serve": "Serve the probes and run the checks until SIGTERM.",
    "check": "Run every check once, or until all pass, and show the results.",
    "explain": "Say in sentences what is promised, and whether it is held.",
    "validate": "Read the configuration and report every problem.",
    "lint": "Judge the configuration against the pod that carries it.",
    "status": "Show the checks of a running sidecar.",
    "probe": "Ask a running sidecar.",
    "drain": "Begin a drain of a running sidecar, and wait until it is over.",
    "announce": "Tell the team of a deploy from a pipeline, or wait until it is live.",
    "schema": "Print the JSON Schema of the configuration.",
    "types": "List the check types, or show the documentation of one.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        with authorities_put_off():
            command = importlib.import_module(f"sidecar.cli.{cmd_name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"sidecar.cli.{cmd_name} has no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_LazyGroup)
@click.version_option(__version__, prog_name="sidecar", message="%(prog)s %(version)s")
def sidecar() -> None:
    """Prove an app's dependencies before it takes traffic, and answer the kubelet's probes."""
