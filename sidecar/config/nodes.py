"""What a YAML node is, in words and otherwise."""

from dataclasses import dataclass
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sidecar.support.text import STARS

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True, repr=False)
class Item:
    """A key of a mapping, and its value."""

    key: ScalarNode
    value: Node


def is_plain(node: ScalarNode) -> bool:
    """Whether a scalar stands without quotes: the style that yaml's C parser gives those is empty."""
    return not node.style


def is_nothing(node: Node) -> bool:
    """Whether `node` is what YAML calls null."""
    return isinstance(node, ScalarNode) and is_plain(node) and node.value in _NULLS


def what(node: Node) -> str:
    """Return what a node is, for a problem's sentence."""
    if is_nothing(node):
        return "has no value"
    if isinstance(node, MappingNode):
        return "is a mapping"
    return "is a list" if isinstance(node, SequenceNode) else "is a single value"


def key_alone(key: str) -> str:
    """Return a key without the value that became part of it where the space after the colon is missing."""
    word, has_colon, _ = key.partition(":")
    return f"{word}:{STARS}" if has_colon else word
