"""A broken release takes nothing from the old one, and has the time to prove itself."""

import pytest

from tests.lint.pods import APP, Manifest, Told, config, deployment, native, told

ADDS_FIRST = "strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}"
PROVES = "and only then does the new pod prove sessions: a broken release takes traffic away"


def updated(strategy: Manifest | None) -> Manifest:
    return deployment(strategy=strategy)


def rolling(unavailable: object) -> Manifest:
    return {"rollingUpdate": {"maxUnavailable": unavailable}}


@pytest.mark.parametrize(
    ("strategy", "line", "fault"),
    [
        (rolling(1), "maxUnavailable: 1", "maxUnavailable 1 lets old pods be stopped first"),
        (rolling("1%"), "maxUnavailable: 1%", "maxUnavailable 1% lets old pods be stopped first"),
        (None, "spec:", "maxUnavailable (left out: 25%) lets old pods be stopped first"),
        ({"type": "Recreate"}, "strategy:", "Recreate stops every old pod first"),
    ],
)
def test_a_deployment_that_stops_old_pods_first_is_told(
    strategy: Manifest | None, line: str, fault: str
) -> None:
    assert told("rollout-takes-pods", updated(strategy)) == [Told(line, f"{fault}, {PROVES}", ADDS_FIRST)]


@pytest.mark.parametrize("unavailable", [0, "0%"])
def test_a_deployment_that_adds_first_is_not_told(unavailable: object) -> None:
    assert told("rollout-takes-pods", updated(rolling(unavailable))) == []


def test_a_deployment_without_a_start_gate_claims_nothing() -> None:
    assert told("rollout-takes-pods", updated({"type": "Recreate"}), config(APP)) == []


@pytest.mark.parametrize("strategy", [{"type": "Recreate"}, rolling(1)])
def test_an_update_of_no_pods_takes_none_away(strategy: Manifest) -> None:
    assert told("rollout-takes-pods", deployment(replicas=0, strategy=strategy)) == []


@pytest.mark.parametrize(
    ("strategy", "count"),
    [({}, 1), (rolling(1), 1), (rolling(0), 0), ({"type": "OnDelete"}, 0)],
)
def test_a_daemon_set_can_add_first_too(strategy: Manifest, count: int) -> None:
    remarks = told("rollout-takes-pods", deployment(kind="DaemonSet", updateStrategy=strategy))

    assert [remark.write for remark in remarks] == [
        f"updateStrategy{ADDS_FIRST.removeprefix('strategy')}"
    ] * count


def test_two_pods_of_a_daemon_set_cannot_share_their_nodes_network() -> None:
    assert told("rollout-takes-pods", deployment(native(hostNetwork=True), kind="DaemonSet")) == []


@pytest.mark.parametrize(
    ("strategy", "count"), [({}, 0), (rolling(1), 0), (rolling(2), 1), (rolling("50%"), 1)]
)
def test_a_stateful_set_always_stops_one_pod_first_and_should_stop_no_more(
    strategy: Manifest, count: int
) -> None:
    remarks = told("rollout-takes-pods", deployment(kind="StatefulSet", updateStrategy=strategy))

    assert [remark.write for remark in remarks] == [
        "updateStrategy: {rollingUpdate: {maxUnavailable: 1}}"
    ] * count


def test_a_pod_is_not_rolled_out() -> None:
    assert told("rollout-takes-pods", {"kind": "Pod", "metadata": {"name": "one"}, "spec": native()}) == []


def test_a_progress_deadline_a_second_shorter_than_the_startup_deadline_and_a_minute_is_told() -> None:
    assert told("progress-deadline", deployment(progressDeadlineSeconds=359)) == [
        Told(
            "progressDeadlineSeconds: 359",
            "the rollout is reported as failed after 359s, and the startup deadline is 5m",
            "progressDeadlineSeconds: 360",
        )
    ]


def test_a_progress_deadline_as_long_as_the_startup_deadline_and_a_minute_is_not_told() -> None:
    assert told("progress-deadline", deployment(progressDeadlineSeconds=360)) == []


@pytest.mark.parametrize(("deadline", "count"), [("540s", 0), ("541s", 1)])
def test_a_progress_deadline_that_is_left_out_is_ten_minutes(deadline: str, count: int) -> None:
    text = config(startup=f"startup: {{deadline: {deadline}}}")

    assert len(told("progress-deadline", deployment(), text)) == count


@pytest.mark.parametrize(("gates", "count"), [("startup", 1), ("readiness", 1), ("liveness", 0), ("none", 0)])
def test_only_a_pod_that_can_be_held_back_needs_the_time(gates: str, count: int) -> None:
    text = config(f"{{name: app, type: tcp, host: localhost, port: 1, gates: {gates}}}", more="ungated: true")

    assert len(told("progress-deadline", deployment(progressDeadlineSeconds=1), text)) == count


def test_only_a_deployment_has_a_progress_deadline() -> None:
    assert told("progress-deadline", deployment(kind="StatefulSet", progressDeadlineSeconds=1)) == []
