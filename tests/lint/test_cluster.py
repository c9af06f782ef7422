"""A sidecar that asks the cluster knows which pod it is, and has a token to ask with."""

from typing import Final

import pytest

from sidecar.kube.here import FIELDS
from tests.lint.pods import (
    Manifest,
    Told,
    app,
    config,
    deployment,
    merged,
    native,
    plain,
    pod,
    sidecar,
    told,
    waiter,
)

FOLDER: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
CLAIMING: Final = "deploy: {service: builds, environment: test, revision: abc, claim: kubernetes}"
ANNOUNCING: Final = (
    "deploy: {service: builds, environment: test, revision: abc, id: a, announce: [{type: kubernetes-event}]}"
)
TELLING: Final = "kubernetes: {readiness_events: true}"
ASKING: Final = {
    CLAIMING: "deploy.claim",
    ANNOUNCING: "deploy.announce.kubernetes-event",
    TELLING: "kubernetes.readiness_events",
}
TOKEN: Final = {"serviceAccountToken": {"path": "token"}}
AUTHORITY: Final = {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
LINE: Final = "- name: sidecar"


def field(path: str) -> Manifest:
    return {"valueFrom": {"fieldRef": {"fieldPath": path}}}


def variables(**overlay: Manifest | None) -> list[Manifest]:
    """Return the variables that say which pod it is, some of them changed or left out."""
    usual = {name: field(path) for name, path in FIELDS.items()}
    return [{"name": name, **source} for name, source in merged(usual, overlay).items()]


def knowing(env: list[Manifest], **overlay: object) -> Manifest:
    """Return a Deployment whose sidecar has these variables."""
    return deployment(native(sidecar(env=env, **overlay)))


def mounting(*sources: Manifest, at: str = FOLDER, automount: bool | None = False) -> Manifest:
    """Return a Deployment whose sidecar has a projected volume of these sources."""
    own = sidecar()
    own["volumeMounts"] += [{"name": "account", "mountPath": at, "readOnly": True}] if sources else []
    spec = native(own, automountServiceAccountToken=automount)
    spec["volumes"] += [{"name": "account", "projected": {"sources": [*sources]}}] if sources else []
    return deployment(spec)


@pytest.mark.parametrize("section", ASKING, ids=ASKING.get)
def test_a_sidecar_that_does_not_know_its_pod_is_told(section: str) -> None:
    assert told("cluster-variables", knowing([]), config(more=section)) == [
        Told(
            LINE,
            f"sidecar: POD_NAME is not set, POD_NAMESPACE is not set, POD_UID is not set, and "
            f"{ASKING[section]} asks the cluster",
            "env:\n"
            "- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}\n"
            "- {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}\n"
            "- {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}",
        )
    ]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (None, "POD_UID is not set"),
        ({}, "POD_UID is empty"),
        ({"value": ""}, "POD_UID is empty"),
        (field("metadata.name"), "POD_UID is metadata.name"),
    ],
)
def test_only_what_is_missing_is_to_be_written(source: Manifest | None, fault: str) -> None:
    assert told("cluster-variables", knowing(variables(POD_UID=source)), config(more=CLAIMING)) == [
        Told(
            LINE,
            f"sidecar: {fault}, and deploy.claim asks the cluster",
            "env:\n- {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}",
        )
    ]


def test_of_two_variables_of_a_name_the_last_counts() -> None:
    first = {"name": "POD_UID", "value": ""}

    assert told("cluster-variables", knowing([first, *variables()]), config(more=CLAIMING)) == []
    assert len(told("cluster-variables", knowing([*variables(), first]), config(more=CLAIMING))) == 1


@pytest.mark.parametrize(
    "manifest",
    [
        knowing(variables()),
        knowing(variables(POD_NAMESPACE={"value": "builds"})),
        knowing([], envFrom=[{"configMapRef": {"name": "pod"}}]),
        deployment(pod(app(), before=(waiter(),))),
    ],
)
def test_a_sidecar_that_may_know_its_pod_or_never_asks_is_not_told(manifest: Manifest) -> None:
    assert told("cluster-variables", manifest, config(more=CLAIMING)) == []


@pytest.mark.parametrize("rule", ["cluster-variables", "cluster-token"])
def test_a_sidecar_that_asks_the_cluster_nothing_needs_nothing(rule: str) -> None:
    section = "deploy: {service: builds, environment: test, revision: abc, id: a}"

    assert told(rule, mounting(), config(more=section)) == []


@pytest.mark.parametrize("section", ASKING, ids=ASKING.get)
def test_a_sidecar_without_a_token_is_told(section: str) -> None:
    assert told("cluster-token", mounting(), config(more=section)) == [
        Told(
            LINE,
            f"sidecar: nothing is mounted on {FOLDER}, and {ASKING[section]} asks the cluster",
            f"volumeMounts: [{{name: sidecar-token, mountPath: {FOLDER}, readOnly: true}}]\n"
            "volumes: [{name: sidecar-token, projected: {sources: [{serviceAccountToken: {path: token}}, "
            "{configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}}]}}]",
        )
    ]


@pytest.mark.parametrize("source", [AUTHORITY, {"serviceAccountToken": {"path": "vault-token"}}])
@pytest.mark.parametrize("automount", [False, None])
def test_a_volume_that_brings_no_token_is_told_and_hides_what_the_cluster_would_mount(
    source: Manifest, automount: bool | None
) -> None:
    remarks = told("cluster-token", mounting(source, automount=automount), config(more=CLAIMING))

    assert [remark.sentence for remark in remarks] == [
        f"sidecar: the volume account on {FOLDER} brings no token, and deploy.claim asks the cluster"
    ]


@pytest.mark.parametrize("automount", [None, True])
def test_a_token_that_the_cluster_mounts_is_where_it_is_unless_it_is_looked_for_elsewhere(
    automount: bool | None,
) -> None:
    elsewhere = f"{CLAIMING}\nkubernetes: {{service_account: /run/account}}"

    assert told("cluster-token", mounting(automount=automount), config(more=CLAIMING)) == []
    [remark] = told("cluster-token", mounting(automount=automount), config(more=elsewhere))
    assert remark.sentence == "sidecar: nothing is mounted on /run/account, and deploy.claim asks the cluster"


@pytest.mark.parametrize(
    "manifest",
    [
        mounting(AUTHORITY, TOKEN),
        mounting(TOKEN, at="/var/run/secrets/kubernetes.io"),
        deployment(pod(app(), before=(waiter(),), automountServiceAccountToken=False)),
    ],
)
def test_a_sidecar_that_may_have_a_token_or_never_asks_is_not_told(manifest: Manifest) -> None:
    assert told("cluster-token", manifest, config(more=CLAIMING)) == []


def test_a_token_may_come_from_a_volume_of_which_the_manifest_does_not_say_what_it_holds() -> None:
    own = sidecar(volumeMounts=[{"name": "account", "mountPath": FOLDER}])
    spec = plain(own, automountServiceAccountToken=False, volumes=[{"name": "account", "secret": {}}])

    assert told("cluster-token", deployment(spec), config(more=CLAIMING)) == []


def test_what_another_volume_brings_does_not_count() -> None:
    bare, other = mounting(AUTHORITY), mounting(TOKEN)
    for manifest, sources in ((bare, [TOKEN]), (other, [AUTHORITY])):
        volumes = manifest["spec"]["template"]["spec"]["volumes"]
        volumes.append({"name": "other", "projected": {"sources": sources}})

    assert len(told("cluster-token", bare, config(more=CLAIMING))) == 1
    assert told("cluster-token", other, config(more=CLAIMING)) == []


def test_a_token_of_the_app_alone_is_none_of_ours() -> None:
    theirs = app(volumeMounts=[{"name": "account", "mountPath": FOLDER}])
    spec = native(theirs=theirs, automountServiceAccountToken=False)

    assert len(told("cluster-token", deployment(spec), config(more=CLAIMING))) == 1
