"""What the text of an option means, for click's `type`. What it cannot mean is a `click.BadParameter`."""

import argparse
from collections.abc import Callable
from typing import TypeVar

import click

from sidecar.cli._address import host_of
from sidecar.config.deploy import DeployConfig
from sidecar.config.interpolate import Part, Scalar
from sidecar.config.kinds.kind import Kind
from sidecar.config.kinds.number import DurationKind
from sidecar.config.problems import Mistake
from sidecar.config.shape import keys_of, unwrap

V = TypeVar("V")


def duration(written: str) -> float:
    """Return seconds of a duration, as the configuration writes one; not zero."""
    seconds = _parsed(DurationKind(), written)
    if not seconds:
        raise click.BadParameter("is nothing; write a longer time")
    return seconds


def of_deploy(key: str) -> Callable[[str], str]:
    """Return what reads an option that stands for a key of the section `deploy`, by the rule of that key."""
    kind: Kind[str] = unwrap(keys_of(DeployConfig)[key].hint)[1]

    def read(written: str) -> str:
        if not written.strip():  # a script's variable is not set
            raise click.BadParameter("is empty; write a text, or leave the option out")
        return _parsed(kind, written)

    return read


def host(written: str) -> str:
    """Return a name or an address, without the brackets that one has in a URL."""
    try:
        return host_of(written)
    except argparse.ArgumentTypeError as error:
        raise click.BadParameter(str(error)) from error


def _parsed(kind: Kind[V], written: str) -> V:
    """Return what a text means as the configuration has it."""
    try:
        return kind.parse(Scalar(written, (Part(written),)))
    except Mistake as mistake:
        raise click.BadParameter(mistake.sentence) from mistake
