"""What a team should know of its pod: how far an outage reaches, and how long things take."""

import pytest

from sidecar.lint.findings import Level
from tests.lint.pods import (
    APP,
    SESSIONS,
    Manifest,
    Told,
    app,
    config,
    deployment,
    examined,
    http,
    job,
    native,
    plain,
    pod,
    sidecar,
    told,
    waiter,
)

ALTERNATIVE = "out of the endpoints; with gates: startup it takes none, and still holds back a broken release"
HELD = "its first pod is never ready"
SERVED = f"{HELD}, and the old ones go on serving"
SAID = "the sidecar says which checks are missing after 5m"
RESTARTED = "the kubelet restarts it after 330s"
REPORTED = "the rollout is reported as failed after"
LATE = "which comes after the app has gone"
HOOK = {"preStop": {"exec": {"command": ["sidecar", "drain"]}}}


def test_information_is_never_something_to_change() -> None:
    levels = {finding.rule.level: finding.counts for finding, _ in examined(deployment())}

    assert levels == {Level.INFORMATION: False}


@pytest.mark.parametrize(
    ("manifest", "pods"),
    [
        (deployment(), "all 3 pods"),
        (deployment(replicas=2), "all 2 pods"),
        (deployment(replicas=1), "the pod"),
        (deployment(replicas=None), "every pod"),
        (deployment(kind="DaemonSet"), "every pod"),
        ({"kind": "Pod", "metadata": {"name": "one"}, "spec": native()}, "the pod"),
    ],
)
def test_an_outage_of_a_dependency_is_told_with_the_pods_that_it_takes_out(
    manifest: Manifest, pods: str
) -> None:
    assert told("outage-reach", manifest) == [
        Told(
            f"- {SESSIONS}",
            f"an outage of redis:6379, which sessions asks, takes {pods} {ALTERNATIVE}",
            "gates: startup",
        )
    ]


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        (deployment(), config(APP)),
        (deployment(), config("{name: db, type: tcp, host: db, port: 1, gates: startup}")),
        (deployment(native(sidecar(readinessProbe=None))), config()),
        (deployment(native(sidecar(readinessProbe=http("/readyz/app")))), config()),
        (job(native()), config()),
    ],
    ids=["the app itself", "gates startup", "nobody asks", "asked for others", "a Job"],
)
def test_an_outage_that_takes_nothing_out_is_not_told(manifest: Manifest, text: str) -> None:
    assert told("outage-reach", manifest, text) == []


def test_the_times_of_an_outage_are_told_for_each_check_that_gates_readiness() -> None:
    assert told("outage-times", deployment()) == [
        Told(
            f"- {SESSIONS}",
            "sessions: killed, out of the endpoints in 6 to 13s; silent, in 12 to 29s; back in at most 12s",
        ),
        Told(
            f"- {APP}",
            "app: killed, out of the endpoints in 6 to 23s; silent, in 12 to 29s; back in at most 12s",
        ),
    ]


def test_a_job_has_no_endpoints() -> None:
    assert told("outage-times", job(native())) == []


@pytest.mark.parametrize(
    ("manifest", "text", "steps"),
    [
        (deployment(progressDeadlineSeconds=420), config(), [SERVED, SAID, RESTARTED, f"{REPORTED} 7m"]),
        (
            deployment(native(sidecar(startupProbe=None))),
            config(startup="startup: {deadline: 2m, on_deadline: exit, fail_fast: 60s}"),
            [
                SERVED,
                "the process exits with 3 after 1m of one permanent reason",
                "the sidecar exits with 3 after 2m",
                f"{REPORTED} 10m",
            ],
        ),
        (
            deployment(strategy={"type": "Recreate"}),
            config(),
            [
                f"{HELD}, and only the old ones that are left go on serving",
                SAID,
                RESTARTED,
                f"{REPORTED} 10m",
            ],
        ),
        (
            deployment(kind="StatefulSet"),
            config(),
            [f"{HELD}, and all old ones but the one that it replaces go on serving", SAID, RESTARTED],
        ),
        (
            deployment(pod(app(), before=(waiter("3m", "--gate", "startup"),))),
            config(startup="startup: {fail_fast: 60s}"),
            [SERVED, "wait exits with 124 after 3m, and is started again", f"{REPORTED} 10m"],
        ),
        (
            deployment(pod(app(), before=(waiter("--gate", "startup"),))),
            config(startup="startup: {deadline: 2m}"),
            [SERVED, "wait exits with 124 after 2m, and is started again", f"{REPORTED} 10m"],
        ),
        (
            deployment(pod(app(), before=(waiter(args=["check"]),))),
            config(),
            [SERVED, "wait exits with 1 after one run, and is started again", f"{REPORTED} 10m"],
        ),
    ],
    ids=["Deployment", "exits", "Recreate", "StatefulSet", "waits", "waits for the deadline", "checks once"],
)
def test_what_becomes_of_a_broken_release_is_told(manifest: Manifest, text: str, steps: list[str]) -> None:
    [remark] = told("rollout-times", manifest, text)

    assert (remark.sentence, remark.write) == (f"a broken release: {'; '.join(steps)}", "")


def test_what_is_not_rolled_out_or_not_held_back_is_not_told() -> None:
    assert told("rollout-times", deployment(), config(APP)) == []
    assert told("rollout-times", job(native())) == []
    assert told("rollout-times", {"kind": "Pod", "metadata": {"name": "one"}, "spec": native()}) == []


@pytest.mark.parametrize(
    ("spec", "drain", "sentence"),
    [
        (plain(), "", "sidecar exits 5 to 8s after SIGTERM; the pod is killed after 30s"),
        (
            native(terminationGracePeriodSeconds=60),
            "drain: {delay: 0s}",
            f"sidecar exits 0 to 3s after SIGTERM, {LATE}; the pod is killed after 60s",
        ),
        (
            native(sidecar(lifecycle=HOOK)),
            "drain: {until: [{check: app, status: down}]}",
            "sidecar exits 5 to 28s after its preStop; the pod is killed after 30s",
        ),
        (
            native(sidecar(lifecycle={"preStop": {"exec": {"command": ["sleep", "20"]}}})),
            "",
            f"sidecar exits 5 to 8s after SIGTERM, {LATE}; the pod is killed after 30s",
        ),
        (
            native(theirs=app(lifecycle=HOOK)),
            "",
            "sidecar exits 5 to 8s after the preStop of app; the pod is killed after 30s",
        ),
    ],
)
def test_the_time_to_the_exit_is_told(spec: Manifest, drain: str, sentence: str) -> None:
    assert [remark.sentence for remark in told("exit-times", deployment(spec), config(drain=drain))] == [
        sentence
    ]


def test_an_init_container_that_checks_has_no_end_to_tell_of() -> None:
    assert told("exit-times", deployment(pod(app(), before=(waiter(),)))) == []
