"""Services of the tests' own: they say what they are told, to an address of the tests' own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sidecar.config.check import option
from sidecar.config.deploy import ServiceConfig, ServiceType
from sidecar.config.fields import Label, SecretText
from sidecar.core.announcement import Announcement
from sidecar.core.deploy import DeployEvent, Receipt
from sidecar.deploys._service import Answer, Cluster, Request, Send, as_json, bearer


@dataclass(frozen=True, kw_only=True, repr=False)
class ListenerConfig(ServiceConfig):
    """Where it listens."""

    url: Label = option("Where.", default="http://listener.test/")
    token: SecretText = option("What it knows us by.")


class Listener:
    """Its receipt counts what it was told."""

    def __init__(self, config: ListenerConfig) -> None:
        self._config = config

    async def tell(self, announcement: Announcement, receipt: Receipt, send: Send) -> Receipt:
        """Send one request."""
        told = {"event": announcement.event, "revision": announcement.deploy.revision, **receipt}
        if announcement.origin.comment:
            told["comment"] = announcement.origin.comment
        answer = await send(
            Request(
                url=self._config.url,
                headers={"Authorization": bearer(self._config.token), "X-Key": announcement.key},
                body=as_json(told),
                answered=Answer(200, b'{"times": "1"}'),
            )
        )
        return {"times": str(answer.object()["times"])}


class Finder(Listener):
    """Can be asked whether it was told."""

    async def find(self, announcement: Announcement, send: Send) -> Receipt | None:
        """Ask."""
        url = f"{self._config.url}?event={announcement.event}"
        answer = await send(Request(method="GET", url=url, answered=Answer(200, b"{}")))
        return {"found": "yes"} if answer.object() else None


def _listener(config: ListenerConfig, _: Cluster) -> Listener:
    return Listener(config)


def _finder(config: ListenerConfig, _: Cluster) -> Finder:
    return Finder(config)


class Types:
    """Where these are found."""

    _found: Final = {
        "listener": ServiceType(config=ListenerConfig, build=_listener),
        "finder": ServiceType(config=ListenerConfig, build=_finder),
        "pessimist": ServiceType(
            config=ListenerConfig, build=_listener, takes=frozenset({DeployEvent.FAILED})
        ),
        "cluster": ServiceType(config=ListenerConfig, build=_listener, needs_cluster=True),
    }

    def find(self, name: str) -> ServiceType[Any] | None:
        """Return the type of this name, if there is one."""
        return self._found.get(name)

    def names(self) -> Sequence[str]:
        """Return the names of all types."""
        return sorted(self._found)


TYPES: Final = Types()
