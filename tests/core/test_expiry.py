"""A verdict is true until it expires: for any checks, at any time before."""

from math import inf, nextafter

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.phase import Phase
from sidecar.core.verdict import Gate, Latch, Probe, Standing, judge, judge_one
from tests.core.builders import states
from tests.core.standings import NOW

moments = st.floats(NOW - 10, NOW + 10)
histories = st.text(alphabet="swfa", max_size=6).map(lambda letters: states(letters)[-1])
standings = st.builds(
    Standing,
    name=st.sampled_from(["a", "b", "c"]),
    gates=st.frozensets(st.sampled_from(Gate)),
    state=histories,
    stale_at=moments | st.just(inf),
    pending=st.frozensets(st.sampled_from(Gate)),
)
latches = st.builds(Latch, startup_passed=st.booleans(), liveness_deadline=moments)


@settings(deadline=None)
@given(
    probe=st.sampled_from(Probe),
    checks=st.lists(standings, max_size=4),
    phase=st.sampled_from(Phase),
    latch=latches,
    now=moments,
    share=st.floats(0, 1),
)
def test_a_verdict_is_the_same_at_any_time_before_it_expires(
    probe: Probe, checks: list[Standing], phase: Phase, latch: Latch, now: float, share: float
) -> None:
    verdict = judge(probe, checks, phase, latch, now)
    end = nextafter(min(verdict.expires_at, now + 1000.0), 0.0)
    later = max(now, min(now + share * (end - now), end))

    assert (verdict.expires_at > now, judge(probe, checks, phase, latch, later)) == (True, verdict)


@settings(deadline=None)
@given(probe=st.sampled_from(Probe), check=standings, latch=latches, now=moments, share=st.floats(0, 1))
def test_a_verdict_on_one_check_is_the_same_at_any_time_before_it_expires(
    probe: Probe, check: Standing, latch: Latch, now: float, share: float
) -> None:
    verdict = judge_one(probe, check, latch, now)
    end = nextafter(min(verdict.expires_at, now + 1000.0), 0.0)
    later = max(now, min(now + share * (end - now), end))

    assert (verdict.expires_at > now, judge_one(probe, check, latch, later)) == (True, verdict)


@settings(deadline=None)
@given(probe=st.sampled_from(Probe), checks=st.lists(standings, max_size=4), latch=latches, now=moments)
def test_following_expiries_misses_no_change(
    probe: Probe, checks: list[Standing], latch: Latch, now: float
) -> None:
    """At most one verdict a moment at which a check turns stale or the deadline passes, and then none."""
    followed = [judge(probe, checks, Phase.SERVING, latch, now)]
    while followed[-1].expires_at != inf:
        followed.append(judge(probe, checks, Phase.SERVING, latch, followed[-1].expires_at))

    moments_ahead = {
        moment
        for moment in (latch.liveness_deadline, *(check.stale_at for check in checks))
        if now < moment < inf
    }
    assert [verdict.expires_at for verdict in followed] == [*sorted(moments_ahead), inf]


def test_an_answer_may_change_when_it_expires() -> None:
    up = Standing(name="db", gates=frozenset({Gate.READINESS}), state=states("s")[-1], stale_at=NOW + 1)
    latch = Latch(startup_passed=True, liveness_deadline=NOW - 1)
    before = judge(Probe.READYZ, [up], Phase.SERVING, latch, NOW)

    after = judge(Probe.READYZ, [up], Phase.SERVING, latch, before.expires_at)

    assert [before.answer, after.answer] == ["pass", "fail"]
