"""What a check is to the rest of the house: a thing that can be run, closed, and may notice a loss."""

from enum import StrEnum
from typing import Protocol


class Reason(StrEnum):
    """Why a run failed: a closed set, so that it may be a metric's label and a line of an open port."""

    REFUSED = "refused"
    TIMEOUT = "timeout"
    DNS = "dns"
    TLS = "tls"
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    PROTOCOL = "protocol"
    CONTRACT = "contract"
    UNAVAILABLE = "unavailable"
    UNEXPECTED = "unexpected"


class CheckFailed(Exception):
    """An expected failure of a run.

    The message is one lower-case sentence for a person: what was tried, on what, what happened.

    Raises:
        ValueError: the reason is none of the closed set, as a check of a third party may get wrong.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = Reason(reason)
        self.message = str(message)


class Check(Protocol):
    """One configured question about one dependency. Times, retries, logs and counts nothing itself."""

    async def run(self) -> str | None:
        """Ask once. Return None, or a sentence that is a warning.

        Raises:
            CheckFailed: the dependency did not prove itself; any other exception is a bug of the check.
        """
        ...

    async def aclose(self) -> None:
        """Give back every resource. Safe at any time, twice, and after a cancelled run."""
        ...


class HoldsConnection(Check, Protocol):
    """A check that keeps one connection between its runs."""

    connections_opened: int
    """Connections opened since the check was built."""

    async def lost(self) -> None:
        """Return when the held connection is gone; wait for ever while none is held.

        Cancelled before each run; must leave the connection usable then.
        """
        ...
