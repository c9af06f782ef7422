"""The rule on the Pod Security Standard `restricted`.

kubernetes.io/docs/concepts/security/pod-security-standards
"""

from collections.abc import Iterator

from sidecar.lint.case import Case
from sidecar.lint.findings import Remark
from sidecar.lint.pod import Security

HARMLESS = frozenset({"NET_BIND_SERVICE"})
"""Capabilities that the standard lets a container add."""


def pod_security(case: Case) -> Iterator[Remark]:
    """Find fields of the sidecar for which a namespace that enforces `restricted` refuses its pod."""
    own, pod = case.sidecar.security, case.pod.security
    for what, write in (*_of_the_container(own), *_of_both(own, pod)):
        yield Remark(own.place, f"{case.sidecar.name} {what}", write)
    for port in case.sidecar.ports:
        if port.host_port:
            what = f"{case.sidecar.name} takes the port {port.host_port} of its node"
            yield Remark(port.place, what, f"containerPort: {port.number}, without hostPort")


def _of_the_container(own: Security) -> Iterator[tuple[str, str]]:
    if own.privileged:
        yield "is privileged", "privileged: false"
    if own.may_escalate is not False:
        yield "may gain privileges", "allowPrivilegeEscalation: false"
    if "ALL" not in own.dropped or own.added - HARMLESS:
        yield "keeps capabilities", "capabilities: {drop: [ALL]}"


def _of_both(own: Security, pod: Security) -> Iterator[tuple[str, str]]:
    """Yield what the pod's security context may say as well; the container's goes before it."""
    non_root = pod.run_as_non_root if own.run_as_non_root is None else own.run_as_non_root
    if non_root is not True:
        yield "may run as root", "runAsNonRoot: true"
    user = pod.run_as_user if own.run_as_user is None else own.run_as_user
    if user == 0:
        yield "runs as root", "runAsUser: 65532"
    if (own.seccomp or pod.seccomp) not in ("RuntimeDefault", "Localhost"):
        yield "may make every system call", "seccompProfile: {type: RuntimeDefault}"
