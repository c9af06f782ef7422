"""What a service is to those who announce: it says which requests to make, and reads what is answered.

Somebody else sends them, so that the same requests can be shown without being sent.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from sidecar.config.kinds.secret import Secret
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import Receipt

if TYPE_CHECKING:
    from sidecar.kube.client import ApiServer
    from sidecar.kube.here import Pod

TEXT_LIMIT: Final = 16 * 1024
"""Bytes; secrets are looked for on the event loop, and what explains a refusal is shorter."""


class DeliveryError(Exception):
    """An announcement was not delivered, or nobody knows; the message is one sentence.

    As a service raises it, the sentence may repeat what was answered, whole: a secret that was cut would not
    be known for one any more. `discreet` blots and then cuts it. `retry_after` are the seconds for which
    the service wants to be left alone. What `is_final` is refused however often it is tried.
    """

    def __init__(self, sentence: str, *, retry_after: float = 0.0, is_final: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.retry_after = retry_after
        self.is_final = is_final


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to a service, and what a service that is well answers."""

    method: str = "POST"
    url: str
    """Whole, without userinfo."""
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    body: bytes | None = None
    accepts: frozenset[int] = frozenset()
    """Codes beside the 2xx that are no refusal."""
    answered: "Answer"
    """As the service's documentation has it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered: its code, and the body, which is at most 1 MiB."""

    code: int
    body: bytes = b""

    @property
    def text(self) -> str:
        """The body for a sentence: whole, or how long it is where it is too long to look for secrets in.

        JSON is written anew, so that it escapes a secret in the one way that is known.
        """
        if len(self.body) > TEXT_LIMIT:
            return f"{len(self.body):,} bytes"
        found = self._decoded()
        return json.dumps(found, ensure_ascii=False) if found else self.body.decode(errors="replace")

    def object(self) -> dict[str, Any]:
        """Return the JSON object that the body is.

        Raises:
            DeliveryError: it is none.
        """
        found = self._decoded()
        if not isinstance(found, dict):
            raise DeliveryError(f"answered {self.code} with something else than a JSON object")
        return found

    def array(self) -> list[Any]:
        """Return the JSON array that the body is.

        Raises:
            DeliveryError: it is none.
        """
        found = self._decoded()
        if not isinstance(found, list):
            raise DeliveryError(f"answered {self.code} with something else than a JSON array")
        return found

    def _decoded(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


Send = Callable[[Request], Awaitable[Answer]]
"""Sends one request; returns an answer that is a 2xx or accepted, or raises `DeliveryError`."""


class Service(Protocol):
    """A configured service. Times, retries, logs and counts nothing itself."""

    async def tell(self, announcement: Announcement, receipt: Receipt, send: Send) -> Receipt:
        """Announce; return what is needed to update it later.

        `receipt` is what the last announcement of the same deploy returned, empty if there was none.

        Raises:
            DeliveryError: the service did not take it.
        """
        ...


@runtime_checkable
class Finds(Service, Protocol):
    """A service that can be asked whether it was told already."""

    async def find(self, announcement: Announcement, send: Send) -> Receipt | None:
        """Return the receipt of an announcement that was made, by whomever; None if it was not.

        It is asked before every attempt: one before, of whatever process, may have ended in the dark.

        Raises:
            DeliveryError: the service does not say.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What a service is built with beside its configuration: the cluster, in a pod that asks it."""

    api: "ApiServer | None" = None
    pod: "Pod | None" = None


def as_json(value: object) -> bytes:
    """Return the body of a request."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def bearer(token: Secret) -> Secret:
    """Return the value of an `Authorization` header."""
    return Secret(f"Bearer {token.reveal()}")
