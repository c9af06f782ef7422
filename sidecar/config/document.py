"""Turns bytes into YAML nodes: they have positions, and scalars that are still text.

Says in words what is no YAML, and bounds what a document may cost.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import yaml
from yaml.error import Mark
from yaml.nodes import Node
from yaml.reader import ReaderError

from sidecar.config.problems import ConfigError, Place, Problem

SIZE_LIMIT: Final = 1024 * 1024
"""Bytes: what Kubernetes lets a ConfigMap hold."""
DEPTH_LIMIT: Final = 30
"""Levels of nesting. The C parser composes them by recursion: some ten thousand would end the process."""
NODE_LIMIT: Final = 100_000
"""Nodes written out; a check has about a dozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a source may cost, and how the sentence ends that says so."""

    size: int = SIZE_LIMIT
    """Bytes."""
    depth: int = DEPTH_LIMIT
    nodes: int = NODE_LIMIT
    too_large: str = ", which is all that a ConfigMap holds"
    too_deep: str = "; is it a configuration of the sidecar?"
    too_many: str = "; split the checks up"


OF_A_CONFIGURATION: Final = Limits()


def compose(name: str, content: bytes) -> Node | None:
    """Return the root node of the only document in `content`; None if there is none.

    `name` is what the problems call the source.

    Raises:
        ConfigError: it is no YAML, or too much of it.
    """
    with _reading(name, content, OF_A_CONFIGURATION) as loader:
        return loader.get_single_node()


def compose_all(name: str, content: bytes, limits: Limits) -> list[Node]:
    """Return the root nodes of all documents in `content`.

    Raises:
        ConfigError: it is no YAML, or too much of it.
    """
    roots = []
    with _reading(name, content, limits) as loader:
        while loader.check_node():
            roots.append(loader.get_node())
    return [root for root in roots if root is not None]


@contextmanager
def _reading(name: str, content: bytes, limits: Limits) -> Iterator["_Loader"]:
    """Lend a loader of `content`, and say in words what it stumbles over."""
    if len(content) > limits.size:
        raise _refused(Place(name), f"is larger than {limits.size // 1024} KiB{limits.too_large}")
    try:
        loader = _Loader(content, limits)
        try:
            yield loader
        finally:
            loader.dispose()
    except ReaderError as error:
        raise _refused(_place_of_byte(name, content, error.position), _unreadable(error)) from error
    except _TooMuchError as error:
        raise _refused(_place(name, error.problem_mark), str(error.problem)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refused(_place(name, mark), _not_yaml(error, _line(content, mark))) from error


class _TooMuchError(yaml.MarkedYAMLError):
    """A limit is exceeded; the problem is the whole sentence."""


class _Loader(yaml.CBaseLoader):
    """Composes nodes within limits.

    The resolver's hooks, called as each node begins and ends, are what the C parser lets us override.
    """

    def __init__(self, content: bytes, limits: Limits) -> None:
        super().__init__(content)
        self._limits = limits
        self._depth = 0
        self._nodes = 0

    def descend_resolver(self, current_node: Node | None, current_index: object) -> None:  # noqa: ARG002
        """Count a node that begins inside `current_node`."""
        self._depth += 1
        self._nodes += 1
        mark = current_node.start_mark if current_node else None
        if self._depth > self._limits.depth:
            raise _TooMuchError(
                problem=f"is nested deeper than {self._limits.depth} levels{self._limits.too_deep}",
                problem_mark=mark,
            )
        if self._nodes > self._limits.nodes:
            raise _TooMuchError(
                problem=f"has more than {self._limits.nodes:,} keys and values{self._limits.too_many}"
            )

    def ascend_resolver(self) -> None:
        """Note that a node ends."""
        self._depth -= 1


def _refused(place: Place, sentence: str) -> ConfigError:
    return ConfigError([Problem(place, "", sentence)])


def _place(name: str, mark: Mark | None) -> Place:
    return Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)


def _place_of_byte(name: str, content: bytes, position: int) -> Place:
    before = content[:position]
    line = before[before.rfind(b"\n") + 1 :].decode("utf-8-sig", errors="replace")
    return Place(name, before.count(b"\n") + 1, len(line) + 1)


def _unreadable(error: ReaderError) -> str:
    if error.reason == "control characters are not allowed":
        return f"holds the control character U+{error.character:04X}, which YAML does not allow; remove it"
    return f"is not UTF-8 text: {error.reason}; save it in UTF-8"


def _not_yaml(error: yaml.MarkedYAMLError, line: bytes) -> str:
    """Return the parser's complaint in one sentence, with what is usually behind it."""
    problem = error.problem or ""
    if problem == "but found another document":
        return "holds more than one document; keep one, and remove the line ---"
    if problem == "second occurrence":
        return f"has an anchor of this name before{_beginning(error)}; give each a name of its own"
    context = f"{error.context}{_beginning(error)}: " if error.context else ""
    return f"is not YAML: {context}{problem}{_hint(problem, line)}"


def _beginning(error: yaml.MarkedYAMLError) -> str:
    begin, end = error.context_mark, error.problem_mark
    return f" (line {begin.line + 1})" if begin and end and begin.line != end.line else ""


def _line(content: bytes, mark: Mark | None) -> bytes:
    """Return the line of `content` at `mark`; empty behind the last one."""
    return next(iter(content.splitlines()[mark.line : mark.line + 1]), b"") if mark else b""


def _hint(problem: str, line: bytes) -> str:
    if b"\t" in line[: len(line) - len(line.lstrip())]:
        return "; indent with spaces, not with a tab"
    return next((f"; {hint}" for part, hint in _HINTS if part in problem), "")


_HINTS: Final = (
    ("mapping values are not allowed", "a text with a colon and a space in it needs quotes"),
    ("cannot start any token", "a text that begins with %, @ or ` needs quotes"),
    ("expected alphabetic or numeric", "a text that begins with * or & needs quotes"),
    ("undefined alias", "write its anchor, &NAME, above it; a text that begins with * needs quotes"),
    ("expected '-' indicator", "is the line indented like those beside it?"),
    ("expected key", "is the line indented like those beside it?"),
    (
        "expected ','",
        "is a bracket not closed? between brackets a text with , [ ] { } in it, ${A} too, needs quotes",
    ),
    ("expected ':'", "a key and its value need a colon and a space between them"),
    ("unexpected end of stream", "is a quote not closed?"),
    ("escape character", "in double quotes a \\ begins an escape; write single quotes"),
)
"""What the parser says, and what people mostly did."""
