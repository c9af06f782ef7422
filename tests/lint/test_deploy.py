"""What is said of a deploy agrees with what the cluster does meanwhile."""

import pytest

from tests.lint.pods import APP, Manifest, Told, app, config, deployment, native, pod, told, waiter


def tracking(*checks: str, startup: str = "", **keys: str) -> str:
    """Return a configuration that tracks its deploy."""
    section = {"service": "builds", "environment": "test", "revision": "abc", "id": "a", **keys}
    written = ", ".join(f"{key}: {value}" for key, value in section.items())
    return config(*checks, startup=startup, more=f"deploy: {{{written}}}")


LINE = "deploy: {service: builds, environment: test, revision: abc, id: a"


def test_a_deadline_a_second_shorter_than_the_startup_deadline_and_stable_for_is_told() -> None:
    assert told("deploy-deadline", deployment(), tracking(deadline="329s")) == [
        Told(
            f"{LINE}, deadline: 329s}}",
            "the deploy has timed out after 329s, and a pod may take 5m, the startup deadline, and is live "
            "30s later",
            "deadline: 330s",
        )
    ]


def test_a_deadline_as_long_as_the_startup_deadline_and_stable_for_is_not_told() -> None:
    assert told("deploy-deadline", deployment(), tracking(deadline="330s")) == []


@pytest.mark.parametrize(
    ("startup", "stable_for", "write"),
    [
        ("startup: {deadline: 10m}", "30s", "deadline: 630s"),
        ("startup: {deadline: 10m}", "60s", "deadline: 11m"),
        ("startup: {deadline: 9m}", "60s", None),
        ("startup: {deadline: 10m}", "500ms", "deadline: 601s"),
    ],
)
def test_the_deadline_to_write_is_the_sum_in_whole_seconds(
    startup: str, stable_for: str, write: str | None
) -> None:
    remarks = told("deploy-deadline", deployment(), tracking(startup=startup, stable_for=stable_for))

    assert [remark.write for remark in remarks] == ([write] if write else [])


def test_a_pod_without_a_start_gate_has_no_startup_deadline_to_wait_for() -> None:
    assert told("deploy-deadline", deployment(), tracking(APP, deadline="31s")) == []


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_deploy_that_is_live_before_its_pod_is_available_is_told(kind: str) -> None:
    manifest = deployment(kind=kind, minReadySeconds=31)

    assert told("deploy-stability", manifest, tracking()) == [
        Told(
            f"{LINE}}}",
            "the deploy is live when a pod has been ready for 30s, and the pod counts as available only "
            "after minReadySeconds, 31s",
            "stable_for: 31s",
        )
    ]


@pytest.mark.parametrize("manifest", [deployment(minReadySeconds=30), deployment()])
def test_a_deploy_that_is_live_when_its_pod_is_available_is_not_told(manifest: Manifest) -> None:
    assert told("deploy-stability", manifest, tracking()) == []


def test_a_rollout_that_is_reported_as_failed_less_than_a_minute_after_the_deploy_is_told() -> None:
    assert told("deploy-outlasts-rollout", deployment(progressDeadlineSeconds=659), tracking()) == [
        Told(
            "progressDeadlineSeconds: 659",
            "the rollout is reported as failed after 659s, and the deploy times out 10m after its first "
            "process began: who rolls back at the one may never hear of the other",
            "progressDeadlineSeconds: 660",
        )
    ]


@pytest.mark.parametrize(
    ("manifest", "deadline"),
    [
        (deployment(progressDeadlineSeconds=660), "10m"),
        (deployment(), "9m"),
        (deployment(kind="StatefulSet"), "1h"),
    ],
)
def test_a_rollout_that_outlasts_the_deploy_or_has_no_end_is_not_told(
    manifest: Manifest, deadline: str
) -> None:
    assert told("deploy-outlasts-rollout", manifest, tracking(deadline=deadline)) == []


@pytest.mark.parametrize("rule", ["deploy-deadline", "deploy-stability", "deploy-outlasts-rollout"])
@pytest.mark.parametrize(
    ("spec", "text"),
    [(native(), config()), (pod(app(), before=(waiter(),)), tracking(deadline="31s"))],
    ids=["no deploy", "an init container alone"],
)
def test_a_deploy_that_nobody_tracks_is_not_judged(rule: str, spec: Manifest, text: str) -> None:
    manifest = deployment(spec, minReadySeconds=60, progressDeadlineSeconds=60)

    assert told(rule, manifest, text) == []
