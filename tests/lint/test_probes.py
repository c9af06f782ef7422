"""Whom the probes ask, and whether they ask for what the checks gate."""

import pytest

from tests.lint.pods import (
    Manifest,
    Told,
    app,
    config,
    deployment,
    http,
    job,
    native,
    plain,
    pod,
    sidecar,
    told,
    waiter,
)

PATHS = "there are /livez, /readyz, /startupz, /healthz, and behind them /NAME for sessions, app"
READYZ = "httpGet: {path: /readyz, port: 17808}"


def of_sidecar(**overlay: object) -> Manifest:
    return deployment(native(sidecar(**overlay)))


def of_app(**overlay: object) -> Manifest:
    return deployment(native(theirs=app(**overlay)))


@pytest.mark.parametrize(
    ("probe", "fault"),
    [
        (http("/readyz", 17807), "asks port 17807, where the sidecar does not listen"),
        (http("/readyz", 17809), "asks port 17809, which listens on loopback only, where the kubelet is not"),
        (http("/readyz", "probes"), "names the port 'probes', which sidecar does not declare"),
        (
            http("/readyz", "9" * 5000),
            "names the port '" + "9" * 5000 + "', which sidecar does not declare",
        ),
        ({"httpGet": {"path": "/readyz"}}, "names no port"),
        (http("/ready"), f"asks /ready; {PATHS}"),
        (http("/readyz/sesions"), f"asks /readyz/sesions; {PATHS}"),
        (http("/healthz/sessions"), f"asks /healthz/sessions; {PATHS}"),
        (http("/metrics"), f"asks /metrics; {PATHS}"),
        (http("/"), f"asks /; {PATHS}"),
        (
            {"httpGet": {"path": "/readyz", "port": 17808, "scheme": "HTTPS"}},
            "asks by HTTPS, which the sidecar does not speak",
        ),
        (
            {"httpGet": {"path": "/readyz", "port": 17808, "host": "127.0.0.1"}},
            "asks the host 127.0.0.1 instead of the pod",
        ),
        (
            {"exec": {"command": ["sidecar", "probe", "readyz", "--port", "1"]}},
            "asks port 1, where the sidecar does not listen",
        ),
        (
            {"exec": {"command": ["sidecar", "probe", "readyz", "--socket", "/run/s"]}},
            "asks /run/s, where the sidecar does not listen",
        ),
        (
            {"exec": {"command": ["sidecar", "probe", "readyz", "--host=web"]}},
            "asks port 17808 of web, where the sidecar does not listen",
        ),
        (
            {"exec": {"command": ["sidecar", "probe", "readyz/sessions"]}},
            "asks none of livez, readyz, startupz, healthz",
        ),
        ({"tcpSocket": {"port": 17808}}, "asks by tcpSocket, which no check answers"),
        ({"grpc": {"port": 17808}}, "asks by grpc, which no check answers"),
    ],
)
def test_a_probe_of_the_sidecar_that_is_not_answered_is_told(probe: Manifest, fault: str) -> None:
    [line] = [f"{means}:" for means in probe]

    assert told("probe-address", of_sidecar(readinessProbe=probe)) == [
        Told(line, f"sidecar: readinessProbe {fault}", READYZ)
    ]


@pytest.mark.parametrize(
    "probe",
    [
        http("/readyz"),
        http("readyz"),
        http("/readyz", "sidecar"),
        http("/readyz?verbose&exclude=app"),
        http("/readyz/app"),
        {"exec": {"command": ["sidecar", "probe", "readyz"]}},
        {"exec": {"command": ["sidecar", "probe", "readyz", "--port", "17809"]}},
        {"exec": {"command": ["sidecar", "probe", "readyz", "--host", "[::]"]}},
        {"exec": {"command": ["sh", "-c", "sidecar probe readyz --host $POD_IP"]}},
        {"exec": {"command": ["cat", "/ready"]}},
        {"exec": {"command": ["sidecar", "status"]}},
        {"httpGet": {"path": "/readyz", "port": 17808, "scheme": "http"}},
    ],
)
def test_a_probe_of_the_sidecar_that_is_answered_is_not_told(probe: Manifest) -> None:
    assert told("probe-address", of_sidecar(readinessProbe=probe)) == []


@pytest.mark.parametrize(
    ("probe", "fault"),
    [
        (http("/livez", "sidecar"), "names the port 'sidecar', which app does not declare"),
        (http("/livez", 17809), "asks port 17809, which listens on loopback only, where the kubelet is not"),
        (http("/readyz/sessions", 9000), "asks port 9000, where the sidecar does not listen"),
        (http("/startupz", 9000), "asks port 9000, where the sidecar does not listen"),
        (http("/alive"), f"asks /alive; {PATHS}"),
        ({"tcpSocket": {"port": 17808}}, "asks by tcpSocket, which no check answers"),
        ({"tcpSocket": {"port": "sidecar"}}, "asks by tcpSocket, which no check answers"),
        ({"grpc": {"port": 17808}}, "asks by grpc, which no check answers"),
        (
            {"exec": {"command": ["sidecar", "probe", "livez", "--port=1"]}},
            "asks port 1, where the sidecar does not listen",
        ),
    ],
)
def test_a_probe_of_the_app_that_is_meant_for_the_sidecar_is_told(probe: Manifest, fault: str) -> None:
    [line] = [f"{means}:" for means in probe]

    assert told("probe-address", of_app(livenessProbe=probe)) == [
        Told(line, f"app: livenessProbe {fault}", "httpGet: {path: /livez, port: 17808}")
    ]


@pytest.mark.parametrize(
    "probe",
    [
        http("/readyz/sessions", 8080),
        http("/healthz", 9000),
        http("/healthz", "http"),
        http("/anything", "nobody-declares-it"),
        {"tcpSocket": {"port": 8080}},
    ],
)
def test_a_probe_that_the_app_answers_itself_is_not_told(probe: Manifest) -> None:
    assert told("probe-address", of_app(livenessProbe=probe)) == []


def test_a_startup_probe_of_the_app_is_shown_how_to_ask_for_the_apps_own_check() -> None:
    [remark] = told("probe-address", of_app(startupProbe=http("/readyz/app", 17809)))

    assert remark.write == "httpGet: {path: /readyz/app, port: 17808}"


def test_a_startup_probe_asks_for_everything_where_no_check_is_the_apps() -> None:
    only = config("{name: db, type: tcp, host: db, port: 5432, gates: startup}")

    [remark] = told("probe-address", of_app(startupProbe=http("/readyz", 17809)), only)

    assert remark.write == "httpGet: {path: /readyz, port: 17808}"


def test_the_usual_port_is_wrong_where_another_one_is_configured() -> None:
    manifest = of_sidecar(ports=[{"name": "sidecar", "containerPort": 9100}])
    text = config(more="server: {port: 9100, admin_port: 9101}")

    assert [remark.sentence for remark in told("probe-address", manifest, text)] == [
        "sidecar: startupProbe asks port 17808, where the sidecar does not listen",
        "sidecar: readinessProbe asks port 17808, where the sidecar does not listen",
        "sidecar: livenessProbe asks port 17808, where the sidecar does not listen",
        "app: startupProbe asks port 17808, where the sidecar does not listen",
        "app: livenessProbe asks port 17808, where the sidecar does not listen",
    ]


def test_a_prestop_hook_that_asks_for_anything_but_the_end_of_the_drain_is_told() -> None:
    hook = {"preStop": {"httpGet": {"path": "/drain", "port": 17808}}}

    assert told("probe-address", of_app(lifecycle=hook)) == [
        Told(
            "httpGet:",
            "app: preStop asks /drain, which waits for nothing",
            "httpGet: {path: /drained, port: 17808}",
        )
    ]


def test_a_prestop_hook_at_the_admin_listener_is_told() -> None:
    hook = {"preStop": {"httpGet": {"path": "/drained", "port": 17809}}}

    [remark] = told("probe-address", of_app(lifecycle=hook))

    assert (
        remark.sentence
        == "app: preStop asks port 17809, which listens on loopback only, where the kubelet is not"
    )


@pytest.mark.parametrize(
    "hook",
    [
        {"httpGet": {"path": "/drained", "port": 17808}},
        {"httpGet": {"path": "/stop", "port": 8080}},
        {"sleep": {"seconds": 5}},
        {"exec": {"command": ["sleep", "5"]}},
    ],
)
def test_a_prestop_hook_that_waits_for_the_drain_or_asks_others_is_not_told(hook: Manifest) -> None:
    assert told("probe-address", of_app(lifecycle={"preStop": hook})) == []


def test_a_probe_that_asks_a_sidecar_which_only_checks_is_told() -> None:
    spec = pod(app(startupProbe=None), before=(waiter(),))

    assert told("probe-address", deployment(spec)) == [
        Told(
            "httpGet:",
            "app: livenessProbe asks the sidecar, which only checks in this pod and does not serve",
            "httpGet: {path: /livez, port: 17808}",
        )
    ]


def test_a_gate_that_no_probe_asks_for_holds_nothing_back() -> None:
    own = sidecar(startupProbe=None, readinessProbe=None)

    assert told("unasked-gate", deployment(native(own, app(livenessProbe=None)))) == [
        Told(
            "- name: sidecar",
            "no livenessProbe asks for app: gates: liveness holds nothing back",
            "livenessProbe: {httpGet: {path: /livez, port: 17808}, periodSeconds: 10, timeoutSeconds: 2, "
            "failureThreshold: 6}",
        ),
        Told(
            "- name: sidecar",
            "no readinessProbe asks for sessions, app: gates: readiness holds nothing back",
            "readinessProbe: {httpGet: {path: /readyz, port: 17808}, periodSeconds: 3, timeoutSeconds: 2, "
            "failureThreshold: 2}",
        ),
        Told(
            "- name: sidecar",
            "no startupProbe or readinessProbe asks for sessions: gates: startup holds nothing back",
            "startupProbe: {httpGet: {path: /startupz, port: 17808}, periodSeconds: 2, timeoutSeconds: 2, "
            "failureThreshold: 165}",
        ),
    ]


@pytest.mark.parametrize(
    "spec",
    [
        native(),
        native(sidecar(startupProbe=None)),
        plain(),
        native(sidecar(readinessProbe=None), app(readinessProbe=http("/readyz"))),
        native(sidecar(readinessProbe={"exec": {"command": ["sidecar", "probe", "--verbose", "readyz"]}})),
    ],
    ids=["native", "without startupProbe", "plain", "asked by the app", "asked by a command"],
)
def test_a_gate_that_some_probe_asks_for_is_not_told(spec: Manifest) -> None:
    assert told("unasked-gate", deployment(spec)) == []


@pytest.mark.parametrize("path", ["/readyz/app", "/readyz?exclude=sessions"])
def test_a_probe_that_asks_for_one_check_leaves_the_others_unasked(path: str) -> None:
    own = sidecar(readinessProbe=http(path))

    assert [remark.sentence for remark in told("unasked-gate", deployment(native(own)))] == [
        "no readinessProbe asks for sessions: gates: readiness holds nothing back"
    ]


def test_the_sidecars_own_health_holds_no_check_back() -> None:
    own = sidecar(readinessProbe=http("/healthz"))

    assert [remark.sentence for remark in told("unasked-gate", deployment(native(own)))] == [
        "no readinessProbe asks for sessions, app: gates: readiness holds nothing back"
    ]


@pytest.mark.parametrize("command", [["sidecar", "probe"], ["sidecar", "check"], ["sidecar"]])
def test_a_command_that_asks_no_probe_holds_no_check_back(command: list[str]) -> None:
    own = sidecar(readinessProbe={"exec": {"command": command}})

    assert len(told("unasked-gate", deployment(native(own)))) == 1


def test_a_command_that_reaches_nobody_holds_no_check_back() -> None:
    own = sidecar(readinessProbe={"exec": {"command": ["sidecar", "probe", "readyz", "--port", "1"]}})

    assert len(told("unasked-gate", deployment(native(own)))) == 1


@pytest.mark.parametrize("server", ["server: {port: 9100}", "server: {port: 9100, admin_socket: /run/s}"])
def test_a_command_has_to_be_told_another_port(server: str) -> None:
    command = ["sidecar", "probe", "readyz"]
    own = sidecar(readinessProbe={"exec": {"command": command}})

    sentences = [
        each.sentence for each in told("probe-address", deployment(native(own)), config(more=server))
    ]

    assert "sidecar: readinessProbe asks port 17808, where the sidecar does not listen" in sentences


def test_nobody_sends_traffic_to_a_job_so_that_its_readiness_needs_no_probe() -> None:
    assert told("unasked-gate", job(native(sidecar(readinessProbe=None)))) == []


def test_readiness_does_not_hold_the_start_of_a_job() -> None:
    [remark] = told("unasked-gate", job(native(sidecar(startupProbe=None))))

    assert remark.sentence == "no startupProbe asks for sessions: gates: startup holds nothing back"


def test_an_init_container_that_checks_holds_the_start_in_place_of_a_probe() -> None:
    own, theirs = sidecar(startupProbe=None, readinessProbe=http("/readyz/app")), app(readinessProbe=None)
    text = config("{name: db, type: tcp, host: db, port: 5432, gates: startup}")

    assert told("unasked-gate", deployment(pod(theirs, own, before=(waiter(),))), text) == []
    assert told("unasked-gate", job(pod(theirs, own, before=(waiter(),))), text) == []


def test_a_sidecar_that_only_checks_is_asked_by_nobody() -> None:
    assert told("unasked-gate", deployment(pod(app(), before=(waiter(),)))) == []


def test_the_shown_startup_probe_lasts_for_the_configured_deadline() -> None:
    text = config(startup="startup: {deadline: 61s}")
    own = sidecar(startupProbe=None, readinessProbe=http("/readyz/app"))

    assert "failureThreshold: 46}" in told("unasked-gate", deployment(native(own)), text)[-1].write
