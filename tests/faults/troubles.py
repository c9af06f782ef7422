"""Troubles of a server's own: what begins and ends each, and what a check says of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import pytest
from _pytest.mark import ParameterSet

from tests.checks.contract import Keys
from tests.faults.drill import UP, Drill, Expected, drill

S = TypeVar("S")
Strike = Callable[[S], AbstractAsyncContextManager[object]]
"""Takes the server; the trouble lasts as long as the block."""


@dataclass(frozen=True, kw_only=True)
class Trouble(Generic[S]):
    """One trouble of a server, and how a check meets it."""

    strike: Strike[S]
    expected: Expected
    told: str
    """What the check's messages say meanwhile."""
    keys: Keys = field(default_factory=dict)
    """What the check is asked for beside the usual."""

    async def meet(self, server: S, it: Drill) -> None:
        """Assert that a check that is up survives the trouble, and says what it is."""
        await it.survives(self.strike(server), self.expected)
        self._assert_told(it)

    async def greet(self, server: S, keys: Keys, *, deadline: str = "500ms") -> None:
        """Assert that a check that begins amid the trouble says what it is, and comes up after it."""
        async with AsyncExitStack() as amid:
            await amid.enter_async_context(self.strike(server))
            async with drill(keys, deadline=deadline) as it:
                await it.until(self.expected)
                await amid.aclose()
                await it.until(UP)
                self._assert_told(it)

    def _assert_told(self, it: Drill) -> None:
        """Assert that the check said what was wrong, and no longer does."""
        messages = [each.message for each in it.results]
        assert any(self.told in message for message in messages), messages
        assert self.told not in messages[-1]


def cells_of(row: str, troubles: Mapping[str, object], *marks: pytest.MarkDecorator) -> list[ParameterSet]:
    """Return each trouble as a cell of its row; they are by their columns."""
    return [
        pytest.param(trouble, marks=[pytest.mark.cell(row, column), *marks], id=f"{row} {column}")
        for column, trouble in troubles.items()
    ]
