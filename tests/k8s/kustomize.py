"""As much of kustomize as our manifests use, so that their tests need no kubectl.

`k8s/example.yaml` is what the real one makes of `examples/kubernetes`, and a test holds this one's rendering
against it. What is not known here is an error, never ignored.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Manifest: TypeAlias = dict[str, Any]

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
}
"""Lists whose items a patch adds to, and what tells their items apart."""
REPLACED_LISTS = {"sources"}
"""Lists that a patch replaces as a whole."""


def render(folder: Path) -> list[Manifest]:
    """Return the objects that the kustomization in `folder` describes."""
    objects = _accumulate(folder, [])
    _hash_names(objects)
    return objects


def _accumulate(folder: Path, objects: list[Manifest]) -> list[Manifest]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = kustomization.keys() - {"apiVersion", "kind", *STEPS}
    if unknown:
        raise ValueError(f"{folder}: {sorted(unknown)} cannot be rendered here")
    for field, step in STEPS.items():
        value = kustomization.get(field, [])
        for item in value if isinstance(value, list) else [value]:
            step(folder, item, objects)
    return objects


def _add_resource(folder: Path, path: str, objects: list[Manifest]) -> None:
    source = folder / path
    objects += _accumulate(source, []) if source.is_dir() else yaml.safe_load_all(source.read_text())


def _add_component(folder: Path, path: str, objects: list[Manifest]) -> None:
    _accumulate(folder / path, objects)


def _generate_config_map(folder: Path, generator: Manifest, objects: list[Manifest]) -> None:
    name = generator["name"]
    if generator.get("behavior") == "replace":
        objects[:] = [o for o in objects if (o["kind"], o["metadata"]["name"]) != ("ConfigMap", name)]
    data = {Path(file).name: (folder / file).read_text() for file in generator["files"]}
    objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def _patch(folder: Path, patch: Manifest, objects: list[Manifest]) -> None:
    content: Manifest = yaml.safe_load((folder / patch["path"]).read_text())
    name = None if "target" in patch else content["metadata"]["name"]
    kind = (patch.get("target") or content)["kind"]
    for manifest in objects:
        if manifest["kind"] == kind and name in {None, manifest["metadata"]["name"]}:
            manifest["spec"] = _merged("spec", manifest["spec"], content["spec"])


def _merged(key: str, old: Any, new: Any) -> Any:
    match old, new:
        case dict(), dict():
            return old | {key: _merged(key, old.get(key), value) for key, value in new.items()}
        case list(), list() if key in MERGE_KEYS:
            return _merged_items(key, old, new)
        case list(), list() if key not in REPLACED_LISTS:
            raise ValueError(f"two lists of {key} cannot be merged here")
        case _:
            return deepcopy(new)


def _merged_items(key: str, old: list[Manifest], new: list[Manifest]) -> list[Manifest]:
    identity = MERGE_KEYS[key]
    rest = {item[identity]: item for item in old}
    first = [_merged(key, rest.pop(item[identity], None), item) for item in new]
    return [*first, *rest.values()]


def _set_image(_: Path, image: Manifest, objects: list[Manifest]) -> None:
    for pod in _pods(objects):
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            if container["image"].partition(":")[0] == image["name"]:
                container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"


def _set_namespace(_: Path, namespace: str, objects: list[Manifest]) -> None:
    for manifest in objects:
        if manifest["kind"] != "Namespace":
            manifest["metadata"]["namespace"] = namespace
        for subject in manifest.get("subjects", []):
            if subject["name"] == "default":  # the one account that every namespace has
                subject["namespace"] = namespace


def _copy(_: Path, replacement: Manifest, objects: list[Manifest]) -> None:
    """Copy a part of a value of one object to places of others."""
    source = replacement["source"]
    container, key = _found(_selected(source, objects), source["fieldPath"])
    options = source["options"]
    value = container[key].split(options["delimiter"])[options["index"]]
    for target in replacement["targets"]:
        for path in target["fieldPaths"]:
            container, key = _found(_selected(target["select"], objects), path)
            container[key] = value


def _selected(wanted: Manifest, objects: list[Manifest]) -> Manifest:
    [found] = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (wanted["kind"], wanted["name"])]
    return found


def _found(manifest: Manifest, path: str) -> tuple[Manifest, str]:
    """Return the mapping that holds what a path leads to, and its key there; it must be there already."""
    *way, key = path.split(".")
    here: Any = manifest
    for step in way:
        if step.startswith("["):
            name, _, value = step.strip("[]").partition("=")
            [here] = [item for item in here if item[name] == value]
        else:
            here = here[step]
    if key not in here:
        raise ValueError(f"nothing is at {path}")
    return here, key


STEPS: dict[str, Callable[[Path, Any, list[Manifest]], None]] = {
    "resources": _add_resource,
    "configMapGenerator": _generate_config_map,
    "components": _add_component,
    "patches": _patch,
    "namespace": _set_namespace,
    "images": _set_image,
    "replacements": _copy,
}


def _hash_names(objects: list[Manifest]) -> None:
    """Give every ConfigMap, all of which are generated, the hash of its content, also where pods name it."""
    config_maps = [manifest for manifest in objects if manifest["kind"] == "ConfigMap"]
    hashed = {c["metadata"]["name"]: f"{c['metadata']['name']}-{_content_hash(c)}" for c in config_maps}
    for config_map in config_maps:
        config_map["metadata"]["name"] = hashed[config_map["metadata"]["name"]]
    for pod in _pods(objects):
        for volume in pod.get("volumes", []):
            if "configMap" in volume:
                volume["configMap"]["name"] = hashed[volume["configMap"]["name"]]


def _content_hash(config_map: Manifest) -> str:
    """Return kustomize's own hash (api/hasher): of JSON as Go writes it, in digits that spell nothing."""
    content = {"data": config_map["data"], "kind": "ConfigMap", "name": ""}  # it looks the name up, in vain
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    escaped = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return hashlib.sha256(escaped.encode()).hexdigest()[:10].translate(str.maketrans("013ae", "ghkmt"))


def _pods(objects: list[Manifest]) -> Iterator[Manifest]:
    return (
        manifest["spec"]["template"]["spec"] for manifest in objects if "template" in manifest.get("spec", {})
    )
