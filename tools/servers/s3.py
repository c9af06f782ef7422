"""A stand-in for S3 that speaks its real protocol over real HTTP: moto's server."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from tools.servers.server import Server, ServerFailed, ask_http


class S3Server(Server):
    """moto's server in a process of its own; it keeps its buckets in memory, so a restart empties it.

    Any credentials are good, until it is told to check them, or from the start if `environ` holds
    `INITIAL_NO_AUTH_ACTION_COUNT=0` (moto's documentation, "IAM-like access control").
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

    def check_credentials(self) -> None:
        """Take only the credentials of its users from now on, each for what its policies allow."""
        self._ask("POST", "/moto-api/reset-auth", b"0")

    def trust_everybody(self) -> None:
        """Take any credentials from now on, for anything."""
        self._ask("POST", "/moto-api/reset-auth", b"inf")

    def add_user(self, name: str) -> tuple[str, str]:
        """Create a user without any policy, while all are trusted; return its access key and the secret."""
        self._ask_iam(Action="CreateUser", UserName=name)
        answer = ET.fromstring(self._ask_iam(Action="CreateAccessKey", UserName=name))  # noqa: S314 - as above
        key, secret = (answer.findtext(f".//{{*}}{each}", "") for each in ("AccessKeyId", "SecretAccessKey"))
        return key, secret

    def _ask_iam(self, **form: str) -> bytes:
        """Ask IAM, which moto knows from S3 by the scope of the signature."""
        headers = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/iam/aws4_request",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self._ask("POST", "/", urlencode(form).encode(), headers)

    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> bytes:
        status, answer = ask_http(self.host, self.port, method, path, body=body, headers=headers)
        if status >= 400:
            raise ServerFailed(f"{self.title} answered {method} {path} with {status}: {answer.decode()}")
        return answer

    def _choose_ports(self) -> None:
        self.port = self._hold_port()

    def _launch(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", self.host, "-p", str(self.port)]
        self._spawn(command, env=os.environ | self._environ)

    def _answers(self) -> bool:
        status, _ = ask_http(self.host, self.port, "GET", "/moto-api/data.json")
        return status == 200
