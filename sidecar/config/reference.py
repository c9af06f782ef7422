"""The reference of a section's keys as a Markdown table, from the same dataclasses that are read."""

from collections.abc import Collection, Iterator
from typing import Any

from sidecar.config.check import CheckConfig, CheckType
from sidecar.config.deploy import ServiceConfig, ServiceType
from sidecar.config.shape import Key, keys_of


def document_type(name: str, found: CheckType[Any] | ServiceType[Any]) -> str:
    """Return the page of a check type or a service: its documentation, then the keys that it adds."""
    own = own_keys(found.config)
    return f"# {name}\n\n{found.documentation}\n\n## Keys\n\n{document_keys(found.config, only=own)}\n"


def own_keys(section: type[CheckConfig] | type[ServiceConfig]) -> list[str]:
    """Return the keys that a type adds to those of all, or gives a default of its own."""
    common = keys_of(CheckConfig if issubclass(section, CheckConfig) else ServiceConfig)
    return [name for name, key in keys_of(section).items() if common.get(name) != key]


def document_keys(section: type[Any], *, only: Collection[str] | None = None) -> str:
    """Return a table of a section's keys: name, default, what it means; sections inside as dotted names.

    The keys of a list's elements stand behind `[]`.
    """
    rows = ["| key | default | means |", "|---|---|---|"]
    rows += [
        row for name, key in keys_of(section).items() if only is None or name in only for row in _rows(key)
    ]
    return "\n".join(rows)


def _rows(key: Key, prefix: str = "") -> Iterator[str]:
    default = "required" if key.is_required else f"`{key.show_default()}`" if key.show_default() else ""
    cells = (f"`{prefix}{key.name}`", default, key.doc)
    yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
    below = f"{prefix}{key.name}[]." if key.is_list else f"{prefix}{key.name}."
    for inner in key.inner():
        yield from _rows(inner, below)
