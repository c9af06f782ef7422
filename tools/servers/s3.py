"""A stand-in for S3 that speaks its real protocol over real HTTP: moto's server."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

from tools.servers.server import Server, ServerFailed, ask_http


class S3Server(Server):
    """moto's server in a process of its own; it keeps its buckets in memory, so a restart empties it.

    Any credentials are good, unless `environ` holds `INITIAL_NO_AUTH_ACTION_COUNT=0` (moto's documentation,
    "IAM-like access control").
    """

    title = "moto-server"

    def __init__(self, folder: Path, *, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(folder)
        self._environ = dict(environ or {})

    @property
    def url(self) -> str:
        """The endpoint URL."""
        return f"http://{self.host}:{self.port}"

    def create_bucket(self, name: str) -> None:
        """Create a bucket; one that exists stays as it is."""
        self._ask("PUT", f"/{quote(name)}")

    def objects(self, bucket: str) -> list[str]:
        """Return the keys of the first thousand objects in a bucket."""
        listing = ET.fromstring(self._ask("GET", f"/{quote(bucket)}?list-type=2"))  # noqa: S314 - our own server's
        return [element.text or "" for element in listing.iterfind("{*}Contents/{*}Key")]

    def read(self, bucket: str, key: str) -> bytes:
        """Return what an object holds."""
        return self._ask("GET", f"/{quote(bucket)}/{quote(key)}")

    def empty(self) -> None:
        """Forget every bucket."""
        self._ask("POST", "/moto-api/reset")

    def _ask(self, method: str, path: str) -> bytes:
        status, body = ask_http(self.host, self.port, method, path)
        if status >= 400:
            raise ServerFailed(f"{self.title} answered {method} {path} with {status}: {body.decode()}")
        return body

    def _choose_ports(self) -> None:
        self.port = self._hold_port()

    def _launch(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", self.host, "-p", str(self.port)]
        self._spawn(command, env=os.environ | self._environ)

    def _answers(self) -> bool:
        status, _ = ask_http(self.host, self.port, "GET", "/moto-api/data.json")
        return status == 200
