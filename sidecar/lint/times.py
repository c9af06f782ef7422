"""The sums: how long things take in a pod, from the numbers of its manifest and its configuration.

They are bounds for a healthy cluster; a node without CPU or an API server without answers takes longer.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import Final

from sidecar.config.check import CheckConfig
from sidecar.config.deploy import DeployConfig
from sidecar.config.model import Config, DrainConfig
from sidecar.core.state import RETRY_DELAY, RETRY_DELAY_LIMIT
from sidecar.lint.pod import Pod, Probe
from sidecar.runtime.runner import CANCEL_GRACE
from sidecar.runtime.scheduler import LOSS_SPACING, LOSS_SPREAD, SPREAD

BACK_OFF: Final = 10
"""Seconds that the kubelet waits before it starts a container again."""
START: Final = 1
"""Seconds from the start of our container to its first answer."""
TO_SPARE: Final = 20
"""Seconds for a node that is slow."""
BEYOND_DEADLINE: Final = 30
"""Seconds that a startupProbe outlasts the startup deadline, so that ours ends first and says why."""
TO_REPORT: Final = 60
"""Seconds from the startup deadline to the moment at which a rollout may be given up."""
CLOSING: Final = 3
"""Seconds that closing everything takes at most, after a drain."""
BEFORE_KILL: Final = 5
"""Seconds between the end of a drain and the end of the grace period."""


@dataclass(frozen=True, slots=True)
class Range:
    """Seconds, from the best case to the worst."""

    least: float
    most: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.least + other.least, self.most + other.most)

    def times(self, count: int) -> "Range":
        """Return so many of them, one after the other."""
        return Range(self.least * count, self.most * count)

    def __str__(self) -> str:
        """Return whole seconds: no less than the best case, no more than the worst."""
        least, most = floor(_exact(self.least)), ceil(_exact(self.most))
        return f"{most}s" if least == most else f"{least} to {most}s"


IN_ENDPOINTS: Final = Range(1.5, 3.0)
"""From the kubelet's verdict on a pod to the proxies: its status, the EndpointSlice, their own batching."""
AT_ONCE: Final = Range(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Outage:
    """What an outage of a dependency does to a pod, in seconds."""

    killed: Range
    """From its death, when it refuses connections, until the pod is out of the endpoints."""
    silent: Range
    """The same when it hangs: each run then lasts its whole timeout."""
    back: Range
    """From its return until the pod is back."""

    @classmethod
    def of(cls, check: CheckConfig, probe: Probe, *, is_held: bool) -> "Outage":
        """Compute the outage for a check and the readinessProbe that asks for it.

        `is_held` says that the check holds a connection, so that it notices a death without waiting for
        its next run.
        """
        timeouts = Range(check.timeout, check.timeout + CANCEL_GRACE).times(check.failure_threshold)
        retries = _retry(min(RETRY_DELAY, check.interval))
        failing = retries.times(check.failure_threshold - 1) + _flips(probe, probe.failure_threshold)
        succeeding = retries.times(check.success_threshold - 1) + _flips(probe, probe.success_threshold)
        next_run = Range(0, check.interval * (1 + SPREAD / 2))
        next_retry = Range(0, _retry(min(check.interval, RETRY_DELAY_LIMIT)).most)
        noticed = Range(0, max(LOSS_SPACING, LOSS_SPREAD)) if is_held else next_run
        return cls(
            killed=noticed + failing + IN_ENDPOINTS,
            silent=next_run + timeouts + failing + IN_ENDPOINTS,
            back=next_retry + succeeding + IN_ENDPOINTS,
        )

    def __str__(self) -> str:
        """Return the times in words."""
        back = f"back in at most {ceil(_exact(self.back.most))}s"
        return f"killed, out of the endpoints in {self.killed}; silent, in {self.silent}; {back}"


@dataclass(frozen=True, slots=True)
class Replacement:
    """How long it takes to replace a sick sidecar, step by step, in seconds."""

    noticed: int
    grace: int

    @classmethod
    def of(cls, own: Probe, pod: Pod) -> "Replacement":
        """Compute it for the sidecar's own livenessProbe."""
        return cls(own.fuse + own.timeout, pod.grace if own.grace is None else own.grace)

    @property
    def seconds(self) -> int:
        """The sum, which an app's liveness has to outlast."""
        return self.noticed + self.grace + BACK_OFF + START + TO_SPARE

    def __str__(self) -> str:
        """Return the summands in words."""
        return (
            f"{self.noticed}s until it is noticed, {self.grace}s of grace, {BACK_OFF}s of back-off, "
            f"{START}s to start and {TO_SPARE}s to spare"
        )


def needed_budget(config: Config) -> float:
    """Return the seconds that a startupProbe has to wait for the checks that gate startup."""
    return config.sections.startup.deadline + BEYOND_DEADLINE


def needed_progress(config: Config) -> float:
    """Return the seconds that a rollout has to wait for one pod."""
    return config.sections.startup.deadline + TO_REPORT


def needed_deploy(config: Config, deploy: DeployConfig) -> float:
    """Return the seconds that a deploy has to wait for one pod to be live."""
    return config.sections.startup.deadline + deploy.stable_for


def drain_time(drain: DrainConfig) -> Range:
    """Return how long a drain lasts."""
    return Range(drain.delay, max(drain.delay, drain.deadline) if drain.until else drain.delay)


def exit_time(drain: DrainConfig) -> Range:
    """Return the time from the signal that begins a drain to the end of the process."""
    return drain_time(drain) + Range(0, CLOSING)


def needed_grace(drain: DrainConfig) -> float:
    """Return the termination grace period that a drain needs."""
    return drain_time(drain).most + BEFORE_KILL


def _flips(probe: Probe, threshold: int) -> Range:
    """Return the time in which the kubelet notices: its next probe is due now, or a whole period away."""
    return Range((threshold - 1) * probe.period, threshold * probe.period)


def _retry(delay: float) -> Range:
    return Range(delay, delay * (1 + SPREAD))


def _exact(seconds: float) -> float:
    """Return seconds without what sums of binary fractions leave behind."""
    return round(seconds, 6)
