"""Reads the section `deploy` of a configuration alone, for a pipeline: it has none of a pod's secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode

from sidecar.config.deploy import DeployConfig, ServiceTypes
from sidecar.config.interpolate import Outside, UnsetVariable, interpolate
from sidecar.config.model import Sections
from sidecar.config.problems import Mistake
from sidecar.config.reader import Reader
from sidecar.config.shape import keys_of
from sidecar.config.source import Source, new_reader, read_whole

KEYS_OF_PODS: Final = frozenset({"claim", "redis"})
"""Keys of the section `deploy` that a pipeline does not read: it claims nothing, and has no such secrets."""


@dataclass(frozen=True, slots=True)
class LoadedDeploy:
    """The section `deploy` alone, and every text of it that must never be shown."""

    deploy: DeployConfig
    secrets: frozenset[str] = field(repr=False)


def load_deploy(
    source: Source,
    environ: Mapping[str, str],
    *,
    services: ServiceTypes,
    given: Mapping[str, str] = MappingProxyType({}),
    otherwise: Mapping[str, str] = MappingProxyType({}),
) -> LoadedDeploy:
    """Return the section `deploy` of a configuration, as a pipeline reads it: without the keys of pods.

    Whatever else the file holds is not read. Keys in `given` are not read either, but are as they are given;
    those in `otherwise` are so where the section leaves them out, or names a variable that is not set. Blocks
    while it reads the secret files named there.

    Raises:
        ConfigError: with every problem of the section, or that there is none.
    """
    reader = new_reader(source, Outside(environ), services)

    def read(root: Node) -> LoadedDeploy | None:
        items = (reader.items(root) if isinstance(root, MappingNode) else None) or {}
        if "deploy" not in items:
            reader.refuse(root, f"the key deploy is missing: {keys_of(Sections)['deploy'].doc}")
            return None
        with reader.at("deploy"):
            deploy = _read_deploy(reader, items["deploy"].value, given, otherwise)
        if deploy is None or reader.problems:
            return None
        return LoadedDeploy(deploy, frozenset(reader.secrets))

    return read_whole(source, reader, "is empty; write a mapping with the key deploy", read)


def _read_deploy(
    reader: Reader, node: Node, given: Mapping[str, str], otherwise: Mapping[str, str]
) -> DeployConfig | None:
    items = reader.items(node)
    if items is None:
        return None
    read = {
        name: item
        for name, item in items.items()
        if name not in KEYS_OF_PODS
        and name not in given
        and not (name in otherwise and _says_nothing(item.value, reader.outside))
    }
    deploy: DeployConfig | None = reader.read_items(node, read, DeployConfig, {**otherwise, **given})
    return deploy


def _says_nothing(node: Node, outside: Outside) -> bool:
    """Whether a scalar is empty, or would be if the variables that it names were set."""
    try:
        return isinstance(node, ScalarNode) and not interpolate(node.value, outside).text
    except UnsetVariable:
        return True
    except Mistake:
        return False
