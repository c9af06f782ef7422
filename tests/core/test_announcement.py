"""What is announced of a deploy, and when an attempt is repeated."""

from dataclasses import replace

import pytest

from sidecar.core.announcement import (
    BUDGET,
    LONGEST_PAUSE,
    Announcement,
    Origin,
    announcement_of,
    pause,
)
from sidecar.core.deploy import Deploy, DeployEvent, Fact, FailedCheck, Record

DEPLOY = Deploy(service="builds", environment="production", revision="abc123", id="42")
DB = FailedCheck("db", "auth", "refused")
RECORD = Record(
    deploy=DEPLOY,
    facts=(
        Fact(event=DeployEvent.STARTED, time=100.0, pod="builds-0"),
        Fact(event=DeployEvent.FAILED, time=160.0, pod="builds-1", failures=(DB,)),
        Fact(event=DeployEvent.SUCCEEDED, time=220.0, pod="builds-2"),
    ),
)
ORIGIN = Origin(user="ada")


def test_an_announcement_says_what_the_record_has_of_its_event() -> None:
    assert announcement_of(RECORD, DeployEvent.FAILED, ORIGIN, is_unclaimed=True) == Announcement(
        event=DeployEvent.FAILED,
        deploy=DEPLOY,
        started_at=100.0,
        time=160.0,
        pod="builds-1",
        failures=(DB,),
        is_unclaimed=True,
        origin=ORIGIN,
    )


@pytest.mark.parametrize(
    ("event", "is_recovery", "lasted"),
    [
        (DeployEvent.STARTED, False, 0.0),
        (DeployEvent.FAILED, False, 60.0),
        (DeployEvent.SUCCEEDED, True, 120.0),
    ],
)
def test_only_success_after_bad_news_is_a_recovery(
    event: DeployEvent, is_recovery: bool, lasted: float
) -> None:
    told = announcement_of(RECORD, event, ORIGIN)

    assert (told.is_recovery, told.lasted) == (is_recovery, lasted)


def test_one_that_is_blotted_holds_no_secret_but_keeps_the_names_of_its_deploy() -> None:
    failed = replace(DB, message="production refused ada")
    told = replace(announcement_of(RECORD, DeployEvent.FAILED, ORIGIN), failures=(failed,), pod="ada-0")

    blotted = told.blotted(lambda text: text.replace("ada", "***").replace("production", "***"))

    assert blotted == replace(
        told,
        failures=(replace(DB, message="*** refused ***"),),
        pod="***-0",
        origin=Origin(user="***"),
    )


def test_one_without_a_secret_stays_as_it_is_when_it_is_blotted() -> None:
    told = announcement_of(RECORD, DeployEvent.FAILED, ORIGIN)

    assert told.blotted(str) == told


def test_what_has_not_happened_is_not_announced() -> None:
    with pytest.raises(LookupError, match="timed_out has not happened"):
        announcement_of(RECORD, DeployEvent.TIMED_OUT, ORIGIN)


def test_the_key_is_the_same_for_the_same_event_of_a_deploy_and_for_no_other() -> None:
    told = announcement_of(RECORD, DeployEvent.FAILED, ORIGIN)

    assert told.key == replace(told, time=999.0, pod="builds-7", is_unclaimed=True).key
    assert told.key != replace(told, event=DeployEvent.TIMED_OUT).key
    assert told.key != replace(told, deploy=replace(DEPLOY, id="43")).key


def test_pauses_double_up_to_a_minute_and_keep_to_what_the_service_asks_for() -> None:
    assert [pause(n, retry_after=0.0, jitter=1.0) for n in range(1, 9)] == [
        *(1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
        *(LONGEST_PAUSE,) * 2,
    ]
    assert pause(9999, retry_after=0.0, jitter=1.2) == LONGEST_PAUSE * 1.2
    assert pause(1, retry_after=17.0, jitter=1.0) == 17.0
    assert LONGEST_PAUSE * 1.2 < BUDGET


def test_a_clock_that_was_set_back_makes_no_negative_span() -> None:
    assert replace(announcement_of(RECORD, DeployEvent.FAILED, ORIGIN), time=1.0).lasted == 0.0
