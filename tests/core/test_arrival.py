"""What a round of answers means."""

import pytest

from sidecar.core.arrival import Arrival, Course, Heard, judge
from sidecar.core.deploy import DeployEvent

NEW = "abc123"
WAITING = Heard(address="10.0.0.7", revision=NEW, failures=("db failed: auth",))


def ready(address: str, phase: DeployEvent | None = None) -> Heard:
    return Heard(address=address, revision=NEW, is_ready=True, phase=phase)


def lost(address: str, phase: DeployEvent, *failures: str) -> Heard:
    return Heard(address=address, revision=NEW, phase=phase, failures=failures)


@pytest.mark.parametrize(
    ("heard", "at_least", "course", "progress"),
    [
        ([ready("10.0.0.6")], 1, Course.LIVE, "1 of 1 ready with abc123"),
        ([ready("10.0.0.6"), ready("fd00::7")], 1, Course.LIVE, "2 of 2 ready with abc123"),
        ([ready("10.0.0.6", DeployEvent.STARTED)], 1, Course.LIVE, "1 of 1 ready with abc123"),
        ([ready("10.0.0.6", DeployEvent.TIMED_OUT)], 1, Course.LIVE, "1 of 1 ready with abc123"),
        (
            [ready("10.0.0.6")],
            2,
            Course.UNDER_WAY,
            "1 of 2 ready with abc123: 1 more is awaited",
        ),
        ([], 1, Course.UNDER_WAY, "0 of 1 ready with abc123: 1 more is awaited"),
        ([], 3, Course.UNDER_WAY, "0 of 3 ready with abc123: 3 more are awaited"),
        (
            [ready("10.0.0.6"), WAITING, Heard(address="10.0.0.9", revision="def456", is_ready=True)],
            1,
            Course.UNDER_WAY,
            "1 of 3 ready with abc123: 10.0.0.7 is not ready: db failed: auth; 10.0.0.9 still runs def456",
        ),
        (
            [ready("10.0.0.6"), Heard(address="10.0.0.9", revision="def456", phase=DeployEvent.FAILED)],
            1,
            Course.UNDER_WAY,
            "1 of 2 ready with abc123: 10.0.0.9 still runs def456",
        ),
        (
            [ready("10.0.0.6"), Heard(address="10.0.0.9", is_sidecar=False)],
            1,
            Course.UNDER_WAY,
            "1 of 2 ready with abc123: 10.0.0.9 is not answering",
        ),
        (
            [Heard(address="10.0.0.9", is_ready=True)],
            1,
            Course.UNDER_WAY,
            "0 of 1 ready with abc123: 10.0.0.9 does not say its revision",
        ),
        (
            [lost("10.0.0.7", DeployEvent.SUCCEEDED)],
            1,
            Course.UNDER_WAY,
            "0 of 1 ready with abc123: 10.0.0.7 is not ready",
        ),
        (
            [ready("10.0.0.6", DeployEvent.FAILED), WAITING],
            1,
            Course.UNDER_WAY,
            "1 of 2 ready with abc123: 10.0.0.7 is not ready: db failed: auth",
        ),
        (
            [lost("10.0.0.7", DeployEvent.STARTED, "a failed", "b failed", "c failed", "d failed")],
            1,
            Course.UNDER_WAY,
            "0 of 1 ready with abc123: 10.0.0.7 is not ready: a failed, b failed, c failed and 1 more",
        ),
        (
            [Heard(address=f"10.0.0.{number}", is_sidecar=False) for number in range(7)],
            1,
            Course.UNDER_WAY,
            (
                "0 of 7 ready with abc123: 10.0.0.0 is not answering; 10.0.0.1 is not answering; "
                "10.0.0.2 is not answering; 10.0.0.3 is not answering; 10.0.0.4 is not answering; and 2 more"
            ),
        ),
    ],
)
def test_a_round_is_under_way_or_live(
    heard: list[Heard], at_least: int, course: Course, progress: str
) -> None:
    assert judge(heard, NEW, at_least=at_least) == Arrival(course, progress)


def test_who_is_nowhere_is_said_to_be() -> None:
    assert judge([], NEW, at_least=2, unknown="web has no address") == Arrival(
        Course.UNDER_WAY, "0 of 2 ready with abc123: web has no address"
    )


@pytest.mark.parametrize(
    ("heard", "failures"),
    [
        (
            [
                ready("10.0.0.6"),
                lost("10.0.0.7", DeployEvent.FAILED, "db failed: auth", "mq failed: refused"),
            ],
            ("10.0.0.7 has failed: db failed: auth", "10.0.0.7 has failed: mq failed: refused"),
        ),
        ([lost("10.0.0.7", DeployEvent.TIMED_OUT)], ("10.0.0.7 has timed out",)),
        (
            [
                Heard(address="10.0.0.9", revision="def456", is_ready=True),
                lost("10.0.0.7", DeployEvent.TIMED_OUT, "db failed: timeout"),
                lost("10.0.0.8", DeployEvent.FAILED),
            ],
            ("10.0.0.7 has timed out: db failed: timeout", "10.0.0.8 has failed"),
        ),
    ],
)
def test_a_deploy_has_failed_when_a_pod_of_it_says_so(heard: list[Heard], failures: tuple[str, ...]) -> None:
    arrival = judge(heard, NEW, at_least=1)

    assert (arrival.course, arrival.failures) == (Course.FAILED, failures)
