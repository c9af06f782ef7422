"""What a drain needs fits into the time that the kubelet gives."""

import pytest

from tests.lint.pods import Told, app, config, deployment, native, plain, pod, sidecar, told, waiter

UNTIL = "until: [{check: app, status: down}]"


def test_a_grace_period_a_second_too_short_for_the_drain_is_told() -> None:
    manifest = deployment(plain(terminationGracePeriodSeconds=9))

    assert told("grace-period", manifest, config(drain="")) == [
        Told(
            "terminationGracePeriodSeconds: 9",
            "the pod is killed 9s after its end began, and a drain takes 5s",
            "terminationGracePeriodSeconds: 10",
        )
    ]


@pytest.mark.parametrize(
    ("grace", "drain", "count"),
    [
        (10, "", 0),
        (0, "drain: {delay: 0s}", 1),
        (4, "drain: {delay: 0s}", 1),
        (5, "drain: {delay: 0s}", 0),
        (5, "drain: {delay: 500ms}", 1),
        (6, "drain: {delay: 500ms}", 0),
        (29, f"drain: {{{UNTIL}}}", 1),
        (30, f"drain: {{{UNTIL}}}", 0),
        (None, f"drain: {{{UNTIL}}}", 0),
        (None, f"drain: {{{UNTIL}, deadline: 26s}}", 1),
        (None, "drain: {deadline: 10m}", 0),
        (44, f"drain: {{{UNTIL}, delay: 40s}}", 1),
        (45, f"drain: {{{UNTIL}, delay: 40s}}", 0),
    ],
)
def test_a_grace_period_outlasts_the_longer_of_delay_and_deadline_by_five_seconds(
    grace: int | None, drain: str, count: int
) -> None:
    manifest = deployment(plain(terminationGracePeriodSeconds=grace))

    assert len(told("grace-period", manifest, config(drain=drain))) == count


def test_a_grace_period_that_is_left_out_is_told_where_the_pod_stands() -> None:
    [remark] = told("grace-period", deployment(plain()), config(drain="drain: {delay: 26s}"))

    assert (remark.line, remark.write) == ("spec:", "terminationGracePeriodSeconds: 31")


def test_an_init_container_has_nothing_to_drain() -> None:
    spec = pod(app(), before=(waiter(),), terminationGracePeriodSeconds=1)

    assert told("grace-period", deployment(spec), config(drain="")) == []


def test_a_native_sidecar_that_begins_its_drain_when_the_app_has_gone_is_told() -> None:
    assert told("late-drain", deployment(native()), config(drain="")) == [
        Told(
            "- name: sidecar",
            "sidecar gets SIGTERM after the app has gone, and serves on for 5s for nobody",
            "drain: {delay: 0s}",
        )
    ]


def test_half_a_second_for_nobody_is_told_as_well() -> None:
    [remark] = told("late-drain", deployment(native()), config(drain="drain: {delay: 500ms}"))

    assert remark.sentence.endswith("serves on for 500ms for nobody")


def test_a_drain_that_begins_in_time_or_takes_none_is_not_told() -> None:
    hooked = sidecar(lifecycle={"preStop": {"exec": {"command": ["sidecar", "drain"]}}})

    assert told("late-drain", deployment(native(hooked)), config(drain="")) == []
    assert told("late-drain", deployment(plain()), config(drain="")) == []
    assert told("late-drain", deployment(native()), config(drain="drain: {delay: 0s}")) == []
