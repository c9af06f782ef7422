"""No secret on any surface: logs, bodies, metrics, tracebacks, tables, JSON, problems."""

import json
from pathlib import Path

import pytest

from tests.network.fakes import Connection, talking
from tests.process.harness import running
from tests.process.plugins import install
from tests.process.program import run_sidecar

SECRETS = {
    "REDIS_PASSWORD": "hunter2:p@ss/w%rd with space",
    "AMQP_PASSWORD": "hunter3-amqp#?&=+",
    "HEADER": "hunter4-header",
    "TOKEN": 'hunter5-"token"\\',
    "WEBHOOK": "hunter6-path-of-a-webhook",
}
FILE_SECRET = "hunter7-from-a-file"


def needles() -> list[str]:
    """What must not appear: enough of each secret to know it, also where it was cut or encoded."""
    return ["hunter"]


def checks(port: int, secret_file: Path) -> str:
    return f"""\
  - name: redis
    type: redis
    url: redis://app:${{REDIS_PASSWORD}}@127.0.0.1:{port}/0
    gates: startup
    timeout: 500ms
  - name: redis-file
    type: redis
    url: redis://127.0.0.1:{port}/0
    password: ${{file:{secret_file}}}
    gates: none
    timeout: 500ms
  - name: amqp
    type: rabbitmq
    url: amqp://app:${{AMQP_PASSWORD}}@127.0.0.1:{port}/
    gates: none
    timeout: 500ms
  - name: http
    type: http
    url: http://user:${{TOKEN}}@127.0.0.1:{port}/${{WEBHOOK}}?key=${{HEADER}}
    headers: {{X-Api-Key: "${{HEADER}}"}}
    gates: none
    timeout: 500ms
  - name: s3
    type: s3
    bucket: artifacts
    endpoint_url: http://127.0.0.1:{port}
    access_key_id: ${{HEADER}}
    secret_access_key: ${{TOKEN}}
    gates: none
    timeout: 2s
  - name: exec
    type: exec
    command: [sh, -c, "echo failing with $TOKEN >&2; exit 3"]
    env: {{TOKEN: "${{TOKEN}}"}}
    gates: none
  - name: trouble
    type: trouble
    token: ${{TOKEN}}
    gates: none
"""


TRAITOR = """
secret = self.config.token.reveal()
url = f"redis://user:{secret}@host/"
raise RuntimeError(f"cannot connect to {url} with {secret!r} and {self.config}")
"""


async def echo(connection: Connection) -> None:
    """Send back whatever came, as a server does that repeats a request in its error."""
    said = await connection.read()
    await connection.send(
        b"HTTP/1.1 302 Found\r\nLocation: http://x/?was=" + said.split(b"\r\n")[0] + b"\r\n"
    )
    await connection.send(b"X-Echo: " + said.replace(b"\r\n", b" ") + b"\r\nContent-Length: 0\r\n\r\n")
    await connection.until_closed()


@pytest.mark.servers
async def test_no_secret_appears_on_any_surface(tmp_path: Path) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text(FILE_SECRET + "\n")
    env = {**SECRETS, **install(tmp_path, run=TRAITOR), "AWS_EC2_METADATA_DISABLED": "true"}
    told: dict[str, str] = {}
    async with talking(echo) as fake:
        listed = checks(fake.port, secret_file)
        async with running(tmp_path, listed, env=env, sections="log: {level: debug}") as sidecar:
            for name in ("redis", "redis-file", "amqp", "http", "s3", "exec", "trouble"):
                await sidecar.until_logged("check is down", check=name, within=20)
            for path in ("/readyz", "/startupz?verbose", "/livez?verbose", "/readyz/http", "/metrics"):
                for admin in (False, True):
                    for accept in ("*/*", "application/json"):
                        _, body = await sidecar.get(path, admin=admin, accept=accept)
                        told[f"{path} admin={admin} {accept}"] = body
            await sidecar.stop()
            told["log"] = "".join(sidecar.raw)
        config = str(tmp_path / "config.yaml")
        for output in ("table", "json"):
            ended = await run_sidecar("check", "--config", config, "--output", output, env=env)
            told[f"check {output}"] = ended.out + ended.err
    for verb in ("validate", "schema"):
        ended = await run_sidecar(verb, *([config] if verb == "validate" else []), env=env)
        told[verb] = ended.out + ended.err
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        f"checks:\n{listed}".replace("type: http", "type: htp").replace("gates: none", "gates: nine")
    )
    ended = await run_sidecar("validate", str(broken), env=env)
    told["problems"] = ended.out + ended.err

    leaks = {surface: text for surface, text in told.items() if any(each in text for each in needles())}
    assert leaks == {}
    assert "unexpected RuntimeError" in told["/readyz admin=True */*"]
    assert "RuntimeError: cannot connect to redis://***" in json.dumps(told["log"])
