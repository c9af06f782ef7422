"""Where we are: our pod, and the address of the cluster's API, as the container's environment has them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sidecar.support.net import show_address

HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
"""Set by the kubelet in every container."""
FIELDS: Final = {
    "POD_NAME": "metadata.name",
    "POD_NAMESPACE": "metadata.namespace",
    "POD_UID": "metadata.uid",
}
"""Set by a manifest that asks the downward API for these fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """What says which pod is meant. `kubectl describe pod` finds Events by all three of them."""

    name: str
    namespace: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Our pod, and the `host:port` of the cluster's API."""

    pod: Pod
    address: str


def locate(environ: Mapping[str, str]) -> Here:
    """Return where we are, if it `is_inside` a cluster and nothing is `missing`."""
    return Here(
        pod=Pod(name=environ["POD_NAME"], namespace=environ["POD_NAMESPACE"], uid=environ["POD_UID"]),
        address=show_address(environ[HOST].strip("[]"), int(environ[PORT])),
    )


def missing(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield what keeps us from knowing which pod is ours, each in a sentence with the line to write."""
    for name, path in FIELDS.items():
        value = environ.get(name, "")
        if not _FORMS[name].fullmatch(value):
            fault = f"is no {path}" if value else "is not set"
            line = f"{{name: {name}, valueFrom: {{fieldRef: {{fieldPath: {path}}}}}}}"
            yield f"needs the variable {name}, which {fault}; write in env of the sidecar's container: {line}"


def is_inside(environ: Mapping[str, str]) -> bool:
    """Whether we are told where the cluster's API is."""
    return bool(_HOST.fullmatch(environ.get(HOST, "")) and _PORT.fullmatch(environ.get(PORT, "")))


_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_FORMS: Final = {
    "POD_NAME": re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*"),
    "POD_NAMESPACE": re.compile(_LABEL),
    "POD_UID": re.compile(r"[A-Za-z0-9-]{1,128}"),
}
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]-]+")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
