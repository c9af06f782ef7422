"""What the Dockerfile promises, as far as it can be proved without an engine that builds it."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.image.dockerfile import ROOT, Stage, stages, texts, the
from tests.k8s.manifests import container

PACKAGE_MANAGERS = ("apt", "apk", "dpkg", "pip install", "pip download", "pip wheel", "uv", "curl", "wget")
CREDENTIAL_CLIENT = re.compile(r"(?:create\w*_client|client_creator)\([^'\")]*['\"]([\w-]+)['\"]")
"""How botocore's credential chain asks for the client of a service."""


@pytest.fixture
def build() -> Stage:
    return stages()[0]


@pytest.fixture
def last() -> Stage:
    return stages()[-1]


def pip_commands(stage: Stage) -> list[str]:
    """Return what follows `pip`, wherever it is called."""
    commands = " && ".join(texts(stage, "RUN")).split(" && ")
    return [command.removeprefix("pip ") for command in commands if command.startswith("pip ")]


def pins(lock: str) -> dict[str, str]:
    """Return the version of every package of a lock file."""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), flags=re.MULTILINE))


def run_sidecar(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the program as the image's entry point does."""
    command = [sys.executable, "-m", "sidecar", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def credential_modules() -> Iterator[str]:
    """Yield the source of all that hands out credentials or tokens to an AWS client."""
    for package in ("botocore", "aiobotocore"):
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        yield from (
            (Path(spec.origin).parent / f"{name}.py").read_text() for name in ("credentials", "tokens")
        )


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")

    found = subprocess.run(
        [hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )

    assert (found.stdout, found.stderr, found.returncode) == ("", "", 0)


def test_it_runs_as_a_number_that_is_not_root(last: Stage) -> None:
    assert the(last, "USER").text == "65532:65532"


def test_signals_reach_the_process_because_no_shell_stands_between(last: Stage) -> None:
    assert the(last, "ENTRYPOINT").exec_form() == ["sidecar"]
    assert the(last, "CMD").exec_form() == ["serve"]
    assert the(last, "STOPSIGNAL").text == "SIGTERM"


def test_the_words_of_the_image_are_verbs_of_the_program(last: Stage, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "missing.yaml")
    served = run_sidecar(*the(last, "CMD").exec_form(), "--config", nowhere)
    asked = run_sidecar(*the(last, "HEALTHCHECK").exec_form()[1:], "--port", "1")

    assert (served.returncode, nowhere in served.stderr) == (2, True)
    assert (asked.returncode, asked.stderr) == (1, "no answer from 127.0.0.1:1: connection refused\n")


def test_compose_asks_only_whether_the_sidecar_itself_is_well(last: Stage) -> None:
    assert the(last, "HEALTHCHECK").exec_form() == ["sidecar", "probe", "healthz"]


def test_the_image_and_the_manifests_mean_the_same_port(last: Stage) -> None:
    assert [int(the(last, "EXPOSE").text)] == [
        port["containerPort"] for port in container("sidecar")["ports"]
    ]


def test_the_last_stage_is_slim_and_has_the_python_that_the_packages_were_chosen_for(
    build: Stage, last: Stage
) -> None:
    assert the(build, "FROM").text == "python:${PYTHON_VERSION}-bookworm AS build"
    assert the(last, "FROM").text == "python:${PYTHON_VERSION}-slim-bookworm"


def test_nothing_is_installed_in_the_last_stage_and_pip_is_gone_from_it(last: Stage) -> None:
    [run] = texts(last, "RUN")

    assert [manager for manager in PACKAGE_MANAGERS if manager in run] == []
    assert "python -m pip uninstall --yes --quiet pip setuptools wheel" in run
    assert texts(last, "COPY") == ["--from=build /opt/sidecar /opt/sidecar"]


def test_whatever_comes_from_a_registry_is_a_wheel_with_a_known_hash(build: Stage) -> None:
    download, backend, project, install = pip_commands(build)

    assert download.startswith("download --only-binary :all: --require-hashes --no-deps ")
    assert backend.startswith("install --only-binary :all: --require-hashes --no-deps ")
    assert project.startswith("wheel --no-build-isolation --no-deps ")
    assert install.startswith("--python /opt/sidecar install --no-index ")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_every_line_of_a_lock_file_has_a_hash_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert [each for each in re.split(r"\n(?=\w)", text) if "--hash=sha256:" not in each] == []
    assert "://" not in text


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock"])
def test_the_image_is_made_of_the_versions_that_are_tested(lock: str) -> None:
    assert pins(lock).items() <= pins("requirements-dev.lock").items()


def test_the_build_backend_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert set(project["build-system"]["requires"]) <= pins("requirements-build.lock").keys()


def test_all_drivers_go_in_unless_fewer_are_asked_for(build: Stage) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert texts(build, "ARG") == ["EXTRAS=all"]
    assert "all" in project["optional-dependencies"]


def test_bytecode_of_the_packages_and_of_the_standard_library_is_compiled(build: Stage, last: Stage) -> None:
    compiled = [run for run in texts(build, "RUN") + texts(last, "RUN") if "-m compileall" in run]

    assert len(compiled) == 2
    assert all("--invalidation-mode unchecked-hash" in run for run in compiled)


def test_the_models_of_s3_and_of_every_service_that_hands_out_credentials_stay_in(build: Stage) -> None:
    kept = set(re.findall(r"! -name (\S+)", " ".join(texts(build, "RUN"))))
    asked = {service for source in credential_modules() for service in CREDENTIAL_CLIENT.findall(source)}

    assert kept == asked | {"s3"}
    assert asked == {"sts", "sso", "sso-oidc"}


def test_the_build_context_holds_what_is_copied_and_nothing_else(build: Stage) -> None:
    copied = {source for copy in texts(build, "COPY") for source in copy.split()[:-1]}
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]

    assert (rules[0], rules[-1]) == ("*", "**/__pycache__")
    assert set(rules[1:-1]) == {f"!{source}" for source in copied}
    assert [source for source in copied if not (ROOT / source).exists()] == []
