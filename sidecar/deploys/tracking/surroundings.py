"""What the loops of a deploy are given beside one another."""

from collections.abc import Callable
from dataclasses import dataclass
from random import uniform

from sidecar.runtime.board import Board
from sidecar.runtime.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The board that is read and that counts, the time, and chance: `draw` returns a number between two."""

    board: Board
    clock: Clock
    draw: Callable[[float, float], float] = uniform
