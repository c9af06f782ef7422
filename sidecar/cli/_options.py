"""What the text of an option means, for click's `type`. What it cannot mean is a `click.BadParameter`."""

import argparse

import click

from sidecar.cli._address import host_of
from sidecar.config.fields import DurationKind
from sidecar.config.interpolate import Part, Scalar
from sidecar.config.problems import Mistake


def duration(written: str) -> float:
    """Return seconds of a duration, as the configuration writes one; not zero."""
    try:
        seconds = DurationKind().parse(Scalar(written, (Part(written),)))
    except Mistake as mistake:
        raise click.BadParameter(mistake.sentence) from mistake
    if not seconds:
        raise click.BadParameter("is nothing; write a longer time")
    return seconds


def filled(written: str) -> str:
    """Return a text that is not empty, as one is where a script's variable is not set."""
    if not written:
        raise click.BadParameter("is empty; write a text, or leave the option out")
    return written


def host(written: str) -> str:
    """Return a name or an address, without the brackets that one has in a URL."""
    try:
        return host_of(written)
    except argparse.ArgumentTypeError as error:
        raise click.BadParameter(str(error)) from error
