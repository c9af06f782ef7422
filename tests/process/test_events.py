"""Events of the real process, written over real TLS: each change once, and nobody waits for them."""

import signal
import time
from pathlib import Path

from sidecar.kube.client import ANSWERS_WITHIN
from sidecar.runtime.lifecycle import STOP_LIMIT
from tests.network.fakes import Fake, black_hole, silent
from tests.network.kube import SILENCE, Request, answer, service_account, serving_api
from tests.network.tls import Certificates
from tests.process.harness import Sidecar, running


def checks(db: Fake) -> str:
    return (
        f"  - {{name: db, type: tcp, host: 127.0.0.1, port: {db.port}, gates: readiness, interval: 200ms, "
        "failure_threshold: 1}\n"
    )


def sections(folder: Path, certificates: Certificates) -> str:
    account = service_account(folder / "account", certificates)
    return f"kubernetes: {{readiness_events: true, service_account: {account}}}\n"


def told(request: Request) -> tuple[str, str, str]:
    return request.body["type"], request.body["reason"], request.body["note"]


async def killed_and_back(sidecar: Sidecar, db: Fake) -> None:
    """See to it that probes follow a check down and up again."""
    db.shut()
    await sidecar.until("/readyz", 503)
    db.open()
    await sidecar.until("/readyz", 200)


async def test_a_killed_dependency_is_one_event_and_its_return_another(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with serving_api(certificates) as api, silent() as db:
        drained = f"{sections(tmp_path, certificates)}drain: {{delay: 1s}}\n"
        async with running(tmp_path, checks(db), sections=drained, env=api.environ) as sidecar:
            await api.until_asked(1)
            db.shut()
            await api.until_asked(2)
            db.open()
            await sidecar.until("/readyz", 200)
            await api.until_asked(3)
            sidecar.process.send_signal(signal.SIGTERM)
            await api.until_asked(4)
            code = await sidecar.process.wait()

        up = "every check that gates readiness is up"
        assert (code, [told(request) for request in api.requests]) == (
            0,
            [
                ("Normal", "Ready", up),
                ("Warning", "NotReady", f"db failed: refused: 127.0.0.1:{db.port} refused the connection"),
                ("Normal", "Ready", up),
                ("Normal", "Draining", "draining"),
            ],
        )
        assert "kubernetes" not in "".join(line["message"] for line in sidecar.log)


async def test_an_api_that_hangs_delays_neither_checks_nor_probes_nor_the_end(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with serving_api(certificates) as api, silent() as db:
        api.usual = SILENCE
        async with running(
            tmp_path, checks(db), sections=sections(tmp_path, certificates), env=api.environ
        ) as sidecar:
            await api.until_asked(1)
            began = time.monotonic()
            await killed_and_back(sidecar, db)
            lasted = time.monotonic() - began
            line = await sidecar.until_logged("kubernetes event cannot be written")
            await api.until_asked(2)
            ending = time.monotonic()
            code = await sidecar.stop()
            ended = time.monotonic() - ending

    assert (code, line["detail"]) == (
        0,
        f"https://{api.address} did not answer within {ANSWERS_WITHIN:.0f}s",
    )
    assert (lasted < ANSWERS_WITHIN, ended < STOP_LIMIT - 1, "Traceback" in "".join(sidecar.raw)) == (
        True,
        True,
        False,
    )


async def test_an_api_that_answers_no_packet_holds_up_no_end(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with black_hole() as hole, silent() as db, serving_api(certificates) as api:
        env = {**api.environ, "KUBERNETES_SERVICE_PORT": str(hole.port)}
        async with running(
            tmp_path, checks(db), sections=sections(tmp_path, certificates), env=env
        ) as sidecar:
            await sidecar.until_logged("kubernetes event cannot be written")
            code = await sidecar.stop(within=STOP_LIMIT - 1)

    assert code == 0


async def test_a_right_that_is_missing_is_named_once_and_no_token_is_told(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with serving_api(certificates) as api, silent() as db:
        api.answers = [answer(401), answer(403, {"message": "no, another-token"})]
        async with running(
            tmp_path, checks(db), sections=sections(tmp_path, certificates), env=api.environ
        ) as sidecar:
            await api.until_asked(1)
            (tmp_path / "account" / "token").write_text("another-token")
            await sidecar.until_logged("kubernetes events are written again", within=20)
            await sidecar.stop()

    complaints = [line for line in sidecar.log if line["message"] == "kubernetes event cannot be written"]
    assert [line["detail"] for line in complaints] == [
        f"https://{api.address} answered 401",
        f"https://{api.address} answered 403: no, ***",
    ]
    assert complaints[1]["remedy"].startswith("allow the pod's service account to create events")
    assert [request.headers["Authorization"] for request in api.requests] == [
        "Bearer a-token",
        *["Bearer another-token"] * 2,
    ]
    assert "another-token" not in "".join(sidecar.raw)


async def test_an_edit_that_no_restart_would_survive_is_refused(tmp_path: Path) -> None:
    async with silent() as db, running(tmp_path, checks(db), env={"POD_UID": ""}) as sidecar:
        config = tmp_path / "config.yaml"
        config.write_text(f"{config.read_text()}kubernetes: {{readiness_events: true}}\n")
        sidecar.process.send_signal(signal.SIGHUP)
        line = await sidecar.until_logged("configuration refused")
        code = await sidecar.stop()

    assert ("kubernetes.readiness_events: needs" in line["detail"], code) == (True, 0)
