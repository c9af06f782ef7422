"""The same servers from Docker images, for the demo on a machine that can neither have nor install them."""

import shutil
import subprocess
from collections.abc import Mapping

from tools.servers.rabbitmq import RabbitServer
from tools.servers.redis import RedisServer
from tools.servers.server import Server


def docker_answers() -> bool:
    """Whether a Docker engine answers within two seconds."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, timeout=2, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


class Container(Server):
    """What the containers have in common: one `docker run` in the foreground, which carries signals inside.

    Docker's own client dies of SIGKILL without telling the engine: so a kill is the engine's, and what the
    client receives when we die is SIGTERM, which it passes on.
    """

    patience = 300.0  # an image may have to be pulled
    grace = 10.0

    @property
    def container(self) -> str:
        """The container's name: one per port."""
        return f"sidecar-{self.title}-{self.port}"

    def kill(self) -> None:
        """End it at once, the container before the client that waits for it."""
        if self._processes:
            subprocess.run(["docker", "rm", "--force", self.container], capture_output=True, check=False)
        super().kill()

    def pause(self) -> None:
        """Freeze the container."""
        subprocess.run(["docker", "pause", self.container], capture_output=True, check=True)

    def resume(self) -> None:
        """Thaw the container."""
        subprocess.run(["docker", "unpause", self.container], capture_output=True, check=True)

    def _run(self, image: str, *, ports: Mapping[int, int], options: Mapping[str, str]) -> None:
        for held in self._held:  # the engine may not bind as leniently as the servers themselves do
            held.close()
        published = [f"--publish={self.host}:{ours}:{theirs}" for ours, theirs in ports.items()]
        variables = [f"--env={name}={value}" for name, value in options.items()]
        command = ["docker", "run", "--rm", "--name", self.container, *published, *variables, image]
        self._spawn(command, death_signal="TERM")


class RedisContainer(Container, RedisServer):
    """A Redis from its official image, on its plain port only."""

    def _launch(self) -> None:
        self._run("redis:7-alpine", ports={self.port: 6379}, options={})


class RabbitContainer(Container, RabbitServer):
    """A RabbitMQ from its official image, on its plain port and the management API's."""

    # The user guest may come from loopback only, and a published port's connections do not.
    user = "demo"
    password = "demo"  # noqa: S105 - of a throw-away server on loopback

    def _launch(self) -> None:
        self._run(
            "rabbitmq:3-management-alpine",
            ports={self.port: 5672, self.management_port: 15672},
            options={"RABBITMQ_DEFAULT_USER": self.user, "RABBITMQ_DEFAULT_PASS": self.password},
        )
