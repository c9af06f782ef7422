"""What a configuration needs of this machine and its surroundings, told before anything begins."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sidecar.config.check import CheckConfig, CheckType, CheckTypes
from sidecar.config.cluster import Asking, asking_the_cluster
from sidecar.config.deploy import ClaimBy
from sidecar.config.model import Config
from sidecar.config.problems import ConfigError, Place, Problem
from sidecar.deploys import InstalledServices
from sidecar.support.driver import Driver

if TYPE_CHECKING:
    from sidecar.kube.here import Here


def require_drivers(config: Config, types: CheckTypes) -> None:
    """Make sure that every driver that `config` needs is installed.

    Raises:
        ConfigError: naming the extra to install for each check, or claim, whose driver is missing.
    """
    problems = [
        Problem(
            config.places.get(check.name, Place("")),
            f"checks.{check.name}.type",
            f"{check.type}: {driver.remedy}",
        )
        for check in config.checks
        for driver in find_type(types, check).drivers
        if not driver.is_installed()
    ]
    deploy, redis = config.sections.deploy, Driver("redis", extra="redis")
    if deploy is not None and deploy.claim is ClaimBy.REDIS and not redis.is_installed():
        place = config.section_places.get("deploy", Place(""))
        problems.append(Problem(place, "deploy.claim", f"redis: {redis.remedy}"))
    if problems:
        raise ConfigError(problems)


def find_cluster(config: Config, environ: Mapping[str, str]) -> "Here | None":
    """Return where we are in the cluster; None where the configuration tells its API nothing.

    Raises:
        ConfigError: with the line of the manifest to write for each variable that is missing; outside a
            cluster with what to write at each key that asks it.
    """
    asking = list(asking_the_cluster(config, InstalledServices()))
    if not asking:
        return None
    from sidecar.kube.here import HOST, PORT, is_inside, locate, missing  # noqa: PLC0415 - for who asks it

    def problem(each: Asking, sentence: str) -> Problem:
        return Problem(config.section_places.get(each.key, Place("")), each.path, sentence)

    problems = [problem(asking[0], sentence) for sentence in missing(environ)]
    if not is_inside(environ):
        needs = f"needs {HOST} and {PORT}, which the kubelet sets: outside a cluster"
        problems += [problem(each, f"{needs} {each.otherwise}") for each in asking]
    if problems:
        raise ConfigError(problems)
    return locate(environ)


def find_type(types: CheckTypes, check: CheckConfig) -> CheckType[Any]:
    """Return the type of a check that was loaded with the same `types`."""
    found = types.find(check.type)
    if found is None:
        raise LookupError(f"the check type {check.type} is gone")
    return found
