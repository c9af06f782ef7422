"""Log lines: JSON for machines, text for a terminal, and no secret in either."""

import logging
import sys
from collections.abc import Callable
from typing import Final, TextIO

from pythonjsonlogger.json import JsonFormatter

NOISY: Final = ("aiormq", "aio_pika", "botocore", "aiobotocore", "aioboto3", "asyncio", "aiohttp")
"""Loggers of drivers that tell every failure again, with tracebacks: the check's own result says it once."""

_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up_logs(
    *, level: str, as_json: bool, redact: Callable[[str], str], stream: TextIO | None = None
) -> None:
    """Log to `stream`, standard error if not given, from `level` up; call again to change it."""
    formatter = (
        _json_formatter()
        if as_json
        else _TextFormatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Redacting(formatter, redact))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _Redacting(logging.Formatter):
    """Blots secrets out of the finished line, whatever field or traceback they came in."""

    def __init__(self, inner: logging.Formatter, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._inner = inner
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(self._inner.format(record))


class _TextFormatter(logging.Formatter):
    """The message, then the fields as key=value."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        fields = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        shown = "".join(f" {name}={_quoted(str(value))}" for name, value in fields.items())
        return super().formatMessage(record) + shown


def _quoted(value: str) -> str:
    return repr(value) if " " in value or not value else value


def _json_formatter() -> logging.Formatter:
    return JsonFormatter(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )
