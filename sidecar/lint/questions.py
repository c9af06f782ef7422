"""What a probe asks the sidecar, and what of its address is none of ours."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from sidecar.config.check import CheckConfig
from sidecar.config.model import ServerConfig
from sidecar.core.verdict import Gate
from sidecar.core.verdict import Probe as Asked
from sidecar.lint.case import Case, Style
from sidecar.lint.invocation import PROBE, Invocation, invocation_in
from sidecar.lint.pod import Container, Handler, Means, Probe, Role

USUAL: Final = ServerConfig()
"""Where verbs ask that are not told."""
HEALTHZ: Final = "healthz"
DRAINED: Final = "/drained"
"""What an app's preStop asks."""
ROOTS: Final = (*(probe.value for probe in Asked), HEALTHZ)
RIGHT_QUESTIONS: Final[Mapping[Role, str]] = {
    Role.STARTUP: "/startupz",
    Role.READINESS: "/readyz",
    Role.LIVENESS: "/healthz",
}
"""What each probe of the sidecar's own container asks."""

_QUESTION: Final = re.compile(r"/?(?P<root>[a-z]+)(?:/(?P<name>[^/?#]+))?(?:\?(?P<query>.*))?")


@dataclass(frozen=True, slots=True)
class Question:
    """A path of ours: a probe, or what one check contributes to it."""

    root: str
    check: str = ""
    excluded: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return its path."""
        return f"/{self.root}/{self.check}" if self.check else f"/{self.root}"

    def waits_for(self, case: Case) -> tuple[CheckConfig, ...]:
        """Return the checks that must be up, for the answer to be good."""
        return tuple(check for check in case.config.checks if self._concerns(check))

    def _concerns(self, check: CheckConfig) -> bool:
        if self.check:
            return check.name == self.check
        return bool(_HELD_BY.get(self.root, frozenset()) & check.gates) and check.name not in self.excluded


def question_of(case: Case, container: Container, handler: Handler) -> Question | None:
    """Return what a handler asks the sidecar; None if it asks something else, or nothing that we answer."""
    if handler.means is Means.EXEC:
        return None if any(_faults_of_command(case, handler)) else _question_of_command(handler)
    if handler.means is not Means.HTTP or container.number_of(handler.port) != case.port:
        return None
    return _question_in(case, handler.path)


def faults(case: Case, container: Container, handler: Handler) -> Iterator[str]:
    """Yield what is wrong with the address of a handler that is meant for us, the most telling first."""
    if not _is_for_us(case, container, handler):
        return
    if case.style is Style.INIT:
        yield "asks the sidecar, which only checks in this pod and does not serve"
    if handler.means is Means.HTTP:
        yield from _faults_of_request(case, container, handler)
    elif handler.means is Means.EXEC:
        yield from _faults_of_command(case, handler)
    else:
        yield f"asks by {handler.means}, which no check answers"


def asked_at(case: Case, invocation: Invocation, usual: int) -> str:
    """Return where a verb asks, as `Case.admin_address` has it; `usual` is the verb's own port."""
    socket, host = invocation.value_of("--socket", ""), invocation.value_of("--host", "localhost")
    port = f"port {invocation.value_of('--port', str(usual))}"
    return socket or (port if case.is_here(host) else f"{port} of {host}")


def is_missed(asked: str, *places: str) -> bool:
    """Whether what a verb asks is none of these places; what a shell puts in may be any."""
    return asked not in places and "$" not in asked


def _faults_of_request(case: Case, container: Container, handler: Handler) -> Iterator[str]:
    if wrong_port := _fault_of_port(case, container, handler):
        yield wrong_port
    if handler.host:
        yield f"asks the host {handler.host} instead of the pod"
    if handler.scheme.upper() != "HTTP":
        yield f"asks by {handler.scheme.upper()}, which the sidecar does not speak"


def askers(case: Case, check: CheckConfig, *roles: Role) -> Iterator[Probe]:
    """Yield the probes of these roles whose answer waits for a check."""
    for container, probe in case.probes(*roles):
        question = question_of(case, container, probe.handler)
        if question is not None and check in question.waits_for(case):
            yield probe


def right_path(case: Case, container: Container, role: Role) -> str:
    """Return what a probe should ask us."""
    if container not in case.apps:
        return RIGHT_QUESTIONS[role]
    if role is Role.LIVENESS:
        return "/livez"
    own = next((f"/{check.name}" for check in case.config.checks if not case.is_remote(check)), "")
    return f"/readyz{own}" if role is Role.STARTUP else "/readyz"


def asking(case: Case, path: str) -> str:
    """Return the line that asks us for `path`."""
    return f"httpGet: {{path: {path}, port: {case.port}}}"


def probing(role: Role, question: str, *, period: int, failures: int, more: str = "") -> str:
    """Return the line of a whole probe."""
    times = f"periodSeconds: {period}, timeoutSeconds: 2, failureThreshold: {failures}{more}"
    return f"{role}: {{{question}, {times}}}"


def root_of(case: Case, container: Container, probe: Probe) -> str | None:
    """Return which probe of ours is asked; None if it is none."""
    question = question_of(case, container, probe.handler)
    return question.root if question else None


def is_for_port(case: Case, container: Container, handler: Handler) -> bool:
    """Whether a handler asks the sidecar's main listener, whatever it asks."""
    return handler.means is Means.HTTP and container.number_of(handler.port) == case.port


def _fault_of_port(case: Case, container: Container, handler: Handler) -> str:
    number = container.number_of(handler.port)
    if not handler.port:
        return "names no port"
    if number is None:
        return f"names the port {handler.port!r}, which {container.name} does not declare"
    if number == case.admin_port:
        return f"asks port {number}, which listens on loopback only, where the kubelet is not"
    return "" if number == case.port else f"asks port {number}, where the sidecar does not listen"


def _faults_of_command(case: Case, handler: Handler) -> Iterator[str]:
    """Yield what is wrong with `sidecar probe`, which both listeners answer."""
    invocation = invocation_in(handler.command)
    if invocation is None or invocation.verb != PROBE:
        return
    asked = asked_at(case, invocation, USUAL.port)
    if is_missed(asked, f"port {case.port}", case.admin_address):
        yield f"asks {asked}, where the sidecar does not listen"
    if _question_of_command(handler) is None:
        yield f"asks none of {', '.join(ROOTS)}"


def _question_of_command(handler: Handler) -> Question | None:
    invocation = invocation_in(handler.command)
    if invocation is None or invocation.verb != PROBE:
        return None
    root = next((word for word in invocation.arguments if word in ROOTS), None)
    return Question(root) if root else None


def _question_in(case: Case, path: str) -> Question | None:
    """Return the question that a path is; None if it is none of ours, or names a check that there is not."""
    match = _QUESTION.fullmatch(path)
    if match is None or match["root"] not in ROOTS:
        return None
    name, query = match["name"] or "", parse_qs(match["query"] or "")
    if name and (match["root"] == HEALTHZ or name not in [check.name for check in case.config.checks]):
        return None
    return Question(match["root"], name, frozenset(query.get("exclude", ())))


def _is_for_us(case: Case, container: Container, handler: Handler) -> bool:
    """Whether a handler is meant for us: it is the sidecar's, has our port, or asks what only we answer."""
    if handler.means is Means.SLEEP:
        return False
    if handler.means is Means.EXEC:
        invocation = invocation_in(handler.command)
        return invocation is not None and invocation.verb == PROBE
    if container == case.sidecar:
        return True
    number = container.number_of(handler.port)
    if number is None:
        return handler.port in [port.name for port in case.sidecar.ports]
    if number in (case.port, case.admin_port, USUAL.port, USUAL.admin_port):
        return True
    return _is_only_ours(case, handler.path) and number not in [port.number for port in container.ports]


def _is_only_ours(case: Case, path: str) -> bool:
    """Whether only we answer a path: others have a `/readyz`, but no `/readyz/sessions` or `/startupz`."""
    question = _question_in(case, path)
    return question is not None and (question.check != "" or question.root == Asked.STARTUPZ)


_HELD_BY: Final[Mapping[str, frozenset[Gate]]] = {
    Asked.LIVEZ: frozenset({Gate.LIVENESS}),
    Asked.READYZ: frozenset({Gate.READINESS, Gate.STARTUP}),
    Asked.STARTUPZ: frozenset({Gate.STARTUP}),
}
