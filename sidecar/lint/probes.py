"""Rules on whom the probes ask, and whether they ask for what the checks gate."""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Final

from sidecar.core.verdict import Gate
from sidecar.lint.case import Case, Style
from sidecar.lint.findings import Remark
from sidecar.lint.pod import Container, Handler, Probe, Role
from sidecar.lint.questions import (
    DRAINED,
    ROOTS,
    askers,
    asking,
    faults,
    is_for_port,
    probing,
    right_path,
    root_of,
)
from sidecar.lint.times import needed_budget


def probe_address(case: Case) -> Iterator[Remark]:
    """Find probes and preStop hooks that are meant for us and do not reach us."""
    for container, probe in case.probes(*Role):
        for fault in _faults_of_probe(case, container, probe):
            path = right_path(case, container, probe.role)
            yield Remark(probe.handler.place, f"{container.name}: {probe.role} {fault}", asking(case, path))
    for container in case.apps:
        for hook, fault in _faults_of_hook(case, container):
            yield Remark(hook.place, f"{container.name}: preStop {fault}", asking(case, DRAINED))


def unasked_gate(case: Case) -> Iterator[Remark]:
    """Find a gate that holds nothing back, because no probe asks for it."""
    for gate, roles in _asked_in(case).items():
        unasked = [check.name for check in case.gating(gate) if not any(askers(case, check, *roles))]
        if unasked:
            yield Remark(
                case.sidecar.place,
                f"no {' or '.join(roles)} asks for {', '.join(unasked)}: gates: {gate} holds nothing back",
                _line_that_asks_for(case, gate),
            )


def _faults_of_probe(case: Case, container: Container, probe: Probe) -> Iterator[str]:
    yield from faults(case, container, probe.handler)
    if is_for_port(case, container, probe.handler) and root_of(case, container, probe) is None:
        paths = ", ".join(f"/{root}" for root in ROOTS)
        names = ", ".join(check.name for check in case.config.checks)
        yield f"asks {probe.handler.path}; there are {paths}, and behind them /NAME for {names}"


def _faults_of_hook(case: Case, container: Container) -> Iterator[tuple[Handler, str]]:
    hook = container.pre_stop
    if hook is None:
        return
    for fault in faults(case, container, hook):
        yield hook, fault
    if is_for_port(case, container, hook) and hook.path != DRAINED:
        yield hook, f"asks {hook.path}, which waits for nothing"


def _asked_in(case: Case) -> Mapping[Gate, tuple[Role, ...]]:
    """Return which probes can make a gate count in this pod, for each gate that needs one.

    A start may be held by an init container that checks instead, and nobody sends traffic to a Job.
    """
    if case.style is Style.INIT:
        return {}
    is_to_complete, has_waiter = case.workload.is_to_complete, bool(case.crew.waiters)
    asked_in: dict[Gate, tuple[Role, ...]] = {Gate.LIVENESS: (Role.LIVENESS,)}
    if not is_to_complete:
        asked_in[Gate.READINESS] = (Role.READINESS,)
    if not has_waiter:
        asked_in[Gate.STARTUP] = (Role.STARTUP,) if is_to_complete else (Role.STARTUP, Role.READINESS)
    return asked_in


def _line_that_asks_for(case: Case, gate: Gate) -> str:
    if gate is Gate.LIVENESS:
        return probing(Role.LIVENESS, asking(case, "/livez"), period=10, failures=6)
    if gate is Gate.READINESS:
        return probing(Role.READINESS, asking(case, "/readyz"), period=3, failures=2)
    failures = ceil(needed_budget(case.config) / _STARTUP_PERIOD)
    return probing(Role.STARTUP, asking(case, "/startupz"), period=_STARTUP_PERIOD, failures=failures)


_STARTUP_PERIOD: Final = 2
"""Seconds: a start is noticed at once, and asking costs nothing."""
