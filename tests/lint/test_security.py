"""The sidecar obeys the Pod Security Standard `restricted`."""

import pytest

from tests.lint.pods import Manifest, Told, deployment, merged, native, sidecar, told

OWN: Manifest = sidecar()["securityContext"]


def secured(own: Manifest | None, of_pod: Manifest | None = None) -> Manifest:
    return deployment(native(sidecar(securityContext=own), securityContext=of_pod))


def without(*fields: str, **overlay: object) -> Manifest:
    return merged({key: value for key, value in OWN.items() if key not in fields}, overlay)


@pytest.mark.parametrize(
    ("own", "fault", "write"),
    [
        (without(privileged=True), "is privileged", "privileged: false"),
        (without("allowPrivilegeEscalation"), "may gain privileges", "allowPrivilegeEscalation: false"),
        (
            without(allowPrivilegeEscalation=True),
            "may gain privileges",
            "allowPrivilegeEscalation: false",
        ),
        (without("capabilities"), "keeps capabilities", "capabilities: {drop: [ALL]}"),
        (without(capabilities={"drop": ["NET_RAW"]}), "keeps capabilities", "capabilities: {drop: [ALL]}"),
        (
            without(capabilities={"drop": ["ALL"], "add": ["SYS_PTRACE"]}),
            "keeps capabilities",
            "capabilities: {drop: [ALL]}",
        ),
        (without("runAsNonRoot"), "may run as root", "runAsNonRoot: true"),
        (without(runAsNonRoot=False), "may run as root", "runAsNonRoot: true"),
        (without(runAsUser=0), "runs as root", "runAsUser: 65532"),
        (without("seccompProfile"), "may make every system call", "seccompProfile: {type: RuntimeDefault}"),
        (
            without(seccompProfile={"type": "Unconfined"}),
            "may make every system call",
            "seccompProfile: {type: RuntimeDefault}",
        ),
    ],
)
def test_what_the_standard_forbids_is_told(own: Manifest, fault: str, write: str) -> None:
    assert told("pod-security", secured(own)) == [Told("securityContext:", f"sidecar {fault}", write)]


@pytest.mark.parametrize(
    "own",
    [
        OWN,
        without(privileged=False),
        without(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}),
        without(runAsUser=65532),
        without(seccompProfile={"type": "Localhost"}),
    ],
)
def test_what_the_standard_allows_is_not_told(own: Manifest) -> None:
    assert told("pod-security", secured(own)) == []


def test_the_pods_security_context_counts_where_the_container_has_none() -> None:
    of_pod = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}

    assert told("pod-security", secured(without("runAsNonRoot", "seccompProfile"), of_pod)) == []


def test_the_containers_security_context_goes_before_the_pods() -> None:
    of_pod = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    own = without(runAsNonRoot=False, runAsUser=0, seccompProfile={"type": "Unconfined"})

    assert [remark.sentence for remark in told("pod-security", secured(own, of_pod))] == [
        "sidecar may run as root",
        "sidecar runs as root",
        "sidecar may make every system call",
    ]


def test_a_user_of_the_pod_that_is_root_is_told() -> None:
    assert [remark.write for remark in told("pod-security", secured(OWN, {"runAsUser": 0}))] == [
        "runAsUser: 65532"
    ]


def test_a_port_of_the_node_is_told() -> None:
    own = sidecar(ports=[{"containerPort": 17808, "hostPort": 8080}, {"containerPort": 17809}])

    assert told("pod-security", deployment(native(own))) == [
        Told(
            "- containerPort: 17808",
            "sidecar takes the port 8080 of its node",
            "containerPort: 17808, without hostPort",
        )
    ]
