"""A real RabbitMQ, with its management API and an epmd of its own."""

import json
import os
import socket
import subprocess
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tools.servers.server import Server, ServerFailed, TlsFiles, ask_http, find_command

# Each module that Erlang loads is looked for in every plug-in's folder. Leaving out the plug-ins that nobody
# enables takes the start from 7.5 to 4 seconds.
_KEPT_PLUGINS = frozenset(
    {"rabbitmq_management", "rabbitmq_management_agent", "rabbitmq_prelaunch", "rabbitmq_web_dispatch"}
)

QUICK_STATISTICS = (
    "collect_statistics_interval = 200",
    *(f"management.sample_retention_policies.{each} = 1" for each in ("global.minute", "basic.minute")),
    "management.sample_retention_policies.detailed.10 = 1",
)
"""Statistics within a second instead of within five: they are collected as often as the finest are kept."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a user may do in a virtual host: three regular expressions over the names of objects."""

    configure: str = ".*"
    write: str = ".*"
    read: str = ".*"


class RabbitServer(Server):
    """A RabbitMQ of our own: AMQP, given `tls` also AMQPS, and the management API.

    `config` takes further lines of rabbitmq.conf.
    """

    title = "rabbitmq-server"
    # Its management plug-in dawdles for five seconds after everything that is worth saving has been saved.
    grace = 1.0

    user = "guest"
    password = "guest"  # noqa: S105 - the default that the whole world knows
    tls_port = 0  # until the first start, and without `tls`
    management_port = 0  # until the first start

    def __init__(self, folder: Path, *, tls: TlsFiles | None = None, config: Sequence[str] = ()) -> None:
        super().__init__(folder)
        self.tls = tls
        self._config = tuple(config)
        self._distribution_port = 0
        self._epmd_port = 0

    @property
    def url(self) -> str:
        """The URL of the default virtual host, for the administrator."""
        return self.url_for(self.user, self.password)

    @property
    def tls_url(self) -> str:
        """The same over TLS."""
        return f"amqps://{self.user}:{self.password}@{self.host}:{self.tls_port}/"

    @property
    def management_url(self) -> str:
        """The root of the management plug-in; its API is below `/api`."""
        return f"http://{self.host}:{self.management_port}"

    def url_for(self, user: str, password: str, *, vhost: str = "/") -> str:
        """Return the URL for a user of a virtual host."""
        path = "" if vhost == "/" else quote(vhost, safe="")
        return f"amqp://{quote(user, safe='')}:{quote(password, safe='')}@{self.host}:{self.port}/{path}"

    def api(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Return the management API's answer to the administrator, or None for an empty one.

        Raises:
            ServerFailed: It answered with an error.
        """
        status, answer = self._ask(method, path, body)
        if status >= 400:
            raise ServerFailed(f"{self.title} answered {method} {path} with {status}: {answer.decode()}")
        return json.loads(answer) if answer else None

    def add_user(
        self, name: str, password: str, *, tags: str = "", vhosts: Mapping[str, Permissions] | None = None
    ) -> None:
        """Create or change a user, with permissions in the given virtual hosts; none given, none had."""
        self.api("PUT", f"/users/{quote(name, safe='')}", {"password": password, "tags": tags})
        for vhost, permissions in (vhosts or {}).items():
            self.set_permissions(name, permissions, vhost=vhost)

    def set_permissions(self, user: str, permissions: Permissions, *, vhost: str = "/") -> None:
        """Say what a user may do in a virtual host."""
        path = f"/permissions/{quote(vhost, safe='')}/{quote(user, safe='')}"
        self.api("PUT", path, asdict(permissions))

    def add_vhost(self, name: str) -> None:
        """Create a virtual host, which nobody may use until permissions are set."""
        self.api("PUT", f"/vhosts/{quote(name, safe='')}")

    def disconnect(self, user: str) -> None:
        """Close the connections of a user, as an operator may at any time, once the statistics show one."""
        deadline = time.monotonic() + self.patience
        while not (names := self._connections_of(user)):
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.title} still shows no connection of {user}")
            time.sleep(0.05)
        for name in names:
            self._ask("DELETE", f"/connections/{quote(name, safe='')}")

    def raise_alarm(self) -> None:
        """Make it believe that its memory is full; return when it blocks those who publish."""
        self.control("set_vm_memory_high_watermark", "absolute", "1000000")
        self._wait_for_alarms(status=503)

    def clear_alarm(self) -> None:
        """End what `raise_alarm` began; return when everybody may publish again."""
        self.control("set_vm_memory_high_watermark", "0.4")
        self._wait_for_alarms(status=200)

    def raise_disk_alarm(self) -> None:
        """Make it believe that its disk is full; return when it blocks those who publish."""
        self.control("set_disk_free_limit", "1000000GB")
        self._wait_for_alarms(status=503)

    def clear_disk_alarm(self) -> None:
        """End what `raise_disk_alarm` began; return when everybody may publish again."""
        self.control("set_disk_free_limit", "50MB")
        self._wait_for_alarms(status=200)

    def control(self, *words: str) -> str:
        """Return what `rabbitmqctl` prints. It takes a second: prefer `api` for what that can do."""
        command = [find_command("rabbitmqctl"), "--quiet", "--node", self._node, *words]
        done = subprocess.run(
            command, env=self._env(), capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode != 0:
            raise ServerFailed(f"rabbitmqctl {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    @property
    def _node(self) -> str:
        return f"sidecar-{self.port}@localhost"

    def _choose_ports(self) -> None:
        self.port = self._hold_port()
        self.tls_port = self._hold_port() if self.tls else 0
        self.management_port = self._hold_port()
        self._distribution_port = self._hold_port()
        self._epmd_port = self._hold_port()

    def _launch(self) -> None:
        broker = find_command("rabbitmq-server")
        env = self._env()
        self._write("rabbitmq.conf", *self._basic_lines(), *self._tls_lines(), *self._config)
        self._write("enabled_plugins", "[rabbitmq_management].")
        self._write("env.conf", *self._home_lines(Path(broker)))
        self._spawn([find_command("epmd"), "-port", str(self._epmd_port), "-address", self.host], env=env)
        self._spawn([broker], env=env)

    def _write(self, name: str, *lines: str) -> None:
        (self.folder / name).write_text("\n".join([*lines, ""]))

    def _basic_lines(self) -> list[str]:
        return [
            f"listeners.tcp.1 = {self.host}:{self.port}",
            f"management.tcp.ip = {self.host}",
            f"management.tcp.port = {self.management_port}",
        ]

    def _tls_lines(self) -> list[str]:
        if self.tls is None:
            return []
        wants = "true" if self.tls.wants_client_certificate else "false"
        return [
            f"listeners.ssl.1 = {self.host}:{self.tls_port}",
            f"ssl_options.certfile = {self.tls.cert}",
            f"ssl_options.keyfile = {self.tls.key}",
            f"ssl_options.cacertfile = {self.tls.ca}",
            f"ssl_options.verify = {'verify_peer' if self.tls.wants_client_certificate else 'verify_none'}",
            f"ssl_options.fail_if_no_peer_cert = {wants}",
        ]

    def _home_lines(self, broker: Path) -> list[str]:
        """Make a home with only the plug-ins we need, and return what tells the start script of it."""
        installed = broker.resolve().parent.parent / "plugins"
        if not installed.is_dir():
            return []
        home = self.folder / "home"
        (home / "plugins").mkdir(parents=True, exist_ok=True)
        for plugin in installed.iterdir():
            name = plugin.name.partition("-")[0]
            link = home / "plugins" / plugin.name
            if not link.is_symlink() and (name in _KEPT_PLUGINS or not name.startswith("rabbitmq_")):
                link.symlink_to(plugin)
        return [f"RABBITMQ_HOME='{home}'"]

    def _env(self) -> dict[str, str]:
        """Return the whole environment of broker, epmd and rabbitmqctl: nothing of ours leaks in."""
        only_loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),  # holds the Erlang cookie
            "ERL_EPMD_ADDRESS": self.host,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": only_loopback,
            "RABBITMQ_CTL_ERL_ARGS": only_loopback,
            # Become the Erlang machine instead of a shell that waits for it: signals then reach the broker.
            "RUNNING_UNDER_SYSTEMD": "1",
        }

    def _answers(self) -> bool:
        status, _ = self._ask("GET", "/whoami")
        return status == 200 and self._greets() and self._listens_for_tls()

    def _greets(self) -> bool:
        with closing(socket.create_connection((self.host, self.port), timeout=5)) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(1))

    def _listens_for_tls(self) -> bool:
        if self.tls:
            socket.create_connection((self.host, self.tls_port), timeout=5).close()
        return True

    def _connections_of(self, user: str) -> list[str]:
        listed = self.api("GET", "/connections?columns=name,user")
        return [each["name"] for each in listed if each.get("user") == user]

    def _wait_for_alarms(self, *, status: int) -> None:
        deadline = time.monotonic() + self.patience
        while self._ask("GET", "/health/checks/alarms")[0] != status:
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.title} still does not answer {status} when asked for its alarms")
            time.sleep(0.05)

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, bytes]:
        credentials = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return ask_http(
            self.host,
            self.management_port,
            method,
            f"/api{path}",
            body=b"" if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Basic {credentials}"},
        )
