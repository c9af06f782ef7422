"""What a check may have beside `run`, so that `sidecar explain` can say how each of its rules stands."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from sidecar.core.check import Check
from sidecar.core.finding import Finding
from sidecar.core.sample import Sample


@runtime_checkable
class Explains(Check, Protocol):
    """A check that tells how each of its rules stands, those that hold too."""

    async def findings(self) -> Sequence[Finding]:
        """Ask once, and return how each rule stands.

        Raises:
            CheckFailed: nothing can be told, for the dependency did not answer; any other exception is a bug.
        """
        ...


@runtime_checkable
class Samples(Explains, Protocol):
    """A check that can also look at copies of real messages."""

    async def sample(self, wanted: Sample) -> Sequence[Finding]:
        """Look at copies of messages, at most so many and so long, and return what they show.

        Leaves nothing behind, also when cancelled, and takes no message from anybody. Whatever was in a
        message stays out of what is returned.

        Raises:
            CheckFailed: no message can be looked at, for the dependency did not answer.
        """
        ...
