"""What the answer to an HTTP request has to be, and the words for one that is not. Pure: asks nobody."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from sidecar.config.check import option
from sidecar.config.fields import Regex, Text
from sidecar.config.interpolate import Scalar
from sidecar.config.kinds.kind import Schema, shown
from sidecar.config.problems import Mistake, quoted
from sidecar.config.shape import OneOrMany
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.text import hide_userinfo


class StatusKind:
    """A status or a range of them: `200`, `200-299`."""

    def parse(self, scalar: Scalar) -> range:
        """Return the statuses."""
        match = re.fullmatch(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", scalar.text)
        if match is None or (match[2] and match[2] < match[1]):
            raise Mistake(
                f"{shown(scalar)} is no status; write one from 100 to 599, or a range such as 200-299"
            )
        return range(int(match[1]), int(match[2] or match[1]) + 1)

    def secrets(self, scalar: Scalar) -> Iterable[str]:  # noqa: ARG002 - a kind's signature
        """Yield nothing."""
        return ()

    def show(self, value: range) -> str:
        """Return the status, or the range of them."""
        return f"{value[0]}-{value[-1]}" if len(value) > 1 else f"{value[0]}"

    def describe(self) -> Schema:
        """Return the JSON Schema of the text."""
        return {"type": ["integer", "string"], "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"}


@dataclass(frozen=True, kw_only=True, repr=False)
class ExpectConfig:
    """The answer that proves the dependency."""

    status: Annotated[tuple[Annotated[range, StatusKind()], ...], OneOrMany()] = option(
        "Expected status, such as 200 or 200-299, or a list of them.", default=(range(200, 300),)
    )
    header: dict[str, Text] | None = option("Headers, each with a text that it contains.", default=None)
    body: Text | None = option("Text that the body contains.", default=None)
    matches: Regex | None = option("Regular expression that is found in the body.", default=None)

    @property
    def concerns_body(self) -> bool:
        """Whether the body has to be read."""
        return self.body is not None or self.matches is not None


def judge_status(status: int, headers: Any, expect: ExpectConfig, target: str) -> None:
    """Return if the status is an expected one.

    Raises:
        CheckFailed: with the reason that the status stands for.
    """
    if any(status in statuses for statuses in expect.status):
        return
    location = headers.get("Location")
    if 300 <= status <= 399 and location:
        place = hide_userinfo(re.split("[?#]", location)[0])
        raise CheckFailed(Reason.CONTRACT, f"{target} redirects to {place} with status {status}")
    wanted = ", ".join(f"{each[0]}-{each[-1]}" if len(each) > 1 else f"{each[0]}" for each in expect.status)
    raise CheckFailed(reason_of(status), f"{target} answered {status} instead of {wanted}")


def judge_headers(headers: Any, expect: ExpectConfig, target: str) -> None:
    """Return if every expected header contains its text.

    Raises:
        CheckFailed: with reason contract.
    """
    for name, text in (expect.header or {}).items():
        if text not in ", ".join(headers.getall(name, ())):
            raise CheckFailed(
                Reason.CONTRACT, f"{target} answered without {quoted(text)} in the header {name}"
            )


def judge_body(body: str, expect: ExpectConfig, target: str) -> None:
    """Return if the body is as expected.

    Raises:
        CheckFailed: with reason contract.
    """
    if expect.body is not None and expect.body not in body:
        raise CheckFailed(Reason.CONTRACT, f"{target} answered without {quoted(expect.body)} in its body")
    if expect.matches is not None and not expect.matches.search(body):
        pattern = quoted(expect.matches.pattern)
        raise CheckFailed(Reason.CONTRACT, f"{target} answered with a body that {pattern} does not match")


def reason_of(status: int) -> Reason:
    """Return what an unexpected status stands for (RFC 9110, section 15)."""
    match status:
        case 401 | 407:
            return Reason.AUTH
        case 403:
            return Reason.FORBIDDEN
        case 404 | 410:
            return Reason.NOT_FOUND
        case 408 | 425 | 429:
            return Reason.UNAVAILABLE
        case _:
            return Reason.UNAVAILABLE if status >= 500 else Reason.CONTRACT
