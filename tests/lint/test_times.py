"""The sums of DESIGN: from death to out of the endpoints and back, a sick sidecar's replacement, a drain."""

from dataclasses import replace
from typing import Any

import pytest

from sidecar.config.check import CheckConfig
from sidecar.config.problems import Place
from sidecar.lint.pod import Handler, Means, Probe, Role
from sidecar.lint.times import Outage, Range

HERE = Place("pod.yaml")
SHIPPED = Probe(
    role=Role.READINESS,
    place=HERE,
    handler=Handler(place=HERE, means=Means.HTTP),
    period=3,
    timeout=2,
    failure_threshold=2,
)


def outage(*, is_held: bool = True, probe: Probe = SHIPPED, **keys: Any) -> tuple[str, str, str]:
    """Return what is told of an outage of a check with the defaults but for `keys`."""
    computed = Outage.of(CheckConfig(name="db", type="any", **keys), probe, is_held=is_held)
    return str(computed.killed), str(computed.silent), str(computed.back)


def test_the_defaults_have_the_times_that_are_promised() -> None:
    killed, silent, back = outage()

    assert (killed, silent) == ("6 to 13s", "12 to 29s")
    assert back.endswith("to 12s")


def test_the_times_are_sums_of_what_the_runner_the_scheduler_and_the_kubelet_do() -> None:
    computed = Outage.of(CheckConfig(name="db", type="any"), SHIPPED, is_held=True)
    bounds = (computed.killed, computed.silent, computed.back)

    # Loss 0 to 1, or the next run 0 to 11, or the next retry 0 to 6; three timeouts of 2 and a tenth to
    # cancel; two retries of 1 to 1.2; two probes 3 apart, or one; 1.5 to 3 to the proxies.
    assert [each.least for each in bounds] == pytest.approx(
        [0 + 2 + 3 + 1.5, 0 + 6 + 2 + 3 + 1.5, 0 + 0 + 1.5]
    )
    assert [each.most for each in bounds] == pytest.approx(
        [1 + 2.4 + 6 + 3, 11 + 6.3 + 2.4 + 6 + 3, 6 + 3 + 3]
    )


def test_a_check_that_holds_no_connection_notices_a_death_with_its_next_run() -> None:
    assert outage(is_held=False) == ("6 to 23s", "12 to 29s", "1 to 12s")


@pytest.mark.parametrize(
    ("keys", "times"),
    [
        ({"interval": 30.0}, ("6 to 13s", "12 to 51s", "1 to 12s")),
        ({"interval": 2.0}, ("6 to 13s", "12 to 20s", "1 to 9s")),
        ({"interval": 0.5}, ("5 to 12s", "11 to 18s", "1 to 7s")),
        ({"timeout": 5.0}, ("6 to 13s", "21 to 38s", "1 to 12s")),
        ({"failure_threshold": 1}, ("4 to 10s", "6 to 23s", "1 to 12s")),
        ({"success_threshold": 3}, ("6 to 13s", "12 to 29s", "3 to 15s")),
    ],
)
def test_the_times_follow_the_checks_keys(keys: dict[str, Any], times: tuple[str, str, str]) -> None:
    assert outage(**keys) == times


@pytest.mark.parametrize(
    ("probe", "times"),
    [
        (replace(SHIPPED, period=10), ("13 to 27s", "19 to 43s", "1 to 19s")),
        (replace(SHIPPED, failure_threshold=1), ("3 to 10s", "9 to 26s", "1 to 12s")),
        (replace(SHIPPED, success_threshold=2), ("6 to 13s", "12 to 29s", "4 to 15s")),
    ],
)
def test_the_times_follow_the_probes_numbers(probe: Probe, times: tuple[str, str, str]) -> None:
    assert outage(probe=probe) == times


def test_a_range_is_told_in_whole_seconds_that_hold_it() -> None:
    assert str(Range(1.999, 2.001)) == "1 to 3s"
    assert str(Range(2.0, 3.0)) == "2 to 3s"


def test_what_binary_fractions_leave_behind_is_no_second() -> None:
    assert str(Range(0.7 + 0.1 + 0.2, 0.1 + 0.2 + 0.7)) == "1s"
