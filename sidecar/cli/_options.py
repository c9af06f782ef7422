"""Types of options that several verbs have."""

import argparse
from typing import Any

import click

from sidecar.cli._address import host_of
from sidecar.config.fields import DurationKind, TextKind
from sidecar.config.interpolate import Part, Scalar
from sidecar.config.problems import Mistake


class Duration(click.ParamType):
    """Seconds, written as the configuration writes them; between the two, if they are given."""

    name = "duration"

    def __init__(self, *, at_least: float = 0.0) -> None:
        self._kind = DurationKind(at_least=at_least)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        try:
            return self._kind.parse(_scalar(value))
        except Mistake as mistake:
            self.fail(mistake.sentence, param, ctx)


class Filled(click.ParamType):
    """A text that is not empty, as one is where a script's variable is not set."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        try:
            return TextKind().parse(_scalar(value))
        except Mistake:
            self.fail("is empty; write a text, or leave the option out", param, ctx)


class Host(click.ParamType):
    """A name or an address."""

    name = "host"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the host, without the brackets that an IPv6 address has in a URL."""
        try:
            return host_of(value)
        except argparse.ArgumentTypeError as error:
            self.fail(str(error), param, ctx)


def _scalar(text: str) -> Scalar:
    return Scalar(text, (Part(text),))
