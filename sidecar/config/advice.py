"""What a configuration may not have meant, although it may say so."""

from collections.abc import Iterator

from sidecar.config.check import CheckConfig
from sidecar.config.deploy import ClaimBy, DeployConfig
from sidecar.core.verdict import Gate


def advice_on_check(check: CheckConfig, *, gates_are_given: bool) -> Iterator[str]:
    """Yield what the gates of a check do that its author may not want."""
    if check.hosts and not check.is_remote and Gate.STARTUP in check.gates:
        yield (
            f"holds back a start until {check.target} answers, which is inside the pod: a native sidecar or "
            "an init container waits before the app is started, so that neither ever would; "
            "write gates: readiness, or keep it where the sidecar is a plain container"
        )
    if check.is_about_file and Gate.STARTUP in check.gates:
        yield (
            f"holds back a start until {check.target} is as wanted: where the app writes it, a native "
            "sidecar or an init container waits before the app is started, so that neither ever would; "
            "write gates: [liveness, readiness], or keep it where the file is there before the app is"
        )
    if not check.is_remote:
        return
    if Gate.LIVENESS in check.gates:
        yield (
            f"an outage of {check.target} would restart the app, which cures nothing; "
            "liveness is for the app itself: write gates: readiness or gates: startup"
        )
    if not gates_are_given and check.gates:
        yield (
            f"was left to the default, readiness: an outage of {check.target} takes every replica out of the "
            "endpoints; write gates: startup to hold back a broken rollout only, or gates: readiness if meant"
        )


def advice_on_deploy(deploy: DeployConfig) -> Iterator[str]:
    """Yield what is allowed and worth a second thought."""
    if deploy.id is None and deploy.claim is not ClaimBy.KUBERNETES:
        yield (
            "has no id, so that rollbacks are not announced: a revision that was live before counts as the "
            "same deploy; write id: with what the pipeline has another of each time, or claim: kubernetes"
        )
    if deploy.claim is ClaimBy.NONE and deploy.announce:
        yield (
            "claims nothing, so that every replica announces, and again after each restart; "
            "write claim: kubernetes or claim: redis"
        )
