"""The record of our deploy, changed only by who has read it last."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import uniform
from typing import Final, TypeVar

from sidecar.core.deploy import Deploy, Record
from sidecar.deploys.claims.claim import Claim, ClaimError

ANSWERS_WITHIN: Final = 5.0
"""Seconds that the store gets for one change, from reading the record to having it stored."""
TRIES: Final = 20
"""Changes of others that one of ours is tried again after."""
SPREAD: Final = 0.05
"""Seconds over which those who have met at a change come back to it; as much again for each try."""

Change = Callable[[Record | None], Record]
T = TypeVar("T")

log = logging.getLogger("sidecar.deploys")


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
        return await self._ask(self._claim.identify)

    async def change(self, change: Change) -> Record:
        """Have the store hold what `change` makes of the record; return that.

        `change` may be called more than once, each time with what is there now. What it leaves as it is, is
        not stored again, but kept for longer.

        Raises:
            ClaimError: nobody knows what the store holds.
        """
        return await self._ask(lambda: self._change(change))

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what the store says in its turn and its time; a bug of ours is a store that says nothing."""
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWERS_WITHIN):
                    return await ask()
            except TimeoutError as error:
                raise ClaimError(f"the store did not answer within {ANSWERS_WITHIN:.0f}s") from error
            except ClaimError:
                raise
            except Exception as error:
                log.exception("the deploy's record crashed us")
                raise ClaimError(f"unexpected {type(error).__name__}, a bug in the sidecar") from error

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
