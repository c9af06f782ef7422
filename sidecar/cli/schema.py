"""`sidecar schema`: the JSON Schema of the configuration."""

import json

import click

from sidecar.checks import InstalledTypes
from sidecar.config.schema import describe_configuration
from sidecar.deploys import InstalledServices


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of the configuration, for editors; installed plug-ins included."""
    click.echo(json.dumps(describe_configuration(InstalledTypes(), InstalledServices()), indent=2))
