"""What the sidecar's container has beside its probes: files, variables, resources, ports."""

import pytest

from tests.lint.pods import (
    APP,
    Manifest,
    Told,
    app,
    config,
    deployment,
    http,
    merged,
    native,
    plain,
    pod,
    sidecar,
    told,
    waiter,
)

LATCH = """\
startup: {latch_file: /var/lib/sidecar/latch}
volumeMounts: [{name: sidecar-state, mountPath: /var/lib/sidecar}]
volumes: [{name: sidecar-state, emptyDir: {}}]"""


def mounting(*mounts: Manifest, **volumes: Manifest) -> Manifest:
    """Return a Deployment whose sidecar mounts volumes."""
    declared = [{"name": name, **source} for name, source in volumes.items()]
    return deployment(native(sidecar(volumeMounts=[*mounts]), volumes=declared))


def at(path: str, name: str = "state", **overlay: object) -> Manifest:
    return {"name": name, "mountPath": path, **overlay}


@pytest.mark.parametrize(
    ("startup", "mounts", "source", "fault"),
    [
        ("", [at("/var/lib/sidecar")], {"emptyDir": {}}, "the configuration names no latch_file"),
        (
            None,
            [],
            {"emptyDir": {}},
            "/var/lib/sidecar/latch is on no volume, and is gone with the container",
        ),
        (
            None,
            [at("/var/lib/sidecar2")],
            {"emptyDir": {}},
            "/var/lib/sidecar/latch is on no volume, and is gone with the container",
        ),
        (
            None,
            [at("/var/lib/sidecar")],
            {"configMap": {"name": "x"}},
            "/var/lib/sidecar/latch is on the volume state, which is no emptyDir",
        ),
        (
            None,
            [at("/var/lib/sidecar", "gone")],
            {"emptyDir": {}},
            "/var/lib/sidecar/latch is on the volume gone, which is no emptyDir",
        ),
        (
            None,
            [at("/var/lib/sidecar", readOnly=True)],
            {"emptyDir": {}},
            "/var/lib/sidecar/latch is mounted read-only",
        ),
    ],
)
def test_a_latch_that_does_not_outlive_the_container_is_told(
    startup: str | None, mounts: list[Manifest], source: Manifest, fault: str
) -> None:
    text = config() if startup is None else config(startup=startup)

    assert told("latch-volume", mounting(*mounts, state=source), text) == [
        Told("- name: sidecar", f"sidecar: {fault}", LATCH)
    ]


@pytest.mark.parametrize(
    "manifest",
    [
        mounting(at("/var/lib/sidecar"), state={"emptyDir": {"sizeLimit": "1Mi"}}),
        mounting(at("/var/lib"), state={}),
        mounting(at("/var", "root"), at("/var/lib/sidecar"), root={"hostPath": {}}, state={"emptyDir": {}}),
        mounting(at("/var/lib/sidecar"), at("/var", "root"), root={"hostPath": {}}, state={"emptyDir": {}}),
        deployment(pod(app(), before=(waiter(),))),
    ],
)
def test_a_latch_that_outlives_the_container_is_not_told(manifest: Manifest) -> None:
    assert told("latch-volume", manifest) == []


def test_a_pod_without_a_start_gate_has_nothing_to_latch() -> None:
    assert told("latch-volume", deployment(), config(APP, startup="")) == []


@pytest.mark.parametrize("source", ["configMap", "secret", "projected", "downwardAPI"])
def test_a_file_of_ours_that_is_mounted_by_subpath_is_told(source: str) -> None:
    mount = at("/etc/sidecar/config.yaml", "config", subPath="config.yaml")

    assert told("config-subpath", mounting(mount, config={source: {}})) == [
        Told(
            "- name: config",
            f"sidecar mounts a file of the {source} volume config by subPath, so that it is never updated",
            "mountPath: /etc/sidecar, without subPath",
        )
    ]


def test_a_subpath_that_is_computed_is_told_as_well() -> None:
    mount = at("/etc/sidecar/config.yaml", "config", subPathExpr="$(NAME).yaml")

    assert len(told("config-subpath", mounting(mount, config={"configMap": {}}))) == 1


@pytest.mark.parametrize(
    "manifest",
    [
        mounting(at("/etc/sidecar", "config"), config={"configMap": {}}),
        mounting(at("/var/lib/sidecar", subPath="latch"), state={"emptyDir": {}}),
        mounting(at("/etc/sidecar", "unknown", subPath="x"), config={"configMap": {}}),
        deployment(native(theirs=app(volumeMounts=[at("/etc/app", "config", subPath="x")]))),
    ],
    ids=["whole volume", "emptyDir", "no such volume", "the app's own affair"],
)
def test_a_file_that_the_kubelet_updates_is_not_told(manifest: Manifest) -> None:
    assert told("config-subpath", manifest) == []


def variable(name: str, value: str) -> Manifest:
    return deployment(native(theirs=app(env=[{"name": name, "value": value}])))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "hunter2"),
        ("PGPASSWORD", "hunter2"),
        ("db_passwd", "hunter2"),
        ("CLIENT_SECRET", "hunter2"),
        ("GITHUB_TOKEN", "hunter2"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("STRIPE_API_KEY", "hunter2"),
        ("STRIPE_APIKEY", "hunter2"),
        ("SLACK_WEBHOOK_URL", "https://hooks.example.com/T0/B0/x"),
        ("DB_PASS", "hunter2"),
        ("AMQP_URL", "amqp://guest:hunter2@rabbitmq/"),
        ("REDIS_URL", "redis://:hunter2@redis"),
    ],
)
def test_a_secret_in_the_manifest_is_told_and_not_shown(name: str, value: str) -> None:
    assert told("secret-in-env", variable(name, value)) == [
        Told(
            f"- name: {name}",
            f"app: the value of {name} stands in the manifest",
            f"{{name: {name}, valueFrom: {{secretKeyRef: {{name: NAME, key: KEY}}}}}}",
        )
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", ""),
        ("DB_PASSWORD", "/run/secrets/password"),
        ("DB_PASSWORD", "$(OTHER)"),
        ("DB_PASSWORD_FILE", "hunter2"),
        ("TOKEN_URL", "https://login.example.com"),
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("PWD", "here"),
        ("KEY", "none"),
        ("AMQP_URL", "amqp://guest@rabbitmq:5672/"),
        ("AMQP_URL", "amqp://guest:$(PASSWORD)@rabbitmq/"),
        ("HINT", "mail me: a@example.com"),
    ],
)
def test_what_is_no_secret_is_not_told(name: str, value: str) -> None:
    assert told("secret-in-env", variable(name, value)) == []


def test_a_secret_from_a_secret_is_not_told() -> None:
    reference = {"secretKeyRef": {"name": "db", "key": "password"}}
    own = sidecar(env=[{"name": "DB_PASSWORD", "valueFrom": reference}])

    assert told("secret-in-env", deployment(native(own))) == []


@pytest.mark.parametrize(
    ("resources", "missing"),
    [
        (None, "no cpu and no memory"),
        ({"requests": {"cpu": "25m"}}, "no memory"),
        ({"limits": {"memory": "128Mi"}}, "no cpu"),
    ],
)
def test_a_sidecar_that_asks_for_nothing_is_told(resources: Manifest | None, missing: str) -> None:
    [remark] = told("requests", deployment(native(sidecar(resources=resources))))

    assert (remark.sentence, remark.write) == (
        f"sidecar requests {missing}",
        "requests: {cpu: 25m, memory: 64Mi}",
    )


@pytest.mark.parametrize(
    "spec",
    [
        native(),
        native(sidecar(resources={"limits": {"cpu": "1", "memory": "128Mi"}})),
        native(sidecar(resources=None), resources={"requests": {"cpu": "1", "memory": "1Gi"}}),
        native(sidecar(resources=None), resources={"limits": {"cpu": "1", "memory": "1Gi"}}),
    ],
    ids=["requests", "limits are requests", "requests of the pod", "limits of the pod"],
)
def test_a_sidecar_with_requests_is_not_told(spec: Manifest) -> None:
    assert told("requests", deployment(spec)) == []


def test_a_sidecar_without_a_memory_limit_is_told() -> None:
    own = sidecar(resources={"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"cpu": "1"}})

    assert told("limits", deployment(native(own))) == [
        Told("resources:", "sidecar has no memory limit", "limits: {memory: 128Mi}")
    ]


def test_a_memory_limit_of_the_sidecar_or_the_pod_is_not_told() -> None:
    assert told("limits", deployment()) == []
    assert (
        told("limits", deployment(native(sidecar(resources=None), resources={"limits": {"memory": "1Gi"}})))
        == []
    )


def other(*ports: int, **overlay: object) -> Manifest:
    return merged(
        {"name": "other", "image": "other", "ports": [{"containerPort": port} for port in ports]}, overlay
    )


@pytest.mark.parametrize(
    ("container", "taken"),
    [
        (other(17808), "17808"),
        (other(9000, 17809), "17809"),
        (other(17809, 17808), "17808, 17809"),
        (other(image="registry.example.com/sidecar:2"), "17808, 17809"),
        (other(17808, image="sidecar"), "17808"),
    ],
)
def test_another_container_that_listens_where_the_sidecar_does_is_told(
    container: Manifest, taken: str
) -> None:
    assert told("port-conflict", deployment(pod(app(), sidecar(), container))) == [
        Told(
            "- name: other",
            f"other listens on {taken}, and so does sidecar",
            "server: {port: 17818, admin_port: 17819}",
        )
    ]


def test_another_native_sidecar_on_the_port_is_told() -> None:
    before = ({**sidecar(), "restartPolicy": "Always"}, other(17808, restartPolicy="Always"))

    assert len(told("port-conflict", deployment(pod(app(), before=before)))) == 1


@pytest.mark.parametrize(
    "spec",
    [
        plain(),
        pod(app(), sidecar(), other(9000)),
        pod(app(), sidecar(), other(9000, image="sidecar")),
        pod(app(), sidecar(), before=(other(17808),)),
        pod(app(), sidecar(), before=(waiter(),)),
    ],
    ids=["alone", "another port", "a second sidecar on another port", "has ended before", "only checks"],
)
def test_containers_on_ports_of_their_own_are_not_told(spec: Manifest) -> None:
    assert told("port-conflict", deployment(spec)) == []


def test_a_conflict_is_about_the_configured_port() -> None:
    own = sidecar(readinessProbe=http("/readyz", 9000))
    text = config(more="server: {port: 9000, admin_port: 9001}")

    assert [
        remark.write for remark in told("port-conflict", deployment(pod(app(), own, other(9001))), text)
    ] == ["server: {port: 9010, admin_port: 9011}"]


def test_a_pod_in_its_nodes_network_is_told() -> None:
    assert told("host-network", deployment(native(hostNetwork=True))) == [
        Told(
            "hostNetwork: true",
            "the pod shares its node's network: port 17808 is the whole node's, and so is loopback, where "
            "port 17809 shows messages and begins a drain",
            "hostNetwork: false",
        )
    ]


def test_a_pod_in_its_own_network_is_not_told() -> None:
    assert told("host-network", deployment(native(hostNetwork=False))) == []
    assert told("host-network", deployment()) == []
