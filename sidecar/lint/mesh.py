"""Service meshes whose proxy opens the network of a pod, as far as manifests tell.

Istio: istio.io/latest/docs/reference/config/annotations. Linkerd: linkerd.io/2/reference/proxy-configuration.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sidecar.config.check import CheckConfig
from sidecar.lint.case import Case
from sidecar.lint.pod import Pod
from sidecar.lint.waiting import Wait, port_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """A mesh, and the labels and annotations that it reads."""

    name: str
    proxy: str
    """The name of the proxy's container."""
    injected_by: tuple[str, frozenset[str]]
    """The label or annotation that asks for a proxy, and the values with which it does."""
    native_by: tuple[str, ...]
    """The annotations with which the proxy is a native sidecar, the first of the init containers."""
    skipped_by: str
    """The annotation that names the ports that do not pass through the proxy."""

    def opens_behind(self, case: Case, wait: Wait) -> str:
        """Return what to write where the mesh opens the network only after `wait`; empty if it does not."""
        proxy = next((each for each in case.pod.containers if each.name == self.proxy), None)
        if proxy is not None:
            is_open = wait.is_behind(case, proxy)
            return "" if is_open else f"{self.proxy} before {wait.container.name}, with restartPolicy: Always"
        if not self._is_injected(case.pod) or self._is_native(case.pod):
            return ""
        return f'{self.native_by[0]}: "true"'

    def carries(self, case: Case, check: CheckConfig) -> bool:
        """Whether what a check asks passes through the proxy."""
        skipped = _ports(case.pod.annotations.get(self.skipped_by, ""))
        return case.is_remote(check) and port_of(check) not in skipped

    def _is_injected(self, pod: Pod) -> bool:
        key, values = self.injected_by
        return bool(values & {pod.labels.get(key), pod.annotations.get(key)})

    def _is_native(self, pod: Pod) -> bool:
        return any(pod.annotations.get(key) == "true" for key in self.native_by)


MESHES: Final = (
    Mesh(
        name="Istio",
        proxy="istio-proxy",
        injected_by=("sidecar.istio.io/inject", frozenset({"true"})),
        native_by=("sidecar.istio.io/nativeSidecar",),
        skipped_by="traffic.sidecar.istio.io/excludeOutboundPorts",
    ),
    Mesh(
        name="Linkerd",
        proxy="linkerd-proxy",
        injected_by=("linkerd.io/inject", frozenset({"enabled", "ingress"})),
        native_by=(
            "config.beta.linkerd.io/proxy-enable-native-sidecar",
            "config.alpha.linkerd.io/proxy-enable-native-sidecar",
        ),
        skipped_by="config.linkerd.io/skip-outbound-ports",
    ),
)


def _ports(written: str) -> frozenset[int]:
    """Return the ports of a list such as `6379,9000-9010`."""
    return frozenset(port for part in written.split(",") for port in _range(part.strip()))


def _range(part: str) -> Iterator[int]:
    if match := _PORTS.fullmatch(part):
        first, last = match["first"], match["last"] or match["first"]
        yield from range(int(first), min(int(last), 65535) + 1)


_PORTS: Final = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?")
