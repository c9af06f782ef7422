"""The registry: every rule in the order in which docs/lint.md tells of them, and the walk over them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.config.check import CheckTypes
from sidecar.config.cluster import asking_the_cluster
from sidecar.config.model import Config, ServerConfig
from sidecar.config.problems import ConfigError
from sidecar.lint import (
    cluster,
    deploy,
    end,
    information,
    liveness,
    probes,
    rollout,
    security,
    start,
    upkeep,
)
from sidecar.lint.case import Case, Crew, recognize
from sidecar.lint.findings import Finding, Level, Rule
from sidecar.lint.pod import Workload
from sidecar.lint.surroundings import Loader

RULES: Final = (
    Rule(
        "probe-address",
        Level.ERROR,
        probes.probe_address,
        "A probe that does not reach us, or asks what we do not answer, fails for ever or passes for ever. "
        "A port's name is looked up in the container that carries the probe.",
    ),
    Rule(
        "livez-on-sidecar",
        Level.ERROR,
        liveness.livez_on_sidecar,
        "The kubelet restarts the container that carries the probe: a dead app would have its sidecar "
        "restarted, and stay dead.",
    ),
    Rule(
        "liveness-question",
        Level.ERROR,
        liveness.liveness_question,
        "A restart cures a process that hangs. It does not cure a dependency, a slow start or another "
        "container, and it makes each of them worse.",
    ),
    Rule(
        "liveness-fuse",
        Level.ERROR,
        liveness.liveness_fuse,
        "While a sick sidecar is being replaced nobody answers /livez, and the app, which is well, is "
        "restarted.",
    ),
    Rule(
        "liveness-without-startup",
        Level.ERROR,
        liveness.liveness_without_startup,
        "Liveness is asked from the first second on, also after a restart. An app that boots slowly once, "
        "with a cold cache or a busy node, is killed in a loop.",
    ),
    Rule(
        "dependency-gates-liveness",
        Level.ERROR,
        liveness.dependency_gates_liveness,
        "An outage restarts every replica at once, again and again, and they come back together on a "
        "dependency that has just recovered.",
    ),
    Rule(
        "start-deadlock",
        Level.ERROR,
        start.start_deadlock,
        "The kubelet starts the next container when this one has started. What waits for a later container "
        "waits for ever.",
    ),
    Rule(
        "start-before-mesh",
        Level.ERROR,
        start.start_before_mesh,
        "The mesh redirects what a pod sends to its proxy from the first init container on. Until the proxy"
        " runs nobody is reached.",
    ),
    Rule(
        "init-never-ends",
        Level.ERROR,
        start.init_never_ends,
        "The kubelet waits for the end of an init container before it starts anything else; one with "
        "restartPolicy: Always it starts and goes on.",
    ),
    Rule(
        "init-proves-nothing",
        Level.ERROR,
        start.init_proves_nothing,
        "An init container holds a broken release back by what it checks. Where no check is chosen there is "
        "nothing to fail.",
    ),
    Rule(
        "job-never-completes",
        Level.ERROR,
        start.job_never_completes,
        "A pod completes when all its plain containers have ended. Native sidecars are ended for it.",
    ),
    Rule(
        "rollout-takes-pods",
        Level.ERROR,
        rollout.rollout_takes_pods,
        "A start gate keeps a broken release out of traffic; only the old pods can serve meanwhile.",
    ),
    Rule(
        "grace-period",
        Level.ERROR,
        end.grace_period,
        "At the end of the grace period everything is killed: requests under way are lost, and what the "
        "drain waits for with them.",
    ),
    Rule(
        "cluster-variables",
        Level.ERROR,
        cluster.cluster_variables,
        "The process does not start without the variables that say which pod it is, and with those of "
        "another field it asks for a pod that there is not.",
    ),
    Rule(
        "startup-budget",
        Level.WARNING,
        start.startup_budget,
        "The kubelet restarts a container whose startupProbe gives up, and its event does not say why. Our "
        "deadline names the check.",
    ),
    Rule(
        "progress-deadline",
        Level.WARNING,
        rollout.progress_deadline,
        "Pipelines take a rollout for failed at its progress deadline, and roll back a release that would "
        "have come up.",
    ),
    Rule(
        "deploy-deadline",
        Level.WARNING,
        deploy.deploy_deadline,
        "A start that is slow, and allowed, is announced as timed out, and then as recovered.",
    ),
    Rule(
        "deploy-stability",
        Level.WARNING,
        deploy.deploy_stability,
        "What we call live Kubernetes does not yet count as available: the rollout has not gone on, and may "
        "still fail.",
    ),
    Rule(
        "start-waits-for-app",
        Level.WARNING,
        start.start_waits_for_app,
        "On the first deployment, and in every new environment, what the app creates is not there before "
        "the app.",
    ),
    Rule(
        "unasked-gate",
        Level.WARNING,
        probes.unasked_gate,
        "Checks hold nothing back by themselves: the kubelet does, when a probe asks us.",
    ),
    Rule(
        "late-drain",
        Level.WARNING,
        end.late_drain,
        "A native sidecar is stopped after the app. The delay is for traffic that still arrives, and at "
        "that time there is nobody to serve it: it only makes every pod's end longer.",
    ),
    Rule(
        "unbegun-drain",
        Level.WARNING,
        end.unbegun_drain,
        "A native sidecar gets SIGTERM after the app. Without a preStop of ours that begins the drain nobody "
        "drains while the app waits, and it is stopped amid its work.",
    ),
    Rule(
        "latch-volume",
        Level.WARNING,
        upkeep.latch_volume,
        "A restart of our container forgets which checks have been up. In an outage of a shared dependency "
        "a pod whose sidecar is restarted then leaves the endpoints.",
    ),
    Rule(
        "config-subpath",
        Level.WARNING,
        upkeep.config_subpath,
        "The kubelet swaps a symlink to update a volume, and a subPath is mounted past that link: a new "
        "configuration, certificate or password reaches us only with a new pod.",
    ),
    Rule(
        "cluster-token",
        Level.WARNING,
        cluster.cluster_token,
        "The cluster answers nobody without a token: no Event is written and no deploy is claimed, so that "
        "every process says by itself that it has failed, and none that it is live.",
    ),
    Rule(
        "secret-in-env",
        Level.WARNING,
        upkeep.secret_in_env,
        "Whoever may read workloads or their history reads it, and it is rotated only by a rollout.",
    ),
    Rule(
        "requests",
        Level.WARNING,
        upkeep.requests,
        "A container without requests puts the pod in a lower QoS class, evicted first, and makes a "
        "HorizontalPodAutoscaler that scales by utilisation compute nothing for the whole pod.",
    ),
    Rule(
        "limits",
        Level.WARNING,
        upkeep.limits,
        "What has no bound is what the node kills something else for. A cpu limit is not wanted: it makes "
        "probes late.",
    ),
    Rule(
        "pod-security",
        Level.WARNING,
        security.pod_security,
        "A namespace that enforces the Pod Security Standard restricted refuses the pod. The sidecar needs "
        "none of what that forbids.",
    ),
    Rule(
        "port-conflict",
        Level.WARNING,
        upkeep.port_conflict,
        "The second of them to listen ends, and is started again, for ever.",
    ),
    Rule(
        "host-network",
        Level.WARNING,
        upkeep.host_network,
        "Two such pods cannot run on one node, and every process of the node reaches the admin listener.",
    ),
    Rule(
        "outage-reach",
        Level.INFORMATION,
        information.outage_reach,
        "Readiness is for what a pod cannot serve a single request without. A dependency that all replicas "
        "share takes all of them out together.",
    ),
    Rule(
        "outage-times",
        Level.INFORMATION,
        information.outage_times,
        "So long requests fail before the pod is taken out, and so long it is missed afterwards.",
    ),
    Rule(
        "rollout-times",
        Level.INFORMATION,
        information.rollout_times,
        "So long a pipeline waits before it knows.",
    ),
    Rule(
        "deploy-outlasts-rollout",
        Level.INFORMATION,
        deploy.deploy_outlasts_rollout,
        "A rollback takes the pods away that would have said which check kept them from going live.",
    ),
    Rule(
        "exit-times",
        Level.INFORMATION,
        information.exit_times,
        "So long a node that is drained, or a rollout, waits for a pod.",
    ),
)


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found, and which workloads carry no sidecar."""

    findings: tuple[Finding, ...]
    without_sidecar: tuple[Workload, ...]


def examine(workloads: Sequence[Workload], loader: Loader, name: str | None = None) -> Examination:
    """Judge every workload that carries the sidecar; `name` says which container that is.

    Raises:
        ConfigError: the configuration was refused.
    """
    crews = [(workload, _crew(workload, loader, name)) for workload in workloads]
    cases = [_case(workload, crew, loader) for workload, crew in crews if crew is not None]
    return Examination(
        findings=tuple(finding for case in cases for finding in judge(case)),
        without_sidecar=tuple(workload for workload, crew in crews if crew is None),
    )


def judge(case: Case) -> Iterator[Finding]:
    """Yield what every rule finds, in the order of the rules."""
    for rule in RULES:
        yield from rule.findings(case)


def _crew(workload: Workload, loader: Loader, name: str | None) -> Crew | None:
    """Return the sidecar's containers; the port that tells them may come from a variable of the pod."""
    try:
        port = loader.load_in(workload.pod.containers).sections.server.port
    except ConfigError:
        port = ServerConfig().port
    return recognize(workload.pod, port, name)


def _case(workload: Workload, crew: Crew, loader: Loader) -> Case:
    config = loader.load_in([crew.sidecar])
    return Case(
        config=config,
        workload=workload,
        crew=crew,
        holders=frozenset(_holders(config, loader.types)),
        asking=tuple(each.path for each in asking_the_cluster(config, loader.services)),
    )


def _holders(config: Config, types: CheckTypes) -> Iterator[str]:
    for check in config.checks:
        found = types.find(check.type)
        if found is not None and found.holds_connection and check.keeps_connection:
            yield check.name
