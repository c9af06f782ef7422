"""The values that everybody in the room shares."""

from dataclasses import fields

import pytest

from sidecar.runtime.clock import Clock
from sidecar.runtime.scheduler import Surroundings


@pytest.mark.parametrize("value", [Clock, Surroundings])
def test_what_many_share_none_can_change(value: type) -> None:
    is_frozen = value.__dataclass_params__.frozen  # type: ignore[attr-defined]

    assert (is_frozen, hasattr(value, "__slots__")) == (True, True)


def test_surroundings_are_named_where_they_are_made() -> None:
    assert {each.kw_only for each in fields(Surroundings)} == {True}


def test_the_clocks_are_the_machines_by_default() -> None:
    clock = Clock()

    assert (clock.monotonic() <= clock.monotonic(), clock.wall() > 1_700_000_000) == (True, True)
