"""A start does not wait for itself, and is given the time that it may take."""

import pytest

from tests.lint.pods import (
    STARTUP,
    Manifest,
    Told,
    app,
    config,
    deployment,
    http,
    job,
    merged,
    native,
    plain,
    pod,
    sidecar,
    told,
    waiter,
)

LOCAL = "{name: app, type: http, url: 'http://localhost:8080/healthz', gates: [liveness, startup]}"
DB = "{name: db, type: tcp, host: db, port: 5432, gates: startup}"
NATIVE = {"restartPolicy": "Always"}


def proxy(name: str = "proxy", *ports: int) -> Manifest:
    """Return another native sidecar."""
    declared = [{"containerPort": port} for port in ports]
    return {"name": name, "image": name, **NATIVE, **({"ports": declared} if ports else {})}


def around(
    own: Manifest, *, before: tuple[Manifest, ...] = (), behind: tuple[Manifest, ...] = ()
) -> Manifest:
    """Return a Deployment whose native sidecar stands between other init containers."""
    return deployment(pod(app(), before=(*before, {**own, **NATIVE}, *behind)))


def test_a_native_sidecar_that_waits_for_the_app_is_told() -> None:
    assert told("start-deadlock", deployment(), config(LOCAL)) == [
        Told(
            f"- {LOCAL}",
            "sidecar waits for the check app before the app is started, and http://localhost:8080/healthz is "
            "inside the pod: neither ever starts",
            "gates: [liveness, readiness]",
        )
    ]


def test_the_way_out_is_one_word_where_the_check_gates_nothing_else() -> None:
    text = config("{name: app, type: tcp, host: '::1', port: 8080, gates: startup}")

    [remark] = told("start-deadlock", deployment(), text)

    assert remark.write == "gates: readiness"


def test_a_startup_probe_that_asks_for_readiness_waits_for_what_gates_readiness() -> None:
    own = sidecar(startupProbe=http("/readyz"))

    assert [remark.write for remark in told("start-deadlock", deployment(native(own)))] == ["path: /startupz"]


def test_an_init_container_that_waits_for_the_app_is_told() -> None:
    spec = pod(app(), sidecar(), before=(waiter(),))

    [remark] = told("start-deadlock", deployment(spec), config(LOCAL))

    assert remark.sentence.startswith("wait waits for the check app before the app is started")


@pytest.mark.parametrize(
    "arguments", [("--only", "app"), ("--only=app",), ("--gate", "liveness"), ("--wait", "1m")]
)
def test_an_init_container_that_runs_the_apps_check_is_shown_the_gate(arguments: tuple[str, ...]) -> None:
    spec = pod(app(), sidecar(), before=(waiter(*arguments),))

    assert [remark.write for remark in told("start-deadlock", deployment(spec))] == ["--gate startup"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--gate", "startup"),
        ("--gate=startup",),
        ("--only", "sessions"),
        ("--gate", "liveness", "--gate", "startup"),
    ],
)
def test_an_init_container_that_leaves_the_apps_check_out_is_not_told(arguments: tuple[str, ...]) -> None:
    assert told("start-deadlock", deployment(pod(app(), sidecar(), before=(waiter(*arguments),)))) == []


def test_a_socket_file_is_inside_the_pod_too() -> None:
    text = config("{name: cache, type: redis, url: 'unix:///run/redis.sock', gates: startup}")

    [remark] = told("start-deadlock", deployment(), text)

    assert "/run/redis.sock is inside the pod" in remark.sentence


@pytest.mark.parametrize(
    "manifest",
    [
        deployment(plain()),
        deployment(native(sidecar(startupProbe=None))),
        deployment(native(sidecar(startupProbe=http("/healthz")))),
        deployment(native(sidecar(startupProbe=http("/anything")))),
        around(sidecar(), before=(proxy("proxy", 8080),)),
    ],
    ids=[
        "plain container",
        "no startupProbe",
        "asks for itself",
        "asks nothing of ours",
        "served by a proxy before",
    ],
)
def test_a_start_that_somebody_answers_is_not_told(manifest: Manifest) -> None:
    assert told("start-deadlock", manifest, config(LOCAL)) == []


@pytest.mark.parametrize(
    ("before", "behind"),
    [((proxy("proxy", 9090),), ()), ((), (proxy("proxy", 8080),))],
    ids=["another port", "behind"],
)
def test_a_proxy_with_another_port_or_behind_the_sidecar_does_not_answer(
    before: tuple[Manifest, ...], behind: tuple[Manifest, ...]
) -> None:
    assert len(told("start-deadlock", around(sidecar(), before=before, behind=behind), config(LOCAL))) == 1


def test_an_init_container_that_has_ended_answers_nobody() -> None:
    ended = {"name": "migrate", "image": "app", "ports": [{"containerPort": 8080}]}

    assert len(told("start-deadlock", around(sidecar(), before=(ended,)), config(LOCAL))) == 1


def test_a_socket_file_may_be_a_native_sidecars_that_is_started_before() -> None:
    text = config("{name: cache, type: redis, url: 'unix:///run/redis.sock', gates: startup}")

    assert told("start-deadlock", around(sidecar(), before=(proxy(),)), text) == []


@pytest.mark.parametrize(
    ("check", "missing"),
    [
        ("type: http, url: 'http://0.0.0.0:8080'", "http://0.0.0.0:8080"),
        ("type: tcp, host: '::', port: 8080", "[::]:8080"),
        ("type: http, url: 'http://App.local.:8080/'", "http://App.local.:8080/"),
        ("type: exec, command: [curl, 'http://localhost:8080/']", "localhost:8080"),
        ("type: exec, command: [curl, 'http://u:p@127.0.0.1/']", "127.0.0.1"),
        ("type: exec, command: [sh, -c, \"curl -m 2 'http://[::1]:8080' || exit 1\"]", "[::1]:8080"),
        ("type: exec, command: [grpc_health_probe, '-addr=localhost:9000']", "localhost:9000"),
        ("type: exec, command: [nc, -z, 127.0.0.1, '8080']", "127.0.0.1:8080"),
        ("type: exec, command: [curl, 'http://app.local:8080/']", "app.local:8080"),
    ],
)
def test_whatever_names_the_pod_itself_is_inside_it(check: str, missing: str) -> None:
    spec = native(hostAliases=[{"ip": "127.0.0.1", "hostnames": ["app.local"]}])
    text = config(f"{{name: app, {check}, gates: startup}}")

    [remark] = told("start-deadlock", deployment(spec), text)

    assert f"and {missing} is inside the pod: neither" in remark.sentence


@pytest.mark.parametrize(
    "check",
    [
        "type: http, url: 'http://web:8080'",
        "type: exec, command: [curl, 'http://web:8080/?from=localhost']",
        "type: exec, command: [curl, 'http://localhost.example.com:8080/']",
        "type: exec, command: [curl, 'http://mylocalhost:8080/']",
        "type: exec, command: [migrations, --pending]",
        "type: file, path: /etc/sidecar/ready",
        "type: file, path: /var/lib/sidecar/ready",
        "type: file, path: /nowhere/ready",
    ],
)
def test_what_is_not_inside_the_pod_is_not_told(check: str) -> None:
    assert told("start-deadlock", deployment(), config(f"{{name: app, {check}, gates: startup}}")) == []


def test_a_command_may_ask_a_proxy_that_is_started_before() -> None:
    text = config(
        "{name: db, type: exec, command: [pg_isready, -d, 'postgres://localhost:5432/'], gates: startup}"
    )

    assert told("start-deadlock", around(sidecar(), before=(proxy("proxy", 5432),)), text) == []


BEAT = "{name: beat, type: file, path: /run/work/beat, gates: [liveness, startup]}"
READS = {"name": "work", "mountPath": "/run/work", "readOnly": True}
WRITES = {"name": "work", "mountPath": "/work"}


def sharing(
    source: Manifest, theirs: Manifest, *, before: tuple[Manifest, ...] = (), at: Manifest = READS
) -> Manifest:
    """Return a Deployment whose containers mount a volume, the sidecar's to look at a file."""
    spec = pod(
        app(volumeMounts=[theirs]),
        before=(*before, {**sidecar(volumeMounts=[at]), **NATIVE}),
        volumes=[{"name": "work", **source}],
    )
    return deployment(spec)


def test_a_file_that_only_the_app_can_write_is_told() -> None:
    assert told("start-deadlock", sharing({"emptyDir": {}}, WRITES), config(BEAT)) == [
        Told(
            f"- {BEAT}",
            "sidecar waits for the check beat before the app is started, and /run/work/beat is on the "
            "emptyDir work, which app fills: neither ever starts",
            "gates: [liveness, readiness]",
        )
    ]


@pytest.mark.parametrize(
    "manifest",
    [
        sharing({"hostPath": {"path": "/work"}}, WRITES),
        sharing({"emptyDir": {}}, {**WRITES, "readOnly": True}),
        sharing({"emptyDir": {}}, {"name": "other", "mountPath": "/work"}),
        sharing({"emptyDir": {}}, WRITES, before=({"name": "fill", "image": "i", "volumeMounts": [WRITES]},)),
        sharing({"emptyDir": {}}, WRITES, at={**READS, "mountPath": "/run/workers"}),
    ],
    ids=["outlives the pod", "app only reads", "another volume", "filled before", "elsewhere"],
)
def test_a_file_that_may_be_there_before_the_app_is_not_told(manifest: Manifest) -> None:
    assert told("start-deadlock", manifest, config(BEAT)) == []


ISTIO = {"sidecar.istio.io/inject": "true"}
LINKERD = {"linkerd.io/inject": "enabled"}


def meshed(
    spec: Manifest, *, labels: Manifest | None = None, annotations: Manifest | None = None
) -> Manifest:
    """Return a Deployment whose pods have labels and annotations."""
    metadata = {"labels": labels or {}, "annotations": annotations or {}}
    return deployment(spec, template={"metadata": metadata, "spec": spec})


@pytest.mark.parametrize(
    ("labels", "annotations", "mesh", "write"),
    [
        (ISTIO, {}, "Istio", 'sidecar.istio.io/nativeSidecar: "true"'),
        ({}, ISTIO, "Istio", 'sidecar.istio.io/nativeSidecar: "true"'),
        ({}, LINKERD, "Linkerd", 'config.beta.linkerd.io/proxy-enable-native-sidecar: "true"'),
        (
            {},
            {"linkerd.io/inject": "ingress"},
            "Linkerd",
            'config.beta.linkerd.io/proxy-enable-native-sidecar: "true"',
        ),
    ],
)
def test_a_start_before_the_mesh_has_opened_the_network_is_told(
    labels: Manifest, annotations: Manifest, mesh: str, write: str
) -> None:
    manifest = meshed(native(), labels=labels, annotations=annotations)

    assert told("start-before-mesh", manifest) == [
        Told(
            "- name: sidecar",
            f"sidecar waits for sessions, and what it sends goes to {mesh}'s proxy, which is started only "
            "after it",
            write,
        )
    ]


@pytest.mark.parametrize(
    "annotations",
    [
        {"sidecar.istio.io/inject": "false"},
        {"linkerd.io/inject": "disabled"},
        {**ISTIO, "sidecar.istio.io/nativeSidecar": "true"},
        {**LINKERD, "config.beta.linkerd.io/proxy-enable-native-sidecar": "true"},
        {**LINKERD, "config.alpha.linkerd.io/proxy-enable-native-sidecar": "true"},
        {**ISTIO, "traffic.sidecar.istio.io/excludeOutboundPorts": "80, 6379"},
        {**LINKERD, "config.linkerd.io/skip-outbound-ports": "6000-6379"},
    ],
)
def test_a_start_with_an_open_network_is_not_told(annotations: Manifest) -> None:
    assert told("start-before-mesh", meshed(native(), annotations=annotations)) == []


@pytest.mark.parametrize("ports", ["80", "6380-6400", "6370-6378", "*", "", "a-b", "9" * 5000, "1-6378,²"])
def test_other_ports_that_pass_the_proxy_by_do_not_help(ports: str) -> None:
    annotations = {**ISTIO, "traffic.sidecar.istio.io/excludeOutboundPorts": ports}

    assert len(told("start-before-mesh", meshed(native(), annotations=annotations))) == 1


def test_a_native_proxy_before_the_sidecar_has_opened_the_network() -> None:
    assert told("start-before-mesh", around(sidecar(), before=(proxy("istio-proxy"),))) == []


def test_a_proxy_behind_the_sidecar_is_told() -> None:
    for manifest in (
        around(sidecar(), behind=(proxy("linkerd-proxy"),)),
        deployment(pod(app(), {"name": "linkerd-proxy", "image": "p"}, before=({**sidecar(), **NATIVE},))),
    ):
        assert [remark.write for remark in told("start-before-mesh", manifest)] == [
            "linkerd-proxy before sidecar, with restartPolicy: Always"
        ]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (plain(), config()),
        (native(sidecar(startupProbe=None)), config()),
        (native(), config(LOCAL)),
    ],
    ids=["starts beside the proxy", "waits for nothing", "sends nothing out"],
)
def test_a_mesh_is_no_matter_where_nothing_waits_for_the_network(spec: Manifest, text: str) -> None:
    assert told("start-before-mesh", meshed(spec, annotations=ISTIO), text) == []


BUILDS = (
    "{name: builds, type: rabbitmq, url: 'amqp://rabbitmq', queues: [builds, done], exchanges: [events], "
    "gates: startup}"
)


def test_a_start_that_waits_for_queues_and_exchanges_is_told() -> None:
    assert told("start-waits-for-app", deployment(), config(BUILDS)) == [
        Told(
            f"- {BUILDS}",
            "sidecar waits for the queue builds, the queue done, the exchange events before the app is "
            "started: if the app, or an init container behind it, creates one of them, neither ever starts",
            "gates: readiness",
        )
    ]


def test_a_start_that_waits_for_migrations_and_unique_indexes_is_told() -> None:
    orders = (
        "{name: orders, type: postgres, url: 'postgres://sidecar@db/orders', "
        "migrations: {table: schema_migrations, column: version, at_least: 42}, "
        "unique: [{table: orders, columns: [message_id]}], gates: startup}"
    )
    assert told("start-waits-for-app", deployment(), config(orders)) == [
        Told(
            f"- {orders}",
            "sidecar waits for the migrations in schema_migrations, the unique index of orders before the "
            "app is started: if the app, or an init container behind it, creates one of them, neither ever "
            "starts",
            "gates: readiness",
        )
    ]


def test_a_start_that_waits_for_a_delivery_contract_is_told_each_name_once() -> None:
    text = config(
        "{name: delivery, type: rabbitmq-delivery, url: 'amqp://rabbitmq', queues: [{name: builds}], "
        "exchanges: [{name: amq.topic}], gates: startup, "
        "bindings: [{exchange: events, queue: builds}, {exchange: amq.topic, queue: done}]}"
    )

    [remark] = told("start-waits-for-app", deployment(), text)

    assert "waits for the queue builds, the queue done, the exchange events before" in remark.sentence


def test_an_init_container_that_waits_for_queues_is_told() -> None:
    spec = pod(app(), sidecar(startupProbe=None), before=(waiter(),))

    assert len(told("start-waits-for-app", deployment(spec), config(BUILDS))) == 1


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (plain(), config(BUILDS)),
        (native(), config(BUILDS.replace("startup", "readiness"))),
        (native(), config("{name: builds, type: rabbitmq, url: 'amqp://rabbitmq', gates: startup}")),
        (native(), config(DB)),
    ],
    ids=["plain container", "gates readiness", "only the broker", "no broker"],
)
def test_a_start_that_waits_for_nothing_of_the_apps_is_not_told(spec: Manifest, text: str) -> None:
    assert told("start-waits-for-app", deployment(spec), text) == []


def test_an_init_container_that_serves_is_told() -> None:
    assert told("init-never-ends", deployment(pod(app(), before=(sidecar(),)))) == [
        Told(
            "- name: sidecar",
            "sidecar is an init container that serves: it never ends, and the app never starts",
            "restartPolicy: Always",
        )
    ]


@pytest.mark.parametrize(
    "spec",
    [
        native(),
        plain(),
        pod(app(), before=(waiter(),)),
        pod(app(), before=(merged(waiter(), {"args": ["validate"]}),)),
    ],
)
def test_an_init_container_that_ends_is_not_told(spec: Manifest) -> None:
    assert told("init-never-ends", deployment(spec)) == []


READY = "{name: db, type: tcp, host: db, port: 5432}"


def test_an_init_container_that_checks_a_gate_which_no_check_has_is_told() -> None:
    assert told("init-proves-nothing", deployment(pod(app(), before=(waiter(),))), config(READY)) == [
        Told(
            "- name: wait",
            "wait runs the checks that gate startup, and no check does: it proves nothing",
            "gates: startup",
        )
    ]


def test_an_init_container_beside_a_sidecar_that_serves_is_told_as_well() -> None:
    spec = pod(app(), sidecar(), before=(waiter("--gate=liveness"),))

    assert [remark.write for remark in told("init-proves-nothing", deployment(spec), config(READY))] == [
        "gates: liveness"
    ]


def test_an_init_container_whose_only_check_has_another_gate_is_told() -> None:
    spec = pod(app(), before=(waiter("--only", "app", "--gate", "startup"),))

    [remark] = told("init-proves-nothing", deployment(spec))

    assert (
        remark.sentence == "wait runs the checks that gate startup, and none of app does: it proves nothing"
    )


@pytest.mark.parametrize(
    "arguments",
    [("--gate", "readiness"), ("5m",), ("--only", "db"), ("--only", "nobody", "--gate", "startup")],
    ids=["a gate that has one", "all", "one by name", "refused by the verb"],
)
def test_an_init_container_that_checks_something_or_is_refused_is_not_told(
    arguments: tuple[str, ...],
) -> None:
    spec = pod(app(), before=(waiter(*arguments),))

    assert told("init-proves-nothing", deployment(spec), config(READY)) == []


def test_a_sidecar_that_serves_need_not_hold_the_start() -> None:
    assert told("init-proves-nothing", deployment(), config(READY)) == []


@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_a_plain_container_that_serves_on_is_told_in_a_job(kind: str) -> None:
    manifest = job(plain())
    if kind == "CronJob":
        manifest = {
            "kind": kind,
            "metadata": {"name": "builds"},
            "spec": {"jobTemplate": {"spec": manifest["spec"]}},
        }

    assert told("job-never-completes", manifest) == [
        Told(
            "- name: sidecar",
            f"sidecar is a plain container of {kind} builds: it goes on serving when the work is done, and "
            "the pod never completes",
            "restartPolicy: Always, and sidecar among the initContainers",
        )
    ]


@pytest.mark.parametrize(
    "manifest",
    [
        job(native()),
        deployment(plain()),
        job(plain(sidecar(args=["check"]))),
        job(pod(app(), before=(sidecar(),))),
    ],
    ids=["native", "no job", "checks once", "init"],
)
def test_a_pod_that_completes_or_need_not_is_not_told(manifest: Manifest) -> None:
    assert told("job-never-completes", manifest) == []


def budget(**times: int) -> Manifest:
    return deployment(native(sidecar(startupProbe=http("/startupz", **times))))


def test_a_startup_probe_a_second_shorter_than_the_deadline_and_half_a_minute_is_told() -> None:
    assert told("startup-budget", budget(periodSeconds=1, failureThreshold=329)) == [
        Told(
            "startupProbe:",
            "sidecar: startupProbe gives up after 329s, and the startup deadline is 5m: the kubelet restarts "
            "it too early",
            "failureThreshold: 330",
        )
    ]


@pytest.mark.parametrize(
    "times",
    [
        {"periodSeconds": 1, "failureThreshold": 330},
        {"periodSeconds": 1, "failureThreshold": 300, "initialDelaySeconds": 30},
    ],
)
def test_a_startup_probe_as_long_as_the_deadline_and_half_a_minute_is_not_told(times: dict[str, int]) -> None:
    assert told("startup-budget", budget(**times)) == []


def test_the_shown_budget_counts_the_initial_delay_and_is_rounded_up() -> None:
    [remark] = told("startup-budget", budget(periodSeconds=7, failureThreshold=10, initialDelaySeconds=20))

    assert remark.write == "failureThreshold: 45"


def test_the_defaults_of_a_startup_probe_are_too_short() -> None:
    [remark] = told("startup-budget", budget())

    assert "gives up after 30s" in remark.sentence


BOOT = app(startupProbe=http("/readyz", periodSeconds=2, failureThreshold=30))


@pytest.mark.parametrize("spec", [plain(theirs=BOOT), native(theirs=BOOT)], ids=["plain", "native"])
def test_an_app_whose_startup_probe_waits_for_all_checks_is_shown_its_own(spec: Manifest) -> None:
    assert told("startup-budget", deployment(spec)) == [
        Told(
            "httpGet:",
            "app: startupProbe asks /readyz, which waits for sessions as well, and gives up after 60s: the "
            "kubelet restarts the app for what is not its own",
            "path: /readyz/app",
        )
    ]


def test_an_app_without_a_check_of_its_own_needs_the_same_budget() -> None:
    [remark] = told("startup-budget", deployment(plain(theirs=BOOT)), config(DB))

    assert remark.sentence.startswith("app: startupProbe gives up after 60s, and the startup deadline is 5m")


OWN = "{name: app, type: tcp, host: localhost, port: 8080, gates: readiness}"


def test_what_held_the_start_of_a_native_sidecar_does_not_hold_the_apps() -> None:
    assert told("startup-budget", deployment(native(theirs=BOOT)), config(DB, OWN)) == []
    assert len(told("startup-budget", deployment(plain(theirs=BOOT)), config(DB, OWN))) == 1


def test_an_app_whose_startup_probe_waits_for_the_app_alone_is_not_told() -> None:
    text = config(OWN.replace("readiness", "startup"))

    assert told("startup-budget", deployment(plain(theirs=BOOT)), text) == []


def test_an_app_whose_startup_probe_outlasts_the_deadline_is_not_told() -> None:
    theirs = app(startupProbe=http("/readyz", periodSeconds=1, failureThreshold=330))

    assert told("startup-budget", deployment(plain(theirs=theirs))) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/startupz", config("{name: db, type: tcp, host: db, port: 1, gates: readiness}")),
        ("/readyz/sessions", config()),
        ("/healthz", config()),
        ("/none-of-ours", config()),
    ],
)
def test_a_startup_probe_that_does_not_wait_for_the_deadline_is_not_told(path: str, text: str) -> None:
    assert told("startup-budget", deployment(native(sidecar(startupProbe=http(path)))), text) == []


def test_the_budget_follows_the_configured_deadline() -> None:
    assert told("startup-budget", budget(failureThreshold=9), config(startup="startup: {deadline: 1m}")) == []
    assert (
        len(told("startup-budget", budget(failureThreshold=8), config(startup="startup: {deadline: 1m}")))
        == 1
    )
    assert STARTUP not in config(startup="startup: {deadline: 1m}")
