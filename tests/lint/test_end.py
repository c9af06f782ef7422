"""What a drain needs fits into the time that the kubelet gives."""

import pytest

from tests.lint.pods import Manifest, Told, app, config, deployment, native, plain, pod, sidecar, told, waiter

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


SOCKET = "server: {admin_socket: /run/admin.sock}"
OTHER_PORT = "server: {admin_port: 9999}"


def runs(*command: str) -> Manifest:
    return {"exec": {"command": [*command]}}


def hooked(hook: Manifest) -> Manifest:
    """Return a sidecar with a preStop."""
    return sidecar(lifecycle={"preStop": hook})


@pytest.mark.parametrize(
    ("hook", "server", "fault", "write"),
    [
        (runs("sleep", "20"), "", "only sleeps", "[sidecar, drain]"),
        (runs("/bin/sh", "-c", "sleep 20"), "", "only sleeps", "[sidecar, drain]"),
        ({"sleep": {"seconds": 20}}, "", "is sleep, which begins no drain", "[sidecar, drain]"),
        (
            {"httpGet": {"path": "/drain", "port": 17808}},
            "",
            "is httpGet, which begins no drain",
            "[sidecar, drain]",
        ),
        (
            runs("sidecar", "probe", "readyz"),
            "",
            "runs sidecar probe, which begins no drain",
            "[sidecar, drain]",
        ),
        (
            runs("sidecar", "drain"),
            SOCKET,
            "asks port 17809, and the admin listener is at /run/admin.sock",
            "[sidecar, drain, --socket, /run/admin.sock]",
        ),
        (
            runs("sidecar", "drain"),
            OTHER_PORT,
            "asks port 17809, and the admin listener is at port 9999",
            '[sidecar, drain, --port, "9999"]',
        ),
        (
            runs("sidecar", "drain", "--port", "17808"),
            "",
            "asks port 17808, and the admin listener is at port 17809",
            "[sidecar, drain]",
        ),
        (
            runs("sidecar", "drain", "--socket=/run/admin.sock"),
            "",
            "asks /run/admin.sock, and the admin listener is at port 17809",
            "[sidecar, drain]",
        ),
        (
            runs("sidecar", "drain", "--host", "10.0.0.1"),
            "",
            "asks port 17809 of 10.0.0.1, and the admin listener is at port 17809",
            "[sidecar, drain]",
        ),
    ],
)
def test_a_prestop_that_begins_no_drain_is_told(hook: Manifest, server: str, fault: str, write: str) -> None:
    text = config(drain="", more=server)

    [remark] = told("late-drain", deployment(native(hooked(hook))), text)

    assert (remark.sentence, remark.write) == (
        f"sidecar gets SIGTERM after the app has gone, and serves on for 5s for nobody: its preStop {fault}",
        f"exec: {{command: {write}}}",
    )


@pytest.mark.parametrize(
    ("hook", "server"),
    [
        (runs("sidecar", "drain", "--socket", "/run/admin.sock"), SOCKET),
        (runs("sidecar", "drain", "--port=9999"), OTHER_PORT),
        (runs("sidecar", "drain", "--host", "0.0.0.0"), ""),
        (runs("sidecar", "drain", "--port", "1", "--port", "17809"), ""),
        (runs("sh", "-c", "sidecar drain; sleep 1"), ""),
        (runs("sh", "-c", 'sidecar drain --port "$ADMIN_PORT"'), ""),
        (runs("/scripts/stop"), ""),
        (runs("sh", "-c", "sleep 1 && /scripts/stop"), ""),
    ],
)
def test_a_prestop_that_begins_the_drain_or_may_is_not_told(hook: Manifest, server: str) -> None:
    assert told("late-drain", deployment(native(hooked(hook))), config(drain="", more=server)) == []


def test_the_apps_prestop_may_begin_the_drain_as_well() -> None:
    theirs = app(lifecycle={"preStop": runs("/opt/sidecar", "drain")})

    assert told("late-drain", deployment(native(theirs=theirs)), config(drain="")) == []


def test_a_command_of_the_app_that_we_do_not_know_begins_no_drain() -> None:
    theirs = app(lifecycle={"preStop": runs("/scripts/stop")})

    assert len(told("late-drain", deployment(native(theirs=theirs)), config(drain=""))) == 1


WAITING = {"preStop": {"httpGet": {"path": "/drained", "port": 17808}}}


@pytest.mark.parametrize("own", [sidecar(), hooked(runs("sleep", "20"))], ids=["no preStop", "sleeps"])
def test_an_app_that_waits_for_a_drain_that_nobody_begins_is_told(own: Manifest) -> None:
    assert told("unbegun-drain", deployment(native(own, app(lifecycle=WAITING)))) == [
        Told(
            "httpGet:",
            "app: preStop waits for a drain, which nobody begins before the app has gone: it is answered "
            "after 2s",
            "sidecar: lifecycle: {preStop: {exec: {command: [sidecar, drain]}}}",
        )
    ]


@pytest.mark.parametrize(
    "spec",
    [
        native(hooked(runs("sidecar", "drain")), app(lifecycle=WAITING)),
        plain(theirs=app(lifecycle=WAITING)),
        native(theirs=app(lifecycle={"preStop": {"httpGet": {"path": "/stop", "port": 17808}}})),
        native(theirs=app(lifecycle={"preStop": {"httpGet": {"path": "/drained", "port": 8080}}})),
        native(),
    ],
    ids=["begun", "plain", "asks for something else", "asks somebody else", "no preStop"],
)
def test_an_app_that_does_not_wait_in_vain_for_a_drain_is_not_told(spec: Manifest) -> None:
    assert told("unbegun-drain", deployment(spec)) == []
