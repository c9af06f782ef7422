"""The app is restarted when that cures it, and for nothing else."""

import pytest

from tests.lint.pods import Manifest, Told, app, config, deployment, http, native, pod, sidecar, told, waiter

OWN = {"periodSeconds": 5, "failureThreshold": 3, "timeoutSeconds": 2}


def of_app(**overlay: object) -> Manifest:
    return deployment(native(theirs=app(**overlay)))


def of_sidecar(**overlay: object) -> Manifest:
    return deployment(native(sidecar(**overlay)))


def app_fuse(seconds: int) -> Manifest:
    return app(livenessProbe=http("/livez", periodSeconds=1, failureThreshold=seconds))


@pytest.mark.parametrize(
    ("role", "write"),
    [
        ("startupProbe", "path: /startupz"),
        ("readinessProbe", "path: /readyz"),
        ("livenessProbe", "path: /healthz"),
    ],
)
def test_the_apps_liveness_on_the_sidecars_container_is_told(role: str, write: str) -> None:
    assert told("livez-on-sidecar", of_sidecar(**{role: http("/livez")})) == [
        Told(
            "httpGet:",
            f"sidecar: {role} asks /livez, which says whether the app lives; this container is the sidecar",
            write,
        )
    ]


def test_the_apps_own_check_on_the_sidecars_container_is_told_as_it_is_asked() -> None:
    [remark] = told("livez-on-sidecar", of_sidecar(livenessProbe=http("/livez/app")))

    assert "livenessProbe asks /livez/app, which says" in remark.sentence


def test_the_sidecars_own_questions_are_not_told() -> None:
    assert told("livez-on-sidecar", of_sidecar()) == []


@pytest.mark.parametrize(
    ("path", "killer"),
    [
        ("/readyz", "/readyz, so that every outage of what gates readiness restarts it"),
        ("/startupz", "/startupz, so that a start that takes long restarts it"),
        ("/healthz", "/healthz, so that a sick sidecar restarts it"),
        ("/readyz/app", "/readyz/app, so that every failure of app restarts it"),
    ],
)
def test_an_app_that_is_restarted_for_others_is_told(path: str, killer: str) -> None:
    assert told("liveness-question", of_app(livenessProbe=http(path))) == [
        Told("httpGet:", f"app: livenessProbe asks {killer}", "path: /livez")
    ]


def test_a_sidecar_that_is_restarted_for_a_dependency_is_told() -> None:
    assert told("liveness-question", of_sidecar(livenessProbe=http("/readyz"))) == [
        Told(
            "httpGet:",
            "sidecar: livenessProbe asks /readyz, so that every outage of what gates readiness restarts it",
            "path: /healthz",
        )
    ]


@pytest.mark.parametrize(
    "manifest",
    [
        of_app(livenessProbe=http("/livez/app")),
        of_app(livenessProbe=http("/readyz", 8080)),
        of_app(readinessProbe=http("/readyz")),
        of_sidecar(livenessProbe=http("/healthz")),
    ],
)
def test_liveness_that_speaks_for_its_container_is_not_told(manifest: Manifest) -> None:
    assert told("liveness-question", manifest) == []


def test_a_fuse_a_second_shorter_than_the_replacement_of_a_sick_sidecar_is_told() -> None:
    assert told("liveness-fuse", deployment(native(theirs=app_fuse(52)))) == [
        Told(
            "livenessProbe:",
            "app: livenessProbe may fail for 52s, 52 times 1s, and replacing a sick sidecar takes 53s: 17s "
            "until it is noticed, 5s of grace, 10s of back-off, 1s to start and 20s to spare",
            "failureThreshold: 53",
        )
    ]


def test_a_fuse_as_long_as_the_replacement_of_a_sick_sidecar_is_not_told() -> None:
    assert told("liveness-fuse", deployment(native(theirs=app_fuse(53)))) == []


@pytest.mark.parametrize(("fuse", "count"), [(77, 1), (78, 0)])
def test_a_sidecar_without_a_grace_period_of_its_own_gets_the_pods(fuse: int, count: int) -> None:
    own = sidecar(livenessProbe=http("/healthz", **OWN))

    assert len(told("liveness-fuse", deployment(native(own, app_fuse(fuse))))) == count


@pytest.mark.parametrize(("fuse", "count"), [(57, 1), (58, 0)])
def test_the_pods_grace_period_may_be_a_shorter_one(fuse: int, count: int) -> None:
    own = sidecar(livenessProbe=http("/healthz", **OWN))
    spec = native(own, app_fuse(fuse), terminationGracePeriodSeconds=10)

    assert len(told("liveness-fuse", deployment(spec))) == count


def test_the_shown_threshold_is_rounded_up() -> None:
    theirs = app(livenessProbe=http("/livez", periodSeconds=10))

    [remark] = told("liveness-fuse", deployment(native(theirs=theirs)))

    assert remark.write == "failureThreshold: 6"


def test_a_sidecar_that_nobody_restarts_costs_the_app_its_life() -> None:
    assert told("liveness-fuse", of_sidecar(livenessProbe=None)) == [
        Told(
            "- name: sidecar",
            "sidecar has no livenessProbe: nobody restarts a sidecar that hangs, and app, whose "
            "livenessProbe it answers, is restarted for ever in its place",
            "livenessProbe: {httpGet: {path: /healthz, port: 17808}, periodSeconds: 5, timeoutSeconds: 2, "
            "failureThreshold: 3, terminationGracePeriodSeconds: 5}",
        )
    ]


@pytest.mark.parametrize(
    "manifest",
    [
        of_app(livenessProbe=http("/livez", 8080, periodSeconds=1)),
        of_app(livenessProbe=None),
        deployment(pod(app_fuse(1), before=(waiter(),))),
    ],
    ids=["asks itself", "has none", "nobody serves"],
)
def test_a_fuse_that_does_not_depend_on_the_sidecar_is_not_told(manifest: Manifest) -> None:
    assert told("liveness-fuse", manifest) == []


@pytest.mark.parametrize(
    ("probe", "question"),
    [
        (http("/livez", initialDelaySeconds=5), "httpGet: {path: /readyz/app, port: 17808}"),
        (http("/alive", 8080, initialDelaySeconds=5), "httpGet: {path: /alive, port: 8080}"),
        (
            {"exec": {"command": ["true"]}, "initialDelaySeconds": 5},
            "httpGet: {path: /readyz/app, port: 17808}",
        ),
    ],
)
def test_an_app_that_may_be_killed_while_it_boots_is_told(probe: Manifest, question: str) -> None:
    assert told("liveness-without-startup", of_app(startupProbe=None, livenessProbe=probe)) == [
        Told(
            "livenessProbe:",
            "app has a livenessProbe and no startupProbe: a boot, the first or a later one, that takes "
            "longer than 35s is killed, and so is the next",
            f"startupProbe: {{{question}, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 30}}",
        )
    ]


@pytest.mark.parametrize(
    "overlay", [{}, {"livenessProbe": None}, {"startupProbe": None, "livenessProbe": None}]
)
def test_an_app_that_may_boot_in_peace_is_not_told(overlay: Manifest) -> None:
    assert told("liveness-without-startup", of_app(**overlay)) == []


def test_the_sidecar_itself_needs_no_startup_probe() -> None:
    assert told("liveness-without-startup", of_sidecar(startupProbe=None)) == []


def test_a_dependency_that_gates_liveness_is_told_where_it_is_configured() -> None:
    db = "{name: db, type: tcp, host: db, port: 5432, gates: [liveness, startup]}"

    assert told("dependency-gates-liveness", deployment(), config(db)) == [
        Told(
            f"- {db}",
            "the check db gates liveness: an outage of db:5432 restarts the app",
            "gates: startup",
        )
    ]


def test_the_app_itself_may_gate_liveness() -> None:
    assert told("dependency-gates-liveness", deployment()) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "app.example"])
def test_the_app_itself_has_many_names(host: str) -> None:
    text = config(
        f"{{name: app, type: http, url: 'http://{host}:8080', gates: liveness}}", more="ungated: true"
    )
    spec = native(hostAliases=[{"ip": "127.0.0.1", "hostnames": ["APP.example"]}])

    assert told("dependency-gates-liveness", deployment(spec), text) == []
