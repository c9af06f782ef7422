"""Which container is the sidecar, what it runs, and how the pod carries it."""

import pytest
import yaml

from sidecar.config.model import Config
from sidecar.lint.case import Case, Style, recognize
from sidecar.lint.invocation import Invocation, invocation_of
from sidecar.lint.pod import Workload
from sidecar.lint.reading import read_workloads
from tests.lint.pods import Manifest, app, deployment, native, plain, pod, sidecar, waiter


def workload(spec: Manifest) -> Workload:
    [found] = read_workloads("pod.yaml", yaml.safe_dump(deployment(spec)).encode())
    return found


def container(name: str, **keys: object) -> Manifest:
    return {"name": name, "image": name, **keys}


def found(*containers: Manifest, before: tuple[Manifest, ...] = (), name: str | None = None) -> str | None:
    crew = recognize(workload(pod(*containers, before=before)).pod, 17808, name)
    return crew.sidecar.name if crew else None


@pytest.mark.parametrize(
    "own",
    [
        container("x", image="sidecar"),
        container("x", image="registry.example.com:5000/team/sidecar:1.2"),
        container("x", image="ghcr.io/team/sidecar@sha256:0123"),
        container("x", command=["sidecar", "serve"]),
        container("x", command=["/usr/local/bin/sidecar"]),
        container("x", command=["python", "-m", "sidecar", "serve"]),
        container("x", command=["sh", "-c", "exec sidecar serve --config /c.yaml"]),
        container("x", args=["sidecar", "serve"]),
        container("x", ports=[{"containerPort": 17808}]),
        container("sidecar", image="registry.example.com/health:1"),
    ],
)
def test_a_container_is_recognized_by_its_command_image_port_or_name(own: Manifest) -> None:
    assert found(container("app"), own) == own["name"]


@pytest.mark.parametrize(
    "other",
    [
        container("app"),
        container("app", image="registry.example.com/sidecar/app"),
        container("app", image="sidecar-injector"),
        container("app", command=["app", "--name", "sidecar"]),
        container("app", args=["--data", "/var/lib/sidecar", "serve-not"]),
        container("app", ports=[{"containerPort": 17809}]),
        container("my-sidecar"),
    ],
)
def test_other_containers_are_not_taken_for_it(other: Manifest) -> None:
    assert found(other) is None


def test_the_best_evidence_decides() -> None:
    named = container("sidecar", image="log-shipper")
    by_port = container("p", ports=[{"containerPort": 17808}])
    by_image = container("i", image="sidecar")
    by_command = container("c", command=["sidecar"])

    assert found(named, by_port) == "p"
    assert found(named, by_port, by_image) == "i"
    assert found(named, by_port, by_image, by_command) == "c"


def test_whoever_says_which_container_it_is_is_believed() -> None:
    assert found(container("x", image="sidecar"), container("health"), name="health") == "health"
    assert found(container("x", image="sidecar"), name="health") is None


def test_an_init_container_that_checks_is_not_the_one_that_serves() -> None:
    serving = container("health", image="sidecar")
    crew = recognize(workload(pod(app(), serving, before=(waiter(),))).pod, 17808)

    assert crew is not None
    assert (crew.sidecar.name, [each.name for each in crew.waiters], crew.twins) == ("health", ["wait"], ())


def test_an_init_container_that_checks_is_the_sidecar_where_none_serves() -> None:
    assert found(app(), before=(waiter(),)) == "wait"


@pytest.mark.parametrize(
    "other",
    [waiter(restartPolicy="Always"), container("x", args=["check"]), waiter(args=["validate"], name="wait")],
)
def test_what_does_not_hold_the_start_with_its_checks_waits_for_nobody(other: Manifest) -> None:
    crew = recognize(workload(pod(app(), sidecar(), before=(other,))).pod, 17808)

    assert crew is not None
    assert crew.waiters == ()


def test_a_second_sidecar_is_a_twin() -> None:
    crew = recognize(
        workload(
            pod(sidecar(), container("b", image="sidecar"), container("c", ports=[{"containerPort": 17808}]))
        ).pod,
        17808,
    )

    assert crew is not None
    assert [each.name for each in crew.twins] == ["b"]


@pytest.mark.parametrize(
    ("keys", "invocation"),
    [
        ({}, Invocation("serve")),
        ({"args": ["check", "--wait"]}, Invocation("check", ("--wait",))),
        ({"command": ["sidecar"]}, Invocation("serve")),
        ({"command": ["sidecar"], "args": ["check"]}, Invocation("check")),
        ({"command": ["sh", "-c", "sidecar check --wait 60s"]}, Invocation("check", ("--wait", "60s"))),
        ({"command": ["sh", "-c", "true"], "args": ["check"]}, Invocation("serve")),
    ],
)
def test_a_container_runs_a_verb(keys: Manifest, invocation: Invocation) -> None:
    [read] = workload(pod(container("sidecar", **keys))).pod.containers

    assert invocation_of(read) == invocation


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (("--gate", "startup"), ("startup",)),
        (("--gate=startup",), ("startup",)),
        (("--gate", "startup", "--gate=liveness"), ("startup", "liveness")),
        (("--gate",), ()),
        (("--gated", "startup"), ()),
    ],
)
def test_an_options_values_are_found_however_they_are_written(
    arguments: tuple[str, ...], values: tuple[str, ...]
) -> None:
    assert Invocation("check", arguments).values_of("--gate") == values


@pytest.mark.parametrize(
    ("spec", "style"),
    [(native(), Style.NATIVE), (plain(), Style.PLAIN), (pod(app(), before=(waiter(),)), Style.INIT)],
)
def test_a_pod_carries_it_in_one_of_three_styles(spec: Manifest, style: Style) -> None:
    read = workload(spec)
    crew = recognize(read.pod, 17808)

    assert crew is not None
    assert Case(config=Config(checks=()), workload=read, crew=crew).style is style
