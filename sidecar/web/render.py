"""A verdict as bytes: kube-apiserver's text, or JSON in the shape of draft-inadarei-api-health-check.

Pure. What only the trusted may read is left out here and nowhere else.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from sidecar.core.verdict import Answer, Line, Mark, Verdict

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
ANSWERS: Final = {Mark.OK: Answer.PASS, Mark.NOTED: Answer.WARN, Mark.FAILED: Answer.FAIL}


class Format(StrEnum):
    """What the body is; the value is its media type."""

    TEXT = "text/plain"
    JSON = "application/json"
    HEALTH_JSON = "application/health+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a verdict is wanted. `is_trusted` readers see messages, others only reasons."""

    format: Format = Format.TEXT
    is_verbose: bool = False
    is_trusted: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A response, rendered."""

    code: int
    body: bytes
    format: Format = Format.TEXT


PASSED: Final = b"ok"
"""The whole answer of a probe that passes and was asked for no more."""


def render(
    name: str,
    verdict: Verdict,
    style: Style,
    *,
    warnings: Collection[str] = (),
    about: Mapping[str, str] = NOTHING,
) -> Reply:
    """Return the response of the probe `name`; `warnings` are lines of their own before the last.

    `about` are further keys of the JSON: what is known of ourselves rather than of a check.

    503 where kube-apiserver says 500: a failed readiness is an unavailable service, not an error of ours.
    """
    code = 503 if verdict.answer is Answer.FAIL else 200
    if style.format is not Format.TEXT:
        return Reply(code, _json(name, verdict, style, about), style.format)
    if code == 200 and not style.is_verbose:
        return Reply(code, PASSED)
    shown = [_text_line(line, style) for line in verdict.lines]
    last = f"{name} check {'passed' if code == 200 else 'failed'}"
    return Reply(code, "".join(f"{line}\n" for line in [*shown, *warnings, last]).encode())


def without(verdict: Verdict, excluded: Collection[str]) -> tuple[Verdict, list[str]]:
    """Return the verdict with the excluded checks passing, and a warning if some of them do not exist."""
    lines = tuple(_excluded(line) if line.name in excluded else line for line in verdict.lines)
    missing = sorted(set(excluded) - {line.name for line in verdict.lines})
    warnings = (
        [f"warn: some health checks cannot be excluded: no matches for {_listed(missing)}"] if missing else []
    )
    return replace(verdict, lines=lines), warnings


def _excluded(line: Line) -> Line:
    return Line(name=line.name, mark=Mark.OK, text="excluded: ok")


def _listed(names: list[str]) -> str:
    return ",".join(json.dumps(name[:64]) for name in names)


def _text_line(line: Line, style: Style) -> str:
    story = ": ".join(part for part in (line.text, *_details(line, style)) if part)
    return f"[{line.mark}]{line.name} {story}".rstrip()


def _details(line: Line, style: Style) -> Iterator[str]:
    yield line.reason
    if style.is_trusted:
        yield line.message


def _json(name: str, verdict: Verdict, style: Style, about: Mapping[str, str]) -> bytes:
    body = {
        "status": verdict.answer,
        "description": name,
        **about,
        "checks": {line.name: [_json_line(line, style)] for line in verdict.lines},
    }
    return json.dumps(body, ensure_ascii=False).encode()


def _json_line(line: Line, style: Style) -> dict[str, Any]:
    status = {"status": ANSWERS[line.mark]}
    if line.mark is Mark.OK:
        return status
    output = ": ".join(part for part in (line.text, *_details(line, style)) if part)
    return {**status, "output": output} if output else status
