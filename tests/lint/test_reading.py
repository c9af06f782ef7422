"""How manifests are read: every kind, every default, every place, and every problem at once."""

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.config.problems import ConfigError
from sidecar.lint import manifest
from sidecar.lint.pod import Means, Role, Update, Variable, Volume, Workload
from sidecar.lint.reading import read_workloads

CONTAINER = "{name: app, image: app}"
POD = f"{{spec: {{containers: [{CONTAINER}]}}}}"


def read(text: str) -> tuple[Workload, ...]:
    return read_workloads("pod.yaml", text.encode())


def one(text: str) -> Workload:
    [workload] = read(text)
    return workload


def problems(text: str | bytes) -> list[str]:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(ConfigError) as refused:
        read_workloads("pod.yaml", content)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Pod", f"{{containers: [{CONTAINER}]}}"),
        ("Deployment", f"{{template: {POD}}}"),
        ("StatefulSet", f"{{template: {POD}}}"),
        ("DaemonSet", f"{{template: {POD}}}"),
        ("ReplicaSet", f"{{template: {POD}}}"),
        ("Job", f"{{template: {POD}}}"),
        ("CronJob", f"{{jobTemplate: {{spec: {{template: {POD}}}}}}}"),
    ],
)
def test_every_kind_leads_to_its_pod(kind: str, spec: str) -> None:
    workload = one(f"{{kind: {kind}, metadata: {{name: builds}}, spec: {spec}}}")

    assert (str(workload), [each.name for each in workload.pod.containers]) == (f"{kind} builds", ["app"])


def test_documents_lists_and_other_kinds_are_read_in_order() -> None:
    text = f"""\
# nothing
---
{{kind: Pod, metadata: {{name: first}}, spec: {{containers: [{CONTAINER}]}}}}
---
kind: ConfigMap
data: {{config.yaml: "x"}}
---
kind: List
items:
  - {{kind: Service, metadata: {{name: web}}}}
  - {{kind: Pod, metadata: {{name: second}}, spec: {{containers: [{CONTAINER}]}}}}
---
null
---
{{kind: Pod, metadata: {{generateName: third-}}, spec: {{containers: [{CONTAINER}]}}}}
"""

    assert [workload.name for workload in read(text)] == ["first", "second", "third-"]


def test_a_json_document_is_yaml_as_well() -> None:
    text = '{"kind": "Pod", "metadata": {"name": "one"}, "spec": {"containers": [{"name": "app"}]}}'

    assert one(text).name == "one"


def test_the_defaults_are_the_api_servers() -> None:
    text = """\
kind: Deployment
spec:
  template:
    spec:
      containers:
        - name: app
          livenessProbe: {httpGet: {port: 80}}
          readinessProbe:
            tcpSocket: {port: 80}
            periodSeconds: 0
            timeoutSeconds: 0
            failureThreshold: 0
            successThreshold: 0
      volumes:
        - name: scratch
"""
    workload = one(text)
    [app] = workload.pod.containers
    live, ready = app.probes[Role.LIVENESS], app.probes[Role.READINESS]

    assert (live.handler.path, live.handler.scheme, live.initial_delay, live.grace) == ("/", "HTTP", 0, None)
    for probe in (live, ready):
        times = probe.period, probe.timeout, probe.failure_threshold, probe.success_threshold
        assert times == (10, 1, 3, 1)
    assert (workload.replicas, workload.progress_deadline, workload.pod.grace) == (None, 600, 30)
    assert workload.update == Update(place=workload.update.place, kind="RollingUpdate", max_unavailable="")
    assert workload.pod.volumes == (Volume(name="scratch", source="emptyDir"),)
    assert workload.pod.host_network is None


def test_what_is_written_goes_before_the_defaults() -> None:
    text = """\
kind: StatefulSet
metadata: {name: builds}
spec:
  replicas: 0
  progressDeadlineSeconds: 7
  updateStrategy: {type: OnDelete, rollingUpdate: {maxUnavailable: 30%}}
  template:
    metadata: {labels: {a: b}, annotations: {c: "true"}}
    spec:
      hostNetwork: yes
      terminationGracePeriodSeconds: 0
      initContainers:
        - {name: early, image: i, restartPolicy: Always}
      containers:
        - name: app
          image: i
          command: [sh]
          args: [-c, "true"]
          startupProbe:
            exec: {command: [a, b]}
            initialDelaySeconds: 1
            periodSeconds: 2
            timeoutSeconds: 3
            successThreshold: 4
            failureThreshold: 5
            terminationGracePeriodSeconds: 0
          ports: [{name: http, containerPort: 80, hostPort: 8080}]
          env:
            - {name: A, value: b}
            - {name: C, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: D}
          envFrom: [{secretRef: {name: s}}]
          lifecycle: {preStop: {sleep: {seconds: 5}}}
      volumes:
        - {name: v, secret: {secretName: s}}
"""
    workload = one(text)
    pod = workload.pod
    early, app = pod.containers
    probe = app.probes[Role.STARTUP]

    assert (workload.replicas, workload.progress_deadline, pod.grace) == (0, 7, 0)
    assert (workload.update.kind, workload.update.max_unavailable) == ("OnDelete", "30%")
    assert (pod.labels, pod.annotations) == ({"a": "b"}, {"c": "true"})
    assert str(pod.host_network) == "pod.yaml:10:7"
    assert (early.is_native_sidecar, app.is_native_sidecar, app.is_init) == (True, False, False)
    assert (app.command, app.arguments, app.has_variables_from_elsewhere) == (("sh",), ("-c", "true"), True)
    assert (probe.handler.means, probe.handler.command) == (Means.EXEC, ("a", "b"))
    assert (probe.initial_delay, probe.period, probe.timeout) == (1, 2, 3)
    assert (probe.success_threshold, probe.failure_threshold, probe.grace) == (4, 5, 0)
    assert (probe.fuse, probe.budget) == (10, 11)
    assert [(each.name, each.number, each.host_port) for each in app.ports] == [("http", 80, 8080)]
    assert [(each.name, each.value) for each in app.variables] == [("A", "b"), ("C", None), ("D", "")]
    assert app.pre_stop is not None
    assert app.pre_stop.means is Means.SLEEP
    assert [(each.name, each.source) for each in pod.volumes] == [("v", "secret")]


def test_a_variables_value_is_in_no_repr() -> None:
    assert "hunter2" not in repr(
        Variable(
            place=one(f"{{kind: Pod, spec: {{containers: [{CONTAINER}]}}}}").place, name="A", value="hunter2"
        )
    )


def test_a_place_is_where_the_key_stands_or_what_it_is_missing_from() -> None:
    text = """\
kind: Deployment
spec:
  template:
    spec:
      containers:
        - name: app
          livenessProbe:
            httpGet: {port: 80}
"""
    workload = one(text)
    [app] = workload.pod.containers

    assert [
        str(place)
        for place in (
            workload.place,
            workload.update.place,
            workload.pod.grace_place,
            app.place,
            app.resources.place,
            app.probes[Role.LIVENESS].place,
            app.probes[Role.LIVENESS].handler.place,
        )
    ] == [
        "pod.yaml:1:1",
        "pod.yaml:2:1",
        "pod.yaml:4:5",
        "pod.yaml:6:11",
        "pod.yaml:6:11",
        "pod.yaml:7:11",
        "pod.yaml:8:13",
    ]


def test_anchors_and_merges_are_followed() -> None:
    text = """\
kind: List
common: &app {image: app, name: first, ports: [{containerPort: 80}]}
probes: &probes {readinessProbe: {httpGet: {port: 80}}, name: probed}
items:
  - kind: Pod
    spec:
      containers:
        - *app
        - {<<: *app, name: second}
        - {<<: [*probes, *app]}
        - {<<: nonsense, name: fourth}
"""
    [workload] = read(text)

    assert [(each.name, each.image, len(each.probes)) for each in workload.pod.containers] == [
        ("first", "app", 0),
        ("second", "app", 0),
        ("probed", "app", 1),
        ("fourth", "", 0),
    ]


MERGES = "spec.containers[0]: merges what merges again; write it out"
NONE = "holds no Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job or CronJob"
QUOTES = "is a text, which the API server refuses; write"
EMPTY = "spec.containers: is missing; a pod has at least one container"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "kind: Pod\nspec: [",
            "3:1: is not YAML: while parsing a flow node: did not find expected node content",
        ),
        ("[1, 2]", "1:1: is a list; write a mapping of keys and values"),
        ("just text", "1:1: is a single value; write a mapping of keys and values"),
        ("{kind: List, items: 7}", "1:14: items: is a single value; write a list"),
        ("kind: Pod", f"1:1: {EMPTY}"),
        ("{kind: Pod, spec: {containers: null}}", f"1:13: {EMPTY}"),
        ("{kind: Pod, spec: {containers: {name: app}}}", "1:20: spec.containers: is a mapping; write a list"),
        ("{kind: Pod, spec: {containers: [{merge: &a {<<: 1}, <<: *a}]}}", f"1:33: {MERGES}"),
        ("{kind: Pod, spec: {containers: [&a {<<: *a, name: loop}]}}", f"1:33: {MERGES}"),
    ],
)
def test_what_is_no_manifest_is_told_with_its_place(text: str, told: str) -> None:
    assert problems(text) == [f"pod.yaml:{told}"]


@pytest.mark.parametrize("text", ["", "---", "kind: Service", "{kind: List, items: []}"])
def test_a_manifest_without_a_workload_is_told(text: str) -> None:
    assert problems(text) == [f"pod.yaml: {NONE}"]


@pytest.mark.parametrize(
    ("container", "told"),
    [
        ("app", "33: spec.containers[0]: is a single value; write a mapping of keys and values"),
        ("{name: [a]}", "34: spec.containers[0].name: is a list; write a single value"),
        (
            "{name: {{ .Values.name }}}",
            "34: spec.containers[0].name: is a mapping; write a single value; render the template first",
        ),
        (
            "{ports: [{containerPort: -1}]}",
            "43: spec.containers[0].ports[0].containerPort: '-1' is not a whole number from 0",
        ),
        (
            "{ports: [{containerPort: 80s}]}",
            "43: spec.containers[0].ports[0].containerPort: '80s' is not a whole number from 0",
        ),
        (
            '{ports: [{containerPort: "80"}]}',
            f"43: spec.containers[0].ports[0].containerPort: {QUOTES} 80 without quotes",
        ),
        (
            "{livenessProbe: {httpGet: {port: '80'}}}",
            f"60: spec.containers[0].livenessProbe.httpGet.port: {QUOTES} 80 without quotes",
        ),
        (
            "{securityContext: {runAsNonRoot: maybe}}",
            "52: spec.containers[0].securityContext.runAsNonRoot: 'maybe' is neither true nor false",
        ),
        (
            "{livenessProbe: {periodSeconds: 1}}",
            "34: spec.containers[0].livenessProbe: asks nothing; write httpGet",
        ),
    ],
)
def test_what_is_no_container_is_told_with_its_place(container: str, told: str) -> None:
    assert problems(f"{{kind: Pod, spec: {{containers: [{container}]}}}}") == [f"pod.yaml:1:{told}"]


def test_all_problems_are_told_at_once() -> None:
    text = "{kind: Pod, spec: {hostNetwork: 1, replicas: x, containers: [{ports: 1}, {env: {}}]}}"

    assert problems(text) == [
        "pod.yaml:1:20: spec.hostNetwork: '1' is neither true nor false",
        "pod.yaml:1:36: spec.replicas: 'x' is not a whole number from 0",
        "pod.yaml:1:63: spec.containers[0].ports: is a single value; write a list",
        "pod.yaml:1:75: spec.containers[1].env: is a mapping; write a list",
    ]


def test_all_numbers_in_quotes_are_refused() -> None:
    text = """\
kind: Deployment
spec:
  replicas: "3"
  strategy: {rollingUpdate: {maxUnavailable: "0"}}
  template:
    spec:
      containers:
        - {name: "1", image: "2", readinessProbe: {tcpSocket: {port: "http"}, periodSeconds: "2"}}
"""
    probe = "spec.template.spec.containers[0].readinessProbe"

    assert problems(text) == [
        f"pod.yaml:3:3: spec.replicas: {QUOTES} 3 without quotes",
        f"pod.yaml:4:30: spec.strategy.rollingUpdate.maxUnavailable: {QUOTES} 0 without quotes",
        f"pod.yaml:8:79: {probe}.periodSeconds: {QUOTES} 2 without quotes",
    ]


def test_the_names_of_the_pod_itself_are_read() -> None:
    text = f"""\
kind: Pod
spec:
  hostAliases:
    - {{ip: 127.0.0.1, hostnames: [App.local, db.local]}}
    - {{ip: "::1", hostnames: [six.local]}}
    - {{ip: 10.0.0.1, hostnames: [far.local]}}
  containers: [{CONTAINER}]
"""
    assert one(text).pod.own_names == {"app.local", "db.local", "six.local"}


def test_a_manifest_may_be_larger_and_deeper_than_a_configuration() -> None:
    deep = "[" * 60 + "]" * 60
    text = (
        f"kind: CustomResourceDefinition\nspec: {deep}\n---\nkind: Pod\nspec: {{containers: [{CONTAINER}]}}\n"
    )
    padding = "# " + "x" * (2 * 1024 * 1024) + "\n"

    assert one(padding + text).kind == "Pod"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"#" * (16 * 1024 * 1024 + 1), "pod.yaml: is larger than 16384 KiB; pass the workload alone"),
        (b"[" * 101, "pod.yaml:1:100: is nested deeper than 100 levels; is it a Kubernetes manifest?"),
        (b"kind: \xff", "pod.yaml:1:7: is not UTF-8 text: invalid leading UTF-8 octet; save it in UTF-8"),
    ],
    ids=["large", "deep", "binary"],
)
def test_too_much_is_refused_in_words(content: bytes, told: str) -> None:
    assert problems(content) == [told]


def test_too_many_values_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "LIMITS", replace(manifest.LIMITS, nodes=1000))

    assert problems(b"[" + b"1," * 1000 + b"]") == [
        "pod.yaml: has more than 1,000 keys and values; pass the workload alone"
    ]


def test_aliases_that_multiply_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "STEP_LIMIT", 5000)
    containers = ", ".join(["*a"] * 40)
    text = f"kind: List\na: &a {{env: [{', '.join(['{name: x}'] * 40)}]}}\nitems:\n" + (
        f"  - {{kind: Pod, spec: {{containers: [{containers}]}}}}\n" * 5
    )

    assert problems(text) == [
        "pod.yaml: unfolds into more than a manifest can need; write fewer or smaller aliases"
    ]


def test_the_shipped_example_is_within_every_limit() -> None:
    example = Path(__file__).parents[2] / "k8s" / "example.yaml"

    assert one(example.read_text()).name == "builds"
