"""The demo: a sidecar beside a tiny app, with a Redis, a RabbitMQ and an S3 stand-in of its own.

    python -m tools.demo                start everything, serve examples/demo.yaml, end it all with Ctrl-C
    python -m tools.demo stop redis     from another terminal: stop one part of the running demo
    python -m tools.demo start redis    and start it again on the same port

Everything it writes lies in .demo/, or in $DEMO_FOLDER. It ends what it started, however it ends itself, and
nothing else.
"""

import fcntl
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tools.servers import (
    RabbitContainer,
    RabbitServer,
    RedisContainer,
    RedisServer,
    S3Server,
    Server,
    ServerFailed,
    ServerMissing,
    docker_answers,
    find_command,
    spawn,
)
from tools.servers.server import ask_http

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = Path(os.environ.get("DEMO_FOLDER", ROOT / ".demo")).resolve()
CONFIG: Final = ROOT / "examples" / "demo.yaml"
CONTROL: Final = os.path.relpath(FOLDER / "control.sock", ROOT)  # short: a unix socket's path has a limit
BUCKET: Final = "build-artifacts"
PORTS: Final = {"SIDECAR_PORT": 17808, "SIDECAR_ADMIN_PORT": 17809}
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIDECAR_GRACE: Final = 10.0


class AppServer(Server):
    """The demo's app in a process of its own."""

    title = "demo-app"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"

    def _choose_ports(self) -> None:
        self.port = self._hold_port()

    def _launch(self) -> None:
        self._spawn([sys.executable, str(ROOT / "examples" / "demo_app.py"), str(self.port)])

    def _answers(self) -> bool:
        return ask_http(self.host, self.port, "GET", "/healthz")[0] == 200


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that the sidecar asks."""

    name: str
    check: str
    make: Callable[[Path], Server]
    variables: Callable[[Any], Mapping[str, str]]


def _redis(folder: Path) -> Server:
    return RedisServer(folder) if _is_here("redis-server") else RedisContainer(folder)


def _rabbit(folder: Path) -> Server:
    return RabbitServer(folder) if _is_here("rabbitmq-server") else RabbitContainer(folder)


def _is_here(command: str) -> bool:
    """Whether a server's command is on this machine; if not, say where it comes from.

    Raises:
        ServerMissing: It is not, and there is no Docker engine to have it from.
    """
    try:
        find_command(command)
    except ServerMissing:
        if not docker_answers():
            raise ServerMissing(f"neither {command} nor a Docker engine is on this machine") from None
        say(f"{command} is not on this machine: taking it from Docker")
        return False
    return True


PARTS: Final = (
    Part("redis", "sessions", _redis, lambda server: {"REDIS_URL": server.url}),
    Part("rabbitmq", "builds", _rabbit, lambda server: {"AMQP_URL": server.url}),
    Part("s3", "artifacts", S3Server, lambda server: {"S3_ENDPOINT": server.url, "S3_BUCKET": BUCKET}),
    Part("app", "app", AppServer, lambda server: {"APP_URL": server.url}),
)


def main(arguments: Sequence[str]) -> int:
    """Run the demo, or act on the one that runs; return the exit code."""
    os.chdir(ROOT)
    names = [part.name for part in PARTS]
    match arguments:
        case []:
            return run()
        case ["start" | "stop" as verb, name] if name in names:
            return ask(f"{verb} {name}")
        case _:
            say(f"usage: python -m tools.demo [start|stop {'|'.join(names)}]")
            return 2


def run() -> int:
    """Start everything, serve until a signal comes, end everything."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    with ExitStack() as stack:
        try:
            if not stack.enter_context(only_demo_here()):
                say("a demo of this checkout is running already")
                return 1
            return serve(stack)
        except KeyboardInterrupt:
            say("stopping everything")
            return 0
        finally:
            for number in STOP_SIGNALS:
                signal.signal(number, signal.SIG_IGN)


def serve(stack: ExitStack) -> int:
    """Start the parts and the sidecar, each to be ended by the stack; return the sidecar's exit code."""
    servers = start_parts(stack)
    environment = variables(servers)
    config = served_config(servers)
    stack.enter_context(controlled(servers))
    tell_what_to_open(servers, environment)
    command = [sys.executable, "-m", "sidecar", "serve", "--config", str(config)]
    sidecar = spawn(command, cwd=ROOT, env=environment)
    stack.callback(end, sidecar)
    code = sidecar.wait()
    say(f"the sidecar ended by itself with code {code}")
    return code


@contextmanager
def only_demo_here() -> Iterator[bool]:
    """Yield whether no other demo runs in this checkout, which then none does until the end."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def start_parts(stack: ExitStack) -> dict[str, Server]:
    """Start what can be had, with nothing of the last time; say what the demo goes without."""
    servers = {}
    for part in PARTS:
        say(f"starting {part.name}")
        folder = FOLDER / part.name
        shutil.rmtree(folder, ignore_errors=True)
        try:
            server = part.make(folder)
            stack.callback(server.close)
            servers[part.name] = server.start()
        except (ServerMissing, ServerFailed) as failure:
            say(f"going without {part.name} and its check {part.check}: {failure}")
    fill(servers)
    return servers


def fill(servers: Mapping[str, Server]) -> None:
    """Make what the example expects in the servers: a restart empties S3's stand-in."""
    if isinstance(s3 := servers.get("s3"), S3Server):
        s3.create_bucket(BUCKET)


def variables(servers: Mapping[str, Server]) -> dict[str, str]:
    """Return the sidecar's environment: ours without AWS', and where everything is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo", "AWS_REGION": "us-east-1"}
    for part in PARTS:
        if part.name in servers:
            environment |= part.variables(servers[part.name])
    return environment | {name: str(free_port(name, wanted)) for name, wanted in PORTS.items()}


def free_port(name: str, wanted: int) -> int:
    """Return the wanted port, or another one if that is taken, and say so."""
    try:
        socket.create_server(("", wanted)).close()
    except OSError:
        with socket.create_server(("", 0)) as other:
            port = int(other.getsockname()[1])
        say(f"port {wanted} is taken: {name} is {port} instead")
        return port
    return wanted


def served_config(servers: Mapping[str, Server]) -> Path:
    """Return the example, or where something is missing a copy without the checks that would ask it."""
    missing = {part.check for part in PARTS if part.name not in servers}
    if not missing:
        return CONFIG
    document = yaml.safe_load(CONFIG.read_bytes())
    document["checks"] = [check for check in document["checks"] if check["name"] not in missing]
    reduced = FOLDER / "demo.yaml"
    reduced.write_text(yaml.safe_dump(document, sort_keys=False))
    return reduced


def tell_what_to_open(servers: Mapping[str, Server], environment: Mapping[str, str]) -> None:
    """Print the URLs, and how to take something away from the sidecar and give it back."""
    probes = f"http://127.0.0.1:{environment['SIDECAR_PORT']}"
    admin = f"http://127.0.0.1:{environment['SIDECAR_ADMIN_PORT']}"
    found = [(part, part.variables(servers[part.name])) for part in PARTS if part.name in servers]
    python = min(sys.executable, os.path.relpath(sys.executable), key=len)
    ourselves = f"{python} -m tools.demo"
    lines = [
        "open",
        f"  {probes}/readyz?verbose    may this pod take traffic?",
        f"  {probes}/livez?verbose     must the app be restarted?",
        f"  {probes}/startupz?verbose  did this release prove itself?",
        f"  {probes}/healthz           is the sidecar itself well?",
        f"  {probes}/metrics           what Prometheus reads",
        f"  {admin}/readyz?verbose    with the messages, on loopback only",
        f"take something away from another terminal with `kill PID` or `{ourselves} stop NAME`,",
        f"and give it back with `{ourselves} start NAME`",
        *(
            f"  {part.name:<10}pid {servers[part.name].pid:<8}{' '.join(where.values())}"
            for part, where in found
        ),
        f"logs of the servers are in {os.path.relpath(FOLDER)}/*/*.log; Ctrl-C ends everything",
    ]
    say("\n".join(lines))


@contextmanager
def controlled(servers: Mapping[str, Server]) -> Iterator[None]:
    """Let `ask` start and stop the servers meanwhile, one at a time."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            said = self.rfile.readline().decode()
            self.wfile.write(obey(servers, said).encode())

    Path(CONTROL).unlink(missing_ok=True)
    with socketserver.UnixStreamServer(CONTROL, Handler) as control:
        thread = threading.Thread(target=control.serve_forever, name="control")
        thread.start()
        try:
            yield
        finally:
            control.shutdown()
            thread.join()
            Path(CONTROL).unlink(missing_ok=True)


def obey(servers: Mapping[str, Server], said: str) -> str:
    """Start or stop a server; return what to tell the one who asked."""
    verb, _, name = said.strip().partition(" ")
    server = servers.get(name)
    if server is None:
        return f"this demo goes without {name}"
    if verb == "stop":
        server.stop()
        return f"{name} is stopped"
    try:
        server.start()
        fill({name: server})
    except ServerFailed as failure:
        return str(failure)
    return f"{name} runs as process {server.pid}"


def ask(what: str) -> int:
    """Ask the running demo to do something; print what it says and return the exit code."""
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        try:
            connection.connect(CONTROL)
        except OSError:
            say("no demo of this checkout is running: start it with `make run`")
            return 1
        connection.sendall(f"{what}\n".encode())
        say(connection.makefile().read())
    return 0


def end(sidecar: subprocess.Popen[bytes]) -> None:
    """Let the sidecar end as Kubernetes would."""
    sidecar.terminate()
    with suppress(subprocess.TimeoutExpired):
        sidecar.wait(SIDECAR_GRACE)
    sidecar.kill()
    sidecar.wait()


def say(what: str) -> None:
    """Print at once, also into a pipe."""
    print(f"==> {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
