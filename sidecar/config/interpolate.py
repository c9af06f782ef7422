"""`${NAME}`, `${NAME:-default}` and `${file:/path}` inside a scalar; `$${` is a literal `${`.

Replaced after the YAML was parsed, so that no value can change the document's structure.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sidecar.config.problems import Mistake, quoted

SECRET_FILE_LIMIT: Final = 64 * 1024
"""Bytes; a secret is no larger, and a device or a log given by mistake has no end."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER: Final = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)\}|\$\{")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a scalar: written in the file, or put in from outside."""

    text: str
    is_interpolated: bool = False


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar of the document, with every placeholder replaced.

    `raw` is what stands in the file: it may be shown where the value may not.
    """

    raw: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The whole value."""
        return "".join(part.text for part in self.parts)

    @property
    def is_interpolated(self) -> bool:
        """Whether any piece came from outside."""
        return any(part.is_interpolated for part in self.parts)

    def interpolated(self) -> tuple[str, ...]:
        """The pieces that came from outside."""
        return tuple(part.text for part in self.parts if part.is_interpolated and part.text)


def read_secret_file(path: Path) -> bytes:
    """Return at most 64 KiB of a regular file.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    if path.exists() and not path.is_file():
        raise IsADirectoryError(21, "is not a regular file")
    with path.open("rb") as file:
        return file.read(SECRET_FILE_LIMIT + 1)


@dataclass(frozen=True, slots=True)
class Outside:
    """Where placeholders get their values from, and which files were read for them."""

    environ: Mapping[str, str]
    read_file: Callable[[Path], bytes] = read_secret_file
    files: set[Path] = field(default_factory=set)

    def name_file(self, path: str) -> None:
        """Note that the configuration names the file at `path`."""
        self.files.add(Path(path))


def interpolate(raw: str, outside: Outside) -> Scalar:
    """Return `raw` with its placeholders replaced.

    Raises:
        Mistake: a placeholder is malformed, a variable is not set, a file cannot be read.
    """
    return Scalar(raw, tuple(_parts(raw, outside)))


def _parts(raw: str, outside: Outside) -> Iterator[Part]:
    end = 0
    for match in _PLACEHOLDER.finditer(raw):
        if match.start() > end:
            yield Part(raw[end : match.start()])
        yield _replace(match, outside)
        end = match.end()
    if end < len(raw) or not raw:
        yield Part(raw[end:])


def _replace(match: re.Match[str], outside: Outside) -> Part:
    if match[0] == "$${":
        return Part("${")
    inside = match["inside"]
    if inside is None:
        raise Mistake("has a '${' without its '}'; write '$${' for a literal '${'")
    if inside.startswith("file:"):
        return Part(_from_file(inside.removeprefix("file:"), outside), is_interpolated=True)
    return Part(_from_environment(inside, outside), is_interpolated=True)


def _from_environment(inside: str, outside: Outside) -> str:
    name, has_default, default = inside.partition(":-")
    if not _NAME.fullmatch(name):
        raise Mistake(
            f"'${{{inside}}}' is no placeholder; write ${{NAME}}, ${{NAME:-default}} or ${{file:/path}}"
        )
    value = outside.environ.get(name)
    if has_default and not value:
        return default
    if value is None:
        raise Mistake(f"the variable {name} is not set; set it, or write ${{{name}:-default}}")
    return value


def _from_file(written: str, outside: Outside) -> str:
    path = Path(written)
    if not path.is_absolute():
        raise Mistake(f"the secret file {quoted(written)} needs an absolute path")
    outside.files.add(path)
    try:
        content = outside.read_file(path)
    except OSError as error:
        raise Mistake(
            f"the secret file {written} cannot be read: {(error.strerror or 'unreadable').lower()}"
        ) from error
    if len(content) > SECRET_FILE_LIMIT:
        raise Mistake(f"the secret file {written} is larger than {SECRET_FILE_LIMIT // 1024} KiB")
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Mistake(f"the secret file {written} is not UTF-8 text") from error
