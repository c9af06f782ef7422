"""The record of our deploy, changed only by who has read it last."""

import asyncio
from collections.abc import Callable
from random import uniform
from typing import Final

from sidecar.core.deploy import Deploy, Record
from sidecar.deploys.claims.claim import Claim, ClaimError

ANSWERS_WITHIN: Final = 5.0
"""Seconds that the store gets for one change, from reading the record to having it stored."""
TRIES: Final = 20
"""Changes of others that one of ours is tried again after."""
SPREAD: Final = 0.05
"""Seconds over which those who have met at a change come back to it; as much again for each try."""

Change = Callable[[Record | None], Record]


class SharedRecord:
    """The record in its store; one question at a time, each with a deadline."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._turn = asyncio.Lock()

    async def identify(self) -> Deploy:
        """Return our deploy.

        Raises:
            ClaimError: the store does not say.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWERS_WITHIN):
                    return await self._claim.identify()
            except TimeoutError as error:
                raise _silent() from error

    async def change(self, change: Change) -> Record:
        """Have the store hold what `change` makes of the record; return that.

        `change` may be called more than once, each time with what is there now. What it leaves as it is, is
        not stored again, but kept for longer.

        Raises:
            ClaimError: nobody knows what the store holds.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWERS_WITHIN):
                    return await self._change(change)
            except TimeoutError as error:
                raise _silent() from error

    async def _change(self, change: Change) -> Record:
        for attempt in range(TRIES):
            held = await self._claim.read()
            changed = change(held.record if held else None)
            if held is None:
                is_stored = await self._claim.create(changed)
            elif changed == held.record:
                await self._claim.renew()
                is_stored = True
            else:
                is_stored = await self._claim.replace(changed, held)
            if is_stored:
                return changed
            await asyncio.sleep(uniform(0, SPREAD * (attempt + 1)))  # noqa: S311 - spreads, hides nothing
        raise ClaimError("the store changed whenever it was to be changed")


def _silent() -> ClaimError:
    return ClaimError(f"the store did not answer within {ANSWERS_WITHIN:.0f}s")
