"""What is kept of a deploy between two processes, read again: who keeps it may have been somebody else."""

from collections.abc import Mapping
from typing import Any, Final

from sidecar.core.deploy import Receipt

YEAR_10000: Final = 253_402_300_800.0
"""Seconds since the epoch from which on no calendar of ours has a date."""


def read_moment(value: Any) -> float:
    """Return seconds since the epoch.

    Raises:
        ValueError, TypeError, OverflowError: they are none.
    """
    seconds = float(value)
    if not 0 <= seconds < YEAR_10000:
        raise ValueError("no time")
    return seconds


def read_receipt(body: Mapping[str, Any]) -> Receipt:
    """Return a receipt.

    Raises:
        AttributeError, ValueError: it is none.
    """
    return {str(name): str(value) for name, value in body.items()}
