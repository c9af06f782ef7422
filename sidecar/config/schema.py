"""The whole configuration as JSON Schema, for editors; every rule that a schema can say."""

from typing import Any

from sidecar.config.check import CheckConfig, CheckType, CheckTypes
from sidecar.config.deploy import NO_SERVICES, ServiceType, ServiceTypes
from sidecar.config.kinds.kind import Schema
from sidecar.config.load import DEFAULT_KEYS
from sidecar.config.model import Sections
from sidecar.config.shape import describe, describe_section, keys_of


def describe_configuration(types: CheckTypes, services: ServiceTypes = NO_SERVICES) -> Schema:
    """Return the JSON Schema (2020-12) of a configuration with the given check types and services."""
    checks: Schema = {
        "type": "array",
        "items": {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in types.names()]},
    }
    document = describe_section(Sections)
    document["properties"] = {
        "checks": {"$ref": "#/$defs/checks"},
        "defaults": _defaults(),
        **document["properties"],
    }
    document["required"] = ["checks"]
    if services.names():
        document["properties"]["deploy"]["properties"]["announce"]["items"] = {
            "oneOf": [_service(services, name) for name in services.names()]
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of the health sidecar",
        "anyOf": [{"$ref": "#/$defs/checks"}, document],
        "$defs": {"checks": checks, **{name: _check(types, name) for name in types.names()}},
    }


def _defaults() -> Schema:
    keys = keys_of(CheckConfig)
    properties = {name: {"description": keys[name].doc, **describe(keys[name].hint)} for name in DEFAULT_KEYS}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _check(types: CheckTypes, name: str) -> Schema:
    found = types.find(name)
    if found is None:
        raise LookupError(f"the check type {name} is listed but not found")
    return _member(found, name)


def _service(services: ServiceTypes, name: str) -> Schema:
    found = services.find(name)
    if found is None:
        raise LookupError(f"the service {name} is listed but not found")
    return _member(found, name)


def _member(found: CheckType[Any] | ServiceType[Any], name: str) -> Schema:
    schema = describe_section(found.config)
    schema["properties"]["type"] = {"const": name}
    return {"description": found.documentation.partition("\n\n")[0], **schema}
