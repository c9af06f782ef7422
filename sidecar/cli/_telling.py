"""How `sidecar announce` shows what became of an announcement, and what it would have sent."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sidecar.config.kinds.secret import Secret
from sidecar.deploys._once import Ending, Rehearsal, Told
from sidecar.deploys._service import Request
from sidecar.support.text import STARS

Rehearsals = Mapping[str, Rehearsal]
"""What would have been sent, by the label of the service; empty where it was sent."""
Redact = Callable[[str], str]


def as_text(told: Sequence[Told], rehearsals: Rehearsals, redact: Redact) -> str:
    """Return a line a service, and below it the requests that were not sent."""
    return "\n".join(line for each in told for line in _lines(each, rehearsals, redact))


def as_json(told: Sequence[Told], rehearsals: Rehearsals, redact: Redact) -> str:
    """Return the same as a list with an object a service."""
    return redact(json.dumps([_as_dict(each, rehearsals) for each in told], indent=2))


def _lines(told: Told, rehearsals: Rehearsals, redact: Redact) -> Iterator[str]:
    yield ": ".join(filter(None, (told.service.label, _outcome(told, rehearsals), told.sentence)))
    for request in _requests(told, rehearsals):
        shown = "\n".join(_request_lines(request))
        yield from (f"  {line}".rstrip() for line in ["", *redact(shown).split("\n")])


def _request_lines(request: Request) -> Iterator[str]:
    """Yield a request as it would go out, but for its secrets; a body in JSON is set out to be read."""
    yield f"{request.method} {request.url}"
    yield from (f"{name}: {value}" for name, value in _headers(request).items())
    if request.body is not None:
        yield ""
        yield json.dumps(_body(request.body), ensure_ascii=False, indent=2)


def _as_dict(told: Told, rehearsals: Rehearsals) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": told.service.label,
        "type": told.service.type,
        "outcome": _outcome(told, rehearsals),
        "message": told.sentence,
    }
    if not rehearsals:
        return shown
    return {**shown, "requests": [_request_as_dict(each) for each in _requests(told, rehearsals)]}


def _request_as_dict(request: Request) -> dict[str, Any]:
    body = None if request.body is None else _body(request.body)
    return {"method": request.method, "url": request.url, "headers": _headers(request), "body": body}


def _outcome(told: Told, rehearsals: Rehearsals) -> str:
    return "not sent" if rehearsals and told.ending is Ending.DELIVERED else told.ending.value


def _requests(told: Told, rehearsals: Rehearsals) -> Sequence[Request]:
    return rehearsals[told.service.label].requests if rehearsals else ()


def _headers(request: Request) -> dict[str, str]:
    return {name: STARS if isinstance(value, Secret) else value for name, value in request.headers.items()}


def _body(body: bytes) -> Any:
    """Return a body as the JSON that it is, else as text."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
