"""How a deploy goes on: every event after every other, as each process may see it, and who delivers."""

from dataclasses import replace
from itertools import product
from math import inf

import pytest

from sidecar.core.deploy import (
    FAILURES_NAMED,
    LEASE,
    MAY_FOLLOW,
    Delivery,
    Deploy,
    DeployEvent,
    Fact,
    FailedCheck,
    Plan,
    Process,
    Progress,
    Record,
    Sighting,
    Witness,
    deadline_at,
    due,
    is_foreign,
    is_recovery,
    keep,
    next_moment,
    release,
    settle,
    step,
)
from tests.core.builders import EPOCH

STARTED, SUCCEEDED, FAILED, TIMED_OUT = DeployEvent
DEPLOY = Deploy(service="builds", environment="production", revision="abc123", id="42")
PLAN = Plan(
    deploy=DEPLOY,
    stable_for=30.0,
    deadline=600.0,
    audience={"slack": frozenset(DeployEvent), "sentry": frozenset({STARTED, SUCCEEDED})},
)
DB = FailedCheck("db", "auth", "db:5432 refused the password")
READY = Sighting(ready_since=100.0)
UNREADY = Sighting(failures=(DB,))
HOPELESS = Sighting(hopeless_at=160.0, failures=(DB,))


def witness(
    sighting: Sighting = UNREADY, *, now: float = 100.0, name: str = "a", deadline: float | None = None
) -> Witness:
    """Return what the process `name` sees, `now` seconds after the epoch of the tests on both clocks."""
    process = Process(name, f"builds-{name}")
    return Witness(
        process=process,
        sighting=sighting,
        now=now,
        time=EPOCH + now,
        began_at=EPOCH + now - 1,
        deadline_at=deadline,
    )


def record(*events: DeployEvent, at: float = 100.0) -> Record:
    """Return a record in which these things have happened, and everything is delivered."""
    facts = tuple(Fact(event=each, time=EPOCH + at, pod="builds-0") for each in events)
    return Record(deploy=DEPLOY, facts=facts)


PATHS = {
    (STARTED,): "in progress",
    (STARTED, SUCCEEDED): "live",
    (STARTED, FAILED): "failed",
    (STARTED, TIMED_OUT): "overdue",
    (STARTED, FAILED, SUCCEEDED): "recovered",
    (STARTED, TIMED_OUT, SUCCEEDED): "recovered late",
}
"""Every way that a deploy may go."""


def test_these_are_all_the_ways_that_a_deploy_may_go() -> None:
    def walk(path: tuple[DeployEvent, ...]) -> set[tuple[DeployEvent, ...]]:
        phase = path[-1] if path else None
        further = [walk((*path, event)) for event in MAY_FOLLOW[phase]]
        return {path}.union(*further) if path else set().union(*further)

    assert walk(()) == set(PATHS)


@pytest.mark.parametrize("path", PATHS, ids=PATHS.get)
@pytest.mark.parametrize(
    ("sighting", "deadline", "possible"),
    [
        (Sighting(ready_since=0.0), inf, SUCCEEDED),
        (Sighting(hopeless_at=0.0), inf, FAILED),
        (UNREADY, 0.0, TIMED_OUT),
        (UNREADY, inf, None),
    ],
    ids=["stable", "hopeless", "overdue", "waiting"],
)
def test_what_a_process_sees_happens_only_where_it_may_follow(
    path: tuple[DeployEvent, ...], sighting: Sighting, deadline: float, possible: DeployEvent | None
) -> None:
    before = record(*path)

    after = step(before, PLAN, witness(sighting, deadline=deadline))

    happens = possible is not None and possible in MAY_FOLLOW[before.phase]
    assert [fact.event for fact in after.facts] == [*path, *([possible] if happens else [])]
    assert (after == before) is not happens


def test_the_first_process_starts_the_deploy_and_delivers() -> None:
    assert step(None, PLAN, witness(now=7.0)) == Record(
        deploy=DEPLOY,
        facts=(Fact(event=STARTED, time=EPOCH + 6, pod="builds-a"),),
        deliveries=(Delivery("slack", STARTED), Delivery("sentry", STARTED)),
        courier="a",
        courier_until=EPOCH + 7 + LEASE,
    )


def test_the_second_process_finds_the_deploy_started_and_leaves_it() -> None:
    first = step(None, PLAN, witness())

    assert step(first, PLAN, witness(name="b", now=101.0)) == first


@pytest.mark.parametrize(("now", "events"), [(129.9, [STARTED]), (130.0, [STARTED, SUCCEEDED])])
def test_a_deploy_is_live_when_a_pod_has_been_ready_for_long_enough(
    now: float, events: list[DeployEvent]
) -> None:
    assert [fact.event for fact in step(record(STARTED), PLAN, witness(READY, now=now)).facts] == events


@pytest.mark.parametrize(("now", "events"), [(159.9, [STARTED]), (160.0, [STARTED, FAILED])])
def test_a_deploy_fails_at_the_moment_from_which_it_is_hopeless(
    now: float, events: list[DeployEvent]
) -> None:
    assert [fact.event for fact in step(record(STARTED), PLAN, witness(HOPELESS, now=now)).facts] == events


@pytest.mark.parametrize(("now", "events"), [(699.9, [STARTED]), (700.0, [STARTED, TIMED_OUT])])
def test_the_deadline_counts_from_the_claim_and_not_from_the_process(
    now: float, events: list[DeployEvent]
) -> None:
    assert [fact.event for fact in step(record(STARTED), PLAN, witness(now=now)).facts] == events


def test_a_deploy_that_ended_well_and_badly_at_the_same_moment_ended_well() -> None:
    both = Sighting(ready_since=0.0, hopeless_at=0.0)

    assert due(record(STARTED), PLAN, witness(both, deadline=0.0)) is SUCCEEDED


@pytest.mark.parametrize(("sighting", "event"), [(HOPELESS, FAILED), (UNREADY, TIMED_OUT)])
def test_what_fails_is_written_down_with_what_it_said(sighting: Sighting, event: DeployEvent) -> None:
    fact = step(record(STARTED), PLAN, witness(sighting, now=9000.0)).facts[-1]

    assert fact == Fact(event=event, time=EPOCH + 9000, pod="builds-a", failures=(DB,))


def test_of_a_thousand_checks_that_fail_a_few_are_named() -> None:
    many = Sighting(hopeless_at=0.0, failures=(DB,) * 1000)

    fact = step(record(STARTED), PLAN, witness(many)).facts[-1]

    assert (fact.failures, fact.unnamed) == ((DB,) * FAILURES_NAMED, 1000 - FAILURES_NAMED)


def test_a_service_hears_only_of_what_it_wants_to() -> None:
    failed = step(record(STARTED), PLAN, witness(HOPELESS, now=200.0))

    assert failed.pending == (Delivery("slack", FAILED),)


@pytest.mark.parametrize("path", PATHS, ids=PATHS.get)
def test_a_recovery_is_what_follows_bad_news(path: tuple[DeployEvent, ...]) -> None:
    assert is_recovery(record(*path)) is bool({FAILED, TIMED_OUT} & set(path))


@pytest.mark.parametrize(
    ("now", "courier", "until"),
    [(100.0 + LEASE - 0.1, "a", 100.0 + LEASE), (100.0 + LEASE, "b", 100.0 + 2 * LEASE)],
)
def test_who_dies_is_relieved_after_the_lease_time(now: float, courier: str, until: float) -> None:
    left = step(None, PLAN, witness(name="a"))

    taken = step(left, PLAN, witness(name="b", now=now))

    assert (taken.courier, taken.courier_until, taken.pending) == (courier, EPOCH + until, left.pending)


def test_news_that_come_while_another_delivers_are_left_to_him() -> None:
    held = step(None, PLAN, witness(name="a"))

    live = step(held, PLAN, witness(Sighting(ready_since=80.0), name="b", now=110.0))

    assert (live.phase, live.courier, live.courier_until) == (SUCCEEDED, "a", held.courier_until)
    assert [each.event for each in live.pending] == [STARTED, STARTED, SUCCEEDED, SUCCEEDED]


def test_a_courier_renews_its_lease_while_there_is_work_and_is_one_no_more_without() -> None:
    first = step(None, PLAN, witness(name="a"))
    slack, sentry = first.pending
    half = settle(first, slack, Progress.DELIVERED, {"ts": "1"})
    done = settle(half, sentry, Progress.GIVEN_UP, {})

    assert keep(half, "a", EPOCH + 120, PLAN.audience).courier_until == EPOCH + 120 + LEASE
    assert keep(half, "a", EPOCH + 120, ["slack"]).courier == ""
    assert keep(done, "a", EPOCH + 120, PLAN.audience).courier == ""
    assert keep(done, "b", EPOCH + 120, PLAN.audience) == done


def test_a_receipt_is_kept_until_there_is_a_newer_one() -> None:
    first = step(None, PLAN, witness())
    slack, _ = first.pending
    told = settle(first, slack, Progress.DELIVERED, {"ts": "1"})
    failed = step(told, PLAN, witness(HOPELESS, now=200.0))
    again = settle(failed, Delivery("slack", FAILED), Progress.GIVEN_UP, {})

    assert (told.receipts, again.receipts) == ({"slack": {"ts": "1"}}, {"slack": {"ts": "1"}})


def test_what_is_not_pending_cannot_be_settled() -> None:
    first = step(None, PLAN, witness())
    slack, _ = first.pending
    told = settle(first, slack, Progress.GIVEN_UP, {})

    assert settle(told, slack, Progress.DELIVERED, {"ts": "1"}) == told
    assert settle(told, Delivery("slack", FAILED), Progress.DELIVERED, {}) == told


def test_only_the_courier_itself_lets_go() -> None:
    held = step(None, PLAN, witness(name="a"))

    assert (release(held, "b"), release(held, "a").is_held(EPOCH)) == (held, False)


@pytest.mark.parametrize(
    ("path", "sighting", "moment"),
    [
        ((STARTED,), UNREADY, 700.0),
        ((STARTED,), READY, 130.0),
        ((STARTED,), HOPELESS, 160.0),
        ((STARTED, FAILED), UNREADY, inf),
        ((STARTED, TIMED_OUT), READY, 130.0),
        ((STARTED, SUCCEEDED), READY, inf),
    ],
)
def test_what_time_alone_brings_about_is_waited_for(
    path: tuple[DeployEvent, ...], sighting: Sighting, moment: float
) -> None:
    assert next_moment(record(*path), PLAN, witness(sighting)) == moment


@pytest.mark.parametrize(("skew", "left"), [(0.0, 600.0), (-30.0, 570.0), (3600.0, 600.0)])
def test_a_record_from_the_future_gives_no_more_time_than_there_is(skew: float, left: float) -> None:
    told = record(STARTED, at=100.0 + skew)

    assert deadline_at(told, PLAN, witness()) == 100.0 + left


def test_a_clock_that_jumps_does_not_bring_the_deadline() -> None:
    jumped = Witness(
        process=Process("a", "p"),
        sighting=UNREADY,
        now=100.0,
        time=EPOCH + 9000,
        began_at=EPOCH,
        deadline_at=700.0,
    )

    assert due(record(STARTED), PLAN, jumped) is None


ANNOUNCED = Fact(event=FAILED, time=EPOCH + 160, pod="builds-a", failures=(DB,))


def test_what_was_announced_without_a_record_begins_it_as_it_was_announced() -> None:
    seen = replace(witness(READY, now=900.0), announced=ANNOUNCED, began_at=EPOCH + 99)

    begun = step(None, PLAN, seen)

    assert begun.facts == (Fact(event=STARTED, time=EPOCH + 99, pod="builds-a"), ANNOUNCED)
    assert begun.pending == (Delivery("slack", FAILED),)  # it is late to say that it was started
    assert step(begun, PLAN, seen).phase is SUCCEEDED


@pytest.mark.parametrize("path", PATHS, ids=PATHS.get)
def test_what_was_announced_without_a_record_is_written_down_where_it_may_follow(
    path: tuple[DeployEvent, ...],
) -> None:
    before = record(*path)

    after = step(before, PLAN, replace(witness(), announced=ANNOUNCED))

    assert (ANNOUNCED in after.facts) is (FAILED in MAY_FOLLOW[before.phase])


def test_who_was_told_to_stop_has_no_bad_news_that_time_brings_about() -> None:
    leaving = Sighting(is_leaving=True, hopeless_at=0.0)

    assert due(record(STARTED), PLAN, witness(leaving, now=9000.0)) is None
    assert next_moment(record(STARTED), PLAN, witness(leaving)) == inf


def test_a_lease_from_a_clock_that_is_wrong_holds_nobody_up() -> None:
    ahead = replace(step(None, PLAN, witness(name="a")), courier_until=EPOCH + 3700)

    assert not ahead.is_held(EPOCH + 101)
    assert step(ahead, PLAN, witness(name="b", now=101.0)).courier == "b"


def test_nobody_takes_over_what_he_cannot_deliver() -> None:
    left = replace(step(None, PLAN, witness(name="a")), courier="", courier_until=0.0)
    other = replace(PLAN, audience={"hook": frozenset({SUCCEEDED})})

    assert step(left, other, witness(name="b")) == left


def test_the_record_of_another_revision_is_foreign() -> None:
    same_id = replace(PLAN, deploy=replace(DEPLOY, revision="def456"))

    assert (is_foreign(record(STARTED), PLAN), is_foreign(record(STARTED), same_id)) == (False, True)


def test_another_deploy_has_another_key() -> None:
    keys = {
        Deploy(service=service, environment=environment, revision=revision, id=each).key
        for service, environment, revision, each in product("ab", "ab", "ab", "ab")
    }

    assert len(keys) == 8  # the revision is not what tells deploys apart
    assert Deploy(service="a", environment="bc", revision="", id="").key != (
        Deploy(service="ab", environment="c", revision="", id="").key
    )
