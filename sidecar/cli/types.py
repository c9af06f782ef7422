"""`sidecar types`: the check types and their documentation. No driver is needed."""

import click

from sidecar.checks import InstalledTypes
from sidecar.config.problems import unknown
from sidecar.config.reference import document_type


@click.command("types")
@click.argument("name", metavar="[TYPE]", required=False)
def command(name: str | None) -> None:
    """List the check types, or show the documentation of one."""
    types = InstalledTypes()
    click.echo(_one(types, name) if name else _all(types))


def _one(types: InstalledTypes, name: str) -> str:
    found = types.find(name)
    if found is None:
        raise click.BadParameter(unknown("check type", name, types.names()), param_hint="TYPE")
    return document_type(name, found)


def _all(types: InstalledTypes) -> str:
    names = types.names()
    width = max(map(len, names))
    return "\n".join(f"{name:{width}}  {_summary(types, name)}" for name in names)


def _summary(types: InstalledTypes, name: str) -> str:
    found = types.find(name)
    return " ".join(found.documentation.partition("\n\n")[0].split()) if found else ""
