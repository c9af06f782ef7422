"""The configuration is read as the sidecar in the pod would, without its secrets."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from sidecar.checks import InstalledTypes
from sidecar.config.model import Config
from sidecar.config.problems import ConfigError
from sidecar.config.source import Source
from sidecar.deploys import InstalledServices
from sidecar.lint.reading import read_workloads
from sidecar.lint.surroundings import STAND_IN, Loader


def loaded(text: str, container: str, environ: Mapping[str, str] | None = None) -> Config:
    """Return a configuration as a container would read it."""
    [workload] = read_workloads("pod.yaml", f"{{kind: Pod, spec: {{containers: [{container}]}}}}".encode())
    loader = Loader(
        Source("config.yaml", text.encode()), InstalledTypes(), environ or {}, InstalledServices()
    )
    return loader.load_in(workload.pod.containers)


def problems(text: str, container: str, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        loaded(text, container, environ)
    return [str(problem) for problem in refused.value.problems]


def test_a_variable_of_the_container_has_its_value() -> None:
    text = "[{name: db, type: tcp, host: '${HOST}', port: 1, gates: startup}]"

    config = loaded(text, "{env: [{name: HOST, value: db.example.com}]}", {"HOST": "elsewhere"})

    assert config.checks[0].target == "db.example.com:1"


def test_a_variable_that_the_container_does_not_set_is_the_one_here() -> None:
    text = "[{name: db, type: tcp, host: '${HOST}', port: 1, gates: startup}]"

    assert loaded(text, "{}", {"HOST": "here"}).checks[0].target == "here:1"


@pytest.mark.parametrize(
    "container",
    [
        "{env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: s, key: k}}}]}",
        "{envFrom: [{secretRef: {name: s}}]}",
    ],
)
def test_a_word_stands_in_for_a_variable_from_a_secret(container: str) -> None:
    text = "[{name: db, type: redis, url: 'redis://db', password: '${PASSWORD}', gates: startup}]"

    assert loaded(text, container).secrets == {STAND_IN}
    assert loaded(text, container, {"PASSWORD": "here"}).secrets == {"here"}


def test_a_default_stays_where_a_variable_may_come_from_elsewhere() -> None:
    text = "[{name: db, type: tcp, host: db, port: '${PORT:-5432}', gates: startup}]"

    assert loaded(text, "{envFrom: [{secretRef: {name: s}}]}").checks[0].target == "db:5432"


def with_password(path: str) -> str:
    return f"[{{name: db, type: redis, url: 'redis://db', password: '${{file:{path}}}', gates: startup}}]"


def test_a_word_stands_in_for_a_file_on_a_volume() -> None:
    config = loaded(with_password("/nowhere/password"), "{volumeMounts: [{name: v, mountPath: /nowhere}]}")

    assert (set(config.secrets), set(config.files)) == ({STAND_IN}, {Path("/nowhere/password")})


def test_a_file_that_is_found_here_is_read(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("here\n")
    mounts = f"{{volumeMounts: [{{name: v, mountPath: {tmp_path}}}]}}"

    assert loaded(with_password(f"{tmp_path}/password"), mounts).secrets == {"here"}


@pytest.mark.parametrize("mounts", ["[]", "[{name: v, mountPath: /nowhere/else}]", "[{name: v}]"])
def test_a_file_on_no_volume_is_missing(mounts: str) -> None:
    [problem] = problems(with_password("/nowhere/password"), f"{{volumeMounts: {mounts}}}")

    assert problem.endswith(
        "checks.db.password: the secret file /nowhere/password cannot be read: no such file or directory"
    )


def test_what_only_the_stand_in_has_wrong_is_told_as_it_is_here() -> None:
    text = "[{name: mq, type: rabbitmq, url: '${AMQP_URL}', intervall: 1s, gates: startup}]"
    container = "{env: [{name: AMQP_URL, valueFrom: {secretKeyRef: {name: s, key: k}}}]}"

    first, second = problems(text, container)

    assert first.endswith(
        "checks.mq.url: the variable AMQP_URL is not set; set it, or write ${AMQP_URL:-default}"
    )
    assert second.startswith("config.yaml:1:49: checks.mq: unknown key 'intervall'; did you mean 'interval'?")


def test_a_bad_value_of_the_pod_is_told_although_the_one_here_is_good() -> None:
    text = "[{name: db, type: tcp, host: db, port: 1, interval: '${EVERY}', gates: startup}]"

    [problem] = problems(text, "{env: [{name: EVERY, value: '10'}]}", {"EVERY": "10s"})

    assert problem.startswith("config.yaml:1:53: checks.db.interval: '${EVERY}' is not a duration")


def test_a_deploy_is_read_with_words_for_the_secrets_of_its_services() -> None:
    text = """
        checks: [{name: db, type: tcp, host: db, port: 1, gates: startup}]
        deploy:
          service: builds
          environment: test
          revision: ${REVISION}
          announce: [{type: slack, token: "${file:/run/slack/token}", channel: C1}, {type: kubernetes-event}]
    """
    container = "{env: [{name: REVISION, value: abc}], volumeMounts: [{name: s, mountPath: /run/slack}]}"

    deploy = loaded(text, container).sections.deploy

    assert deploy is not None
    assert (deploy.revision, [each.label for each in deploy.announce]) == (
        "abc",
        ["slack", "kubernetes-event"],
    )


def test_a_service_that_does_not_exist_is_told() -> None:
    section = "{service: builds, environment: test, revision: abc, announce: [{type: slak}]}"

    [problem] = problems(f"{{checks: [{{name: db, type: tcp, host: db, port: 1}}], deploy: {section}}}", "{}")

    assert "unknown service 'slak'" in problem
