"""`sidecar lint` as a person or a pipeline runs it."""

import json
from pathlib import Path

import pytest
import yaml

from sidecar.lint.rules import RULES
from tests.lint.pods import Manifest, app, config, deployment, native, plain, pod, sidecar
from tests.lint.shell import lint

SHARED = (
    "the pod shares its node's network: port 17808 is the whole node's, and so is loopback, where port 17809 "
    "shows messages and begins a drain"
)
WHY = "Two such pods cannot run on one node, and every process of the node reaches the admin listener."
CLEAN = "0 errors, 0 warnings, 5 information"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a configuration and a manifest that fit together."""
    (tmp_path / "config.yaml").write_text(config())
    write(tmp_path, deployment(native()))
    return tmp_path


def write(folder: Path, *manifests: Manifest) -> None:
    (folder / "pod.yaml").write_text(yaml.safe_dump_all(manifests, sort_keys=False))


def place_of(folder: Path, key: str) -> str:
    """Return the place of a key in the manifest."""
    path = folder / "pod.yaml"
    [found] = [(at, line) for at, line in enumerate(path.read_text().splitlines(), 1) if key in line]
    return f"{path}:{found[0]}:{found[1].index(key) + 1}"


def options(folder: Path) -> list[str]:
    return ["--pod", str(folder / "pod.yaml"), "--config", str(folder / "config.yaml")]


def test_a_pod_that_fits_is_told_its_times_and_passes(folder: Path) -> None:
    told = lint(*options(folder))

    assert (told.exit_code, told.stderr) == (0, f"{CLEAN}\n")


def test_a_finding_has_place_level_rule_reason_and_the_line_to_write(folder: Path) -> None:
    write(folder, deployment(native(hostNetwork=True)))

    told = lint(*options(folder))

    assert (told.exit_code, told.stderr) == (1, "0 errors, 1 warning, 5 information\n")
    assert told.stdout.splitlines()[:3] == [
        f"{place_of(folder, 'hostNetwork')}: warning: host-network: Deployment builds: {SHARED}",
        f"    why: {WHY}",
        "    write: hostNetwork: false",
    ]


def test_each_line_to_write_has_a_line(folder: Path) -> None:
    (folder / "config.yaml").write_text(config(startup=""))

    assert [line for line in lint(*options(folder)).stdout.splitlines() if "write:" in line][:3] == [
        "    write: startup: {latch_file: /var/lib/sidecar/latch}",
        "    write: volumeMounts: [{name: sidecar-state, mountPath: /var/lib/sidecar}]",
        "    write: volumes: [{name: sidecar-state, emptyDir: {}}]",
    ]


def test_json_has_the_same(folder: Path) -> None:
    write(folder, deployment(native(hostNetwork=True)))

    told = lint(*options(folder), "--output", "json")

    assert told.stderr == ""
    file, line, column = place_of(folder, "hostNetwork").split(":")
    assert json.loads(told.stdout)[0] == {
        "rule": "host-network",
        "level": "warning",
        "workload": "Deployment builds",
        "file": file,
        "line": int(line),
        "column": int(column),
        "message": SHARED,
        "why": WHY,
        "write": "hostNetwork: false",
    }


def test_an_error_fails_like_a_warning(folder: Path) -> None:
    write(folder, deployment(native(), strategy={"type": "Recreate"}))

    told = lint(*options(folder))

    assert (told.exit_code, told.stderr) == (1, "1 error, 0 warnings, 5 information\n")


def test_a_rule_that_is_ignored_finds_nothing(folder: Path) -> None:
    write(folder, deployment(native(hostNetwork=True), strategy={"type": "Recreate"}))

    told = lint(*options(folder), "--ignore", "host-network", "--ignore", "rollout-takes-pods")

    assert (told.exit_code, told.stderr) == (0, f"{CLEAN}\n")


def test_an_unknown_rule_is_refused_with_the_nearest(folder: Path) -> None:
    told = lint(*options(folder), "--ignore", "hostnetwork")

    assert told.exit_code == 2
    assert "unknown rule 'hostnetwork'; did you mean 'host-network'?" in told.stderr


@pytest.mark.parametrize("given", ["pod", "config"])
def test_either_file_may_come_from_standard_input(folder: Path, given: str) -> None:
    text = (folder / f"{given}.yaml").read_text()
    other = "config" if given == "pod" else "pod"

    told = lint(f"--{given}", "-", f"--{other}", str(folder / f"{other}.yaml"), stdin=text)

    assert told.exit_code == 0
    assert "<stdin>:" in told.stdout


def test_both_files_cannot_come_from_standard_input() -> None:
    told = lint("--pod", "-", "--config", "-", stdin="")

    assert told.exit_code == 2
    assert "only one of --config and --pod can be read from standard input" in told.stderr


def test_workloads_without_the_sidecar_are_named_and_left_out(folder: Path) -> None:
    redis = deployment(pod({"name": "redis", "image": "redis:7"}))
    write(folder, {**redis, "metadata": {"name": "redis"}}, deployment(native()))

    told = lint(*options(folder))

    assert told.exit_code == 0
    assert told.stderr.splitlines() == [
        f"{folder}/pod.yaml:1:1: Deployment redis has no container that is the sidecar among redis",
        CLEAN,
    ]


def test_a_manifest_in_which_nobody_carries_the_sidecar_is_refused(folder: Path) -> None:
    write(folder, deployment(pod(app())))

    told = lint(*options(folder))

    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr.splitlines() == [
        f"{folder}/pod.yaml:1:1: Deployment builds has no container that is the sidecar among app",
        "nothing to judge; name the sidecar's container with --container",
    ]


def test_the_sidecars_container_can_be_named(folder: Path) -> None:
    write(
        folder, deployment(native(sidecar(name="health", image="registry.example.com/health:1", ports=None)))
    )

    assert lint(*options(folder)).exit_code == 2
    assert lint(*options(folder), "--container", "health").exit_code == 0


def test_a_name_that_no_container_has_is_refused(folder: Path) -> None:
    told = lint(*options(folder), "--container", "health")

    assert told.exit_code == 2
    assert "Deployment builds has no container 'health' among sidecar, app" in told.stderr


def test_problems_of_the_manifest_are_told_with_their_places(folder: Path) -> None:
    (folder / "pod.yaml").write_text("kind: Pod\nspec: {containers: 7}\n")

    told = lint(*options(folder))

    assert told.exit_code == 2
    assert told.stderr.splitlines() == [
        f"{folder}/pod.yaml:2:8: spec.containers: is a single value; write a list",
        "the manifest has 1 problem",
    ]


def test_problems_of_the_configuration_are_told_with_their_places(folder: Path) -> None:
    (folder / "config.yaml").write_text("checks: 7\n")

    told = lint(*options(folder))

    assert told.exit_code == 2
    assert told.stderr.startswith(f"{folder}/config.yaml:1:9: checks: is a single value")
    assert told.stderr.endswith("the configuration has 1 problem\n")


@pytest.mark.parametrize("missing", ["pod", "config"])
def test_a_file_that_is_not_there_is_told(folder: Path, missing: str) -> None:
    (folder / f"{missing}.yaml").unlink()

    told = lint(*options(folder))

    assert told.exit_code == 2
    assert f"{folder}/{missing}.yaml: cannot be read: no such file or directory" in told.stderr


def test_every_workload_is_judged(folder: Path) -> None:
    other = deployment(plain(hostNetwork=True))
    write(folder, deployment(native(hostNetwork=True)), {**other, "metadata": {"name": "other"}})

    subjects = [each["workload"] for each in json.loads(lint(*options(folder), "--output", "json").stdout)]

    assert sorted(set(subjects)) == ["Deployment builds", "Deployment other"]


def test_a_large_manifest_is_read_to_its_end(folder: Path) -> None:
    path = folder / "pod.yaml"
    path.write_text("# " + "x" * (2 * 1024 * 1024) + "\n---\n" + path.read_text())

    assert lint(*options(folder)).exit_code == 0


def test_the_port_that_a_variable_holds_tells_the_sidecar(folder: Path) -> None:
    """Neither image nor name says it: the configured port does, which the pod's own variable has."""
    (folder / "config.yaml").write_text(config(more="server: {port: '${PORT}', admin_port: 9101}"))
    own = sidecar(
        name="health",
        image="registry.example.com/health:1",
        ports=[{"name": "sidecar", "containerPort": 9100}],
        env=[{"name": "PORT", "value": "9100"}],
        startupProbe=None,
        livenessProbe=None,
    )
    write(folder, deployment(native(own, app(livenessProbe=None, startupProbe=None))))

    told = lint(*options(folder), "--output", "json")

    assert json.loads(told.stdout)[0]["message"] == (
        "health: readinessProbe asks port 17808, where the sidecar does not listen"
    )


def test_secrets_of_the_manifest_are_never_shown(folder: Path) -> None:
    own = sidecar(
        env=[{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "URL", "value": "redis://:hunter2@r"}]
    )
    write(folder, deployment(native(own)))

    told = lint(*options(folder))

    assert (told.exit_code, "secret-in-env" in told.output, "hunter2" in told.output) == (1, True, False)


def test_rules_have_names_of_their_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
