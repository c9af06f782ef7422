"""Who holds back the containers behind it: a native sidecar, or an init container that checks."""

from collections.abc import Iterator
from dataclasses import dataclass

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


def is_inside_pod(check: CheckConfig) -> bool:
    """Whether a check asks another container of the pod: on loopback, or through a socket file."""
    return not check.is_remote and (bool(check.hosts) or isinstance(check, UrlCheckConfig))


def port_of(check: CheckConfig) -> int | None:
    """Return the port that a check asks; None if it asks none, or its type does not say."""
    port = getattr(check, "port", None)
    if port is None and isinstance(check, UrlCheckConfig):
        return check.url.port
    return port if isinstance(port, int) else None


def _chosen(case: Case, invocation: Invocation) -> Iterator[CheckConfig]:
    """Yield the checks that `sidecar check` runs with its options."""
    names, gates = invocation.values_of("--only"), invocation.values_of("--gate")
    for check in case.config.checks:
        if (not names or check.name in names) and (not gates or gates[-1] in check.gates):
            yield check
