"""Who holds back the containers behind it: a native sidecar, or an init container that checks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sidecar.checks.exec import ExecConfig
from sidecar.config.check import CheckConfig, UrlCheckConfig
from sidecar.lint.case import Case, Style
from sidecar.lint.invocation import Invocation, invocation_of
from sidecar.lint.pod import Container, Role
from sidecar.lint.questions import question_of


@dataclass(frozen=True, slots=True)
class Wait:
    """A container whose checks must pass before the kubelet starts the next one."""

    container: Container
    checks: tuple[CheckConfig, ...]

    def is_behind(self, case: Case, container: Container) -> bool:
        """Whether another container is started before this one, and runs on."""
        containers = case.pod.containers
        return container.is_native_sidecar and containers.index(container) < containers.index(self.container)


def waits(case: Case) -> Iterator[Wait]:
    """Yield all that holds back the start of the app."""
    for waiter in case.crew.waiters:
        yield Wait(waiter, tuple(_chosen(case, invocation_of(waiter))))
    probe = case.sidecar.probes.get(Role.STARTUP)
    if case.style is Style.NATIVE and probe is not None:
        question = question_of(case, case.sidecar, probe.handler)
        yield Wait(case.sidecar, question.waits_for(case) if question else ())


def addresses_inside(case: Case, check: CheckConfig) -> Iterator[tuple[str, int | None]]:
    """Yield what a check asks inside the pod, a socket file included, and the port if it is known."""
    if isinstance(check, ExecConfig):
        yield from _addresses_in(case, " ".join(check.command))
    elif not case.is_remote(check) and (check.hosts or isinstance(check, UrlCheckConfig)):
        yield check.target, port_of(check)


def port_of(check: CheckConfig) -> int | None:
    """Return the port that a check asks; None if it asks none, or its type does not say."""
    port = getattr(check, "port", None)
    if port is None and isinstance(check, UrlCheckConfig):
        return check.url.port
    return port if isinstance(port, int) else None


def _addresses_in(case: Case, command: str) -> Iterator[tuple[str, int | None]]:
    for match in _ADDRESS.finditer(command):
        host, port = match["host"] or match["name"], match["port"] or match["number"]
        if case.is_here(host):
            yield (f"{host}:{port}", int(port)) if port else (host, None)


_HOST: Final = r"\[[0-9A-Fa-f:.]+\]|[\w.-]+"
_ADDRESS: Final = re.compile(
    rf"://(?:[^\s/?#]*@)?(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?"
    rf"|(?<![\w.-])(?P<name>{_HOST})(?::| +)(?P<number>[0-9]{{1,5}})(?![\w.-])"
)
"""A URL, or a host and a port: `localhost:8080`, and `localhost 8080` as nc has it."""


def _chosen(case: Case, invocation: Invocation) -> Iterator[CheckConfig]:
    """Yield the checks that `sidecar check` runs with its options."""
    names, gates = invocation.values_of("--only"), invocation.values_of("--gate")
    for check in case.config.checks:
        if (not names or check.name in names) and (not gates or gates[-1] in check.gates):
            yield check
