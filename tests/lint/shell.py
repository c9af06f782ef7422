"""`sidecar lint` as a person runs it."""

from click.testing import CliRunner, Result

from sidecar.cli.verbs import sidecar


def lint(*arguments: str, stdin: str | None = None) -> Result:
    """Run the verb."""
    return CliRunner().invoke(sidecar, ["lint", *arguments], input=stdin)
