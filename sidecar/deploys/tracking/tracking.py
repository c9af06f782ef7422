"""The loops that follow our deploy, put together from its configuration."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from sidecar.config.deploy import ClaimBy, DeployConfig, ServiceConfig, ServiceType, ServiceTypes
from sidecar.core.announcement import Origin
from sidecar.core.deploy import Deploy, DeployEvent, Plan, Process
from sidecar.deploys._discreet import discreet
from sidecar.deploys._send import send
from sidecar.deploys._service import Cluster, Service
from sidecar.deploys.claims.claim import Claim
from sidecar.deploys.claims.memory import MemoryClaim
from sidecar.deploys.tracking.courier import Courier
from sidecar.deploys.tracking.shared import SharedRecord
from sidecar.deploys.tracking.surroundings import Surroundings
from sidecar.deploys.tracking.tracker import Tracker
from sidecar.deploys.tracking.watch import Watch

LAST_LOOK_WITHIN: Final = 0.5
"""Seconds that the store gets at the end, to be told what has become of us."""


class Tracking:
    """Follows what is planned as one process of it; the `origin` is told with every announcement."""

    def __init__(
        self,
        plan: Plan,
        process: Process,
        *,
        claim: Claim,
        services: Mapping[str, Service],
        origin: Origin,
        watch: Watch,
        surroundings: Surroundings,
    ) -> None:
        shared = SharedRecord(claim)
        self._watch = watch
        self._courier = Courier(
            services,
            name=process.name,
            shared=shared,
            origin=origin,
            send=send,
            surroundings=surroundings,
        )
        self._tracker = Tracker(
            plan, process, watch=watch, shared=shared, courier=self._courier, surroundings=surroundings
        )

    def loops(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """Yield what goes on for ever, by name."""
        yield "deploy:watch", self._watch.follow_forever()
        yield "deploy:track", self._tracker.track_forever()
        yield "deploy:announce", self._courier.deliver_forever()

    async def aclose(self, *, has_given_up: bool = False) -> None:
        """Announce that the start was given up, if it was, and what is pending: within 2 seconds."""
        if has_given_up:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_LOOK_WITHIN):
                    await self._tracker.finish()
        await self._courier.finish()


def new_tracking(
    config: DeployConfig,
    types: ServiceTypes,
    *,
    pod: str,
    cluster: Cluster,
    watch: Watch,
    redact: Callable[[str], str],
    surroundings: Surroundings,
) -> Tracking:
    """Return what follows the deploy of a configuration from the pod `pod`.

    Nothing that `redact` blots is announced.
    """
    plan = plan_of(config, types)
    return Tracking(
        plan,
        Process(f"{pod}-{secrets.token_hex(4)}", pod),
        claim=_new_claim(config, plan.deploy, cluster, surroundings),
        services=services_of(config, types, cluster, redact),
        origin=config.origin,
        watch=watch,
        surroundings=surroundings,
    )


def plan_of(config: DeployConfig, types: ServiceTypes) -> Plan:
    """Return what is planned; a service hears of what it wants to, as far as it can be told."""
    return Plan(
        deploy=config.identity,
        stable_for=config.stable_for,
        deadline=config.deadline,
        audience={each.label: _wanted(each, types) for each in config.announce},
    )


def services_of(
    config: DeployConfig, types: ServiceTypes, cluster: Cluster, redact: Callable[[str], str]
) -> Mapping[str, Service]:
    """Return the configured services by their labels, built, and discreet by `redact`."""
    return {
        each.label: discreet(_type_of(each, types).build(each, cluster), redact) for each in config.announce
    }


def _wanted(service: ServiceConfig, types: ServiceTypes) -> frozenset[DeployEvent]:
    return service.events & _type_of(service, types).takes


def _type_of(service: ServiceConfig, types: ServiceTypes) -> ServiceType[Any]:
    found = types.find(service.type)
    if found is None:
        raise LookupError(f"the service {service.type} is gone")
    return found


def _new_claim(config: DeployConfig, deploy: Deploy, cluster: Cluster, surroundings: Surroundings) -> Claim:
    if config.claim is ClaimBy.REDIS and config.redis is not None:
        from sidecar.deploys.claims.redis import RedisClaim  # noqa: PLC0415 - for who has one

        return RedisClaim(deploy, config.redis)
    if config.claim is ClaimBy.KUBERNETES and cluster.api is not None and cluster.pod is not None:
        from sidecar.deploys.claims.kubernetes import KubernetesClaim  # noqa: PLC0415 - the same

        has_id = config.id is not None
        return KubernetesClaim(deploy, cluster.api, cluster.pod, has_id=has_id, wall=surroundings.clock.wall)
    return MemoryClaim(deploy)
