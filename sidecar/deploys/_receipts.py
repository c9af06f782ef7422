"""The file that a pipeline keeps between two steps: what services answered, so that it can be updated.

It is written in one step, for its owner alone. It has no secret, but the identifiers of messages.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Final

from sidecar.core.deploy import Receipt
from sidecar.deploys._kept import read_moment, read_receipt

FORMAT: Final = 1
SIZE_LIMIT: Final = 1024**2
"""Bytes; a receipt has a hundred."""


class ReceiptsError(Exception):
    """A file of receipts cannot be used; the message says which, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipts:
    """What was announced of one deploy before."""

    deploy: str
    """The key of the deploy."""
    started_at: float
    """Seconds since the epoch at which the first announcement was made."""
    has_failed: bool = False
    """Whether a failure was announced."""
    by_service: Mapping[str, Receipt] = field(default_factory=dict)


def read_receipts(path: Path) -> Receipts | None:
    """Return what the file holds; None if it is empty or not there. Blocks.

    Raises:
        ReceiptsError: it cannot be read, or is none of ours.
    """
    try:
        text = _read(path)
        return _parsed(json.loads(text)) if text else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReceiptsError(f"{path} cannot be read: {_told(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ReceiptsError(
            f"{path} is no file of receipts: give another name, or remove the file"
        ) from error


def write_receipts(path: Path, receipts: Receipts) -> None:
    """Have the file hold these receipts and nothing else; blocks.

    Raises:
        ReceiptsError: it cannot be written, and is as it was before.
    """
    body = {
        "format": FORMAT,
        "deploy": receipts.deploy,
        "started_at": receipts.started_at,
        "has_failed": receipts.has_failed,
        "receipts": {service: dict(receipt) for service, receipt in receipts.by_service.items()},
    }
    try:
        _replace(path, f"{json.dumps(body, indent=2)}\n")
    except OSError as error:
        raise ReceiptsError(f"{path} cannot be written: {_told(error)}") from error


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would wait for its writer, a device never end
        raise ReceiptsError(f"{path} is not a regular file; give the name of one")
    with path.open("rb") as file:
        return file.read(SIZE_LIMIT)


def _replace(path: Path, text: str) -> None:
    """Put a new file, which only its owner may read, in the place of the old one."""
    descriptor, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _parsed(body: Mapping[str, Any]) -> Receipts:
    if body["format"] != FORMAT:
        raise ValueError("of another format")
    return Receipts(
        deploy=str(body["deploy"]),
        started_at=read_moment(body["started_at"]),
        has_failed=body["has_failed"] is True,
        by_service={str(service): read_receipt(each) for service, each in body["receipts"].items()},
    )


def _told(error: OSError) -> str:
    return (error.strerror or "input/output error").lower()
