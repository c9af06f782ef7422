"""What we ship, and pods that are as they should be: no rule finds an error or a warning in them."""

from pathlib import Path

import pytest
import yaml

from tests.k8s.kustomize import render
from tests.k8s.manifests import EXAMPLE, ROOT
from tests.lint.pods import (
    Manifest,
    app,
    config,
    deployment,
    examined,
    job,
    native,
    plain,
    pod,
    waiter,
)
from tests.lint.shell import lint


@pytest.mark.parametrize(
    "manifest",
    [
        deployment(native()),
        deployment(plain()),
        deployment(native(), kind="StatefulSet"),
        deployment(plain(), kind="DaemonSet", updateStrategy={"rollingUpdate": {"maxUnavailable": 0}}),
        job(native()),
        {"kind": "Pod", "metadata": {"name": "builds"}, "spec": native()},
    ],
    ids=lambda manifest: manifest["kind"],
)
def test_a_pod_that_is_as_it_should_be_has_nothing_to_change(manifest: Manifest) -> None:
    assert [finding for finding, _ in examined(manifest) if finding.counts] == []


def test_an_init_container_that_checks_needs_no_sidecar_beside_it() -> None:
    own = app(startupProbe=None, livenessProbe=None)
    usual = {"resources": {"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}}
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = pod(own, before=(waiter(securityContext=security, **usual),))

    assert [finding for finding, _ in examined(deployment(spec), config()) if finding.counts] == []


def test_the_shipped_example_has_nothing_to_change() -> None:
    told = lint("--pod", str(EXAMPLE), "--config", str(ROOT / "examples" / "kubernetes" / "config.yaml"))

    assert (told.exit_code, told.stderr) == (0, "0 errors, 0 warnings, 5 information\n")


def test_what_the_component_makes_of_an_app_has_nothing_to_change(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": [
                    str(ROOT / "examples" / "kubernetes" / "deployment.yaml"),
                    str(ROOT / "k8s" / "base"),
                ],
                "components": [str(ROOT / "k8s" / "component")],
            }
        )
    )
    rendered = yaml.safe_dump_all(render(tmp_path))

    told = lint("--pod", "-", "--config", str(ROOT / "k8s" / "base" / "config.yaml"), stdin=rendered)

    assert (told.exit_code, told.stderr) == (0, "0 errors, 0 warnings, 2 information\n")
