"""The two clocks."""

from dataclasses import FrozenInstanceError

import pytest

from sidecar.runtime.clock import Clock


def test_the_clocks_are_the_machines_by_default() -> None:
    clock = Clock()

    assert (clock.monotonic() <= clock.monotonic(), clock.wall() > 1_700_000_000) == (True, True)


def test_a_clock_cannot_be_changed_under_those_who_read_it() -> None:
    with pytest.raises(FrozenInstanceError):
        Clock().wall = float  # type: ignore[misc]
