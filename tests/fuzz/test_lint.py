"""Whatever stands in a manifest, it is judged or refused: soon, and without the secrets that stand in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.bench import told_of, within
from tests.fuzz.profile import tries
from tests.fuzz.strategies import ODD_TEXTS, bent, keys_in
from tests.lint.pods import app, config, deployment, native, plain, sidecar, waiter
from tests.lint.shell import lint

SECRET: Final = "hunter22-Tr0ub4dor"
CHECKS: Final = (
    "{name: sessions, type: redis, url: 'redis://redis:6379', gates: [startup, readiness]}",
    "{name: app, type: http, url: 'http://localhost:8080/healthz', gates: [liveness, readiness]}",
    "{name: own, type: exec, command: [sh, -c, 'nc -z localhost 8080; curl http://u@localhost:80/x']}",
)
METADATA: Final = {
    "labels": {"sidecar.istio.io/inject": "true", "linkerd.io/inject": "enabled"},
    "annotations": {
        "traffic.sidecar.istio.io/excludeOutboundPorts": "6379,9000-9010",
        "config.linkerd.io/skip-outbound-ports": "6379, 80",
        "sidecar.istio.io/nativeSidecar": "false",
    },
}
APP: Final = app(
    command=["sh", "-c", "sidecar probe readyz --port 17808; exec app"],
    args=["--listen", "http://0.0.0.0:8080"],
    env=[
        {"name": "DB_PASSWORD", "value": SECRET},
        {"name": "DB_URL", "value": f"postgres://u:{SECRET}@db/x"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ],
    lifecycle={"preStop": {"exec": {"command": ["sh", "-c", "sidecar drain --socket /x; sleep 5"]}}},
)
SIDECAR: Final = sidecar(lifecycle={"preStop": {"exec": {"command": ["sidecar", "drain", "--port=17809"]}}})


def meshed(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a workload with all that meshes read."""
    made = deployment(dict(spec))
    made["spec"]["template"]["metadata"] = METADATA
    return made


MANIFESTS: Final = (
    meshed(native(SIDECAR, APP)),
    meshed(plain(SIDECAR, APP)),
    meshed(native(SIDECAR, APP, volumes=[{"name": "config", "projected": {"sources": []}}])),
    {"kind": "List", "items": [deployment(plain(SIDECAR, APP)), deployment(native(waiter(), APP))]},
)
KEYS: Final = sorted({key for manifest in MANIFESTS for key in keys_in(manifest)})
SCRIPT: Final = st.lists(
    st.sampled_from(
        [
            *(
                "sidecar",
                "/usr/bin/sidecar",
                "drain",
                "probe",
                "check",
                "--wait",
                "--port",
                "--port=",
                "--socket",
            ),
            *(
                "sh -c",
                "sleep 5",
                "sleep",
                ";",
                "&&",
                "$(PORT)",
                "${",
                "=",
                "17808",
                "localhost",
                "[::1]",
                ":",
                " ",
            ),
            *(
                "://",
                "://u:p@h",
                "://$(X):$(Y)@",
                "@",
                "/",
                "?",
                "/readyz/app",
                "/readyz?exclude=app",
                "/drained",
            ),
            *("6379", "0-65535", "-", ",", "9" * 5000, "٣", "a" * 300),
        ]
    ),
    max_size=12,
).map("".join)
LONG: Final = st.builds(
    lambda piece, times: piece * times,
    st.sampled_from(
        ["a ", "a", "sidecar ", "://", "://a:", "sh -c ", "/", "[", "0 ", "1-65535,", "x:1 ", "--port "]
    ),
    st.sampled_from([2_000, 60_000]),
)
WRITTEN: Final = st.one_of(SCRIPT, SCRIPT, LONG, ODD_TEXTS)
LEAVES: Final = st.one_of(WRITTEN, WRITTEN, WRITTEN, st.none(), st.booleans(), st.integers(-1, 10**6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lint")


@tries(40)
@given(manifest=st.sampled_from(MANIFESTS).flatmap(lambda sound: bent(sound, KEYS, LEAVES)))
@example(manifest=meshed(native(SIDECAR, app(livenessProbe={"httpGet": {"port": "9" * 5000}}))))
@example(manifest=meshed(native(SIDECAR, app(command=["sh", "-c", "a " * 50_000]))))
def test_any_manifest_is_judged_or_refused(folder: Path, manifest: Any) -> None:
    (folder / "config.yaml").write_text(config(*CHECKS))
    (folder / "pod.yaml").write_bytes(yaml.dump(manifest, Dumper=yaml.CSafeDumper).encode(errors="replace"))

    with within():
        told = lint("--pod", str(folder / "pod.yaml"), "--config", str(folder / "config.yaml"))

    assert told.exit_code in (0, 1, 2), told.stderr
    assert told.exception is None or isinstance(told.exception, SystemExit), told.exception
    assert not told_of(SECRET, told.output)
