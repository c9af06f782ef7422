"""What a claim is: the record of one deploy in a store that all of its processes share."""

from dataclasses import dataclass
from typing import Protocol

from sidecar.core.deploy import Deploy, Record


class ClaimError(Exception):
    """The store could not be asked, or refused; the message is one sentence without a secret."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Held:
    """A record as the store holds it; `version` is its own word for what it held when it was read."""

    record: Record
    version: str


class Claim(Protocol):
    """A record in a store. Every method may take long: whoever calls has a deadline.

    Raises:
        ClaimError: from every method, where the store is silent or refuses.
    """

    async def identify(self) -> Deploy:
        """Return our deploy, with the identity that the record is kept under."""
        ...

    async def read(self) -> Held | None:
        """Return the record; None if there is none."""
        ...

    async def create(self, record: Record) -> bool:
        """Store a record where there is none; return whether there was none."""
        ...

    async def replace(self, record: Record, held: Held) -> bool:
        """Store a record in the place of the one that was `held`; return whether that was still there."""
        ...

    async def renew(self) -> None:
        """Have the store keep the record for longer."""
        ...
