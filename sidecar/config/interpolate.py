"""`${NAME}`, `${NAME:-default}` and `${file:/path}` inside a scalar; `$${` is a literal `${`.

Replaced after the YAML was parsed, so that no value can change the document's structure.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sidecar.config.problems import Mistake, quoted

SECRET_FILE_LIMIT: Final = 64 * 1024
"""Bytes; a secret is no larger, and a device or a log given by mistake has no end."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER: Final = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)\}|\$\{")
_FORMS: Final = "write ${NAME}, ${NAME:-default} or ${file:/path}, and $${ for a literal ${"


class UnsetVariable(Mistake):
    """A placeholder without a default names a variable that is not set."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a scalar: written in the file, or put in from outside."""

    text: str = field(repr=False)
    is_interpolated: bool = False


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar of the document, with every placeholder replaced.

    `raw` is what stands in the file: it may be shown, quoted, where the value may not.
    """

    raw: str = field(repr=False)
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
    """Return the content of a regular file, or as much of it as shows that it is larger than 64 KiB.

    Raises:
        OSError: it cannot be read, or is no regular file: opening a pipe would wait for its writer.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is not a regular file")
    with path.open("rb") as file:
        return file.read(SECRET_FILE_LIMIT + 1)


@dataclass(frozen=True, slots=True)
class Outside:
    """Where placeholders get their values from, and which files were read for them."""

    environ: Mapping[str, str] = field(repr=False)
    read_file: Callable[[Path], bytes] = read_secret_file
    files: set[Path] = field(default_factory=set)

    @contextmanager
    def files_apart(self) -> Iterator[set[Path]]:
        """Collect the files that are named inside the block apart from those named before it."""
        before = set(self.files)
        self.files.clear()
        try:
            yield self.files
        finally:
            self.files.update(before)

    def name_file(self, path: str) -> None:
        """Note that the configuration names the file at `path`."""
        self.files.add(Path(path))


def interpolate(raw: str, outside: Outside) -> Scalar:
    """Return `raw` with its placeholders replaced.

    Raises:
        Mistake: a placeholder is malformed, a variable is not set, a file cannot be read, a character is NUL.
    """
    _refuse_nul(raw)
    scalar = Scalar(raw, tuple(_parts(raw, outside)))
    _refuse_nul(scalar.text)
    return scalar


def _refuse_nul(text: str) -> None:
    """Refuse what no path, argument, header or protocol can carry."""
    if "\0" in text:
        raise Mistake("holds a NUL character; remove it")


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
        raise Mistake(f"has a '${{' without its '}}'; {_FORMS}")
    if "${" in inside:
        raise Mistake(f"has a placeholder inside a placeholder, and they do not nest; {_FORMS}")
    if inside.startswith("file:"):
        return Part(_from_file(inside.removeprefix("file:"), outside), is_interpolated=True)
    return Part(_from_environment(inside, outside), is_interpolated=True)


def _from_environment(inside: str, outside: Outside) -> str:
    name, has_default, default = inside.partition(":-")
    if not _NAME.fullmatch(name):
        # It is not shown: `${` may be the middle of a password.
        raise Mistake(f"has a placeholder that is none of those that exist; {_FORMS}")
    value = outside.environ.get(name)
    if has_default and not value:
        return default
    if value is None:
        raise UnsetVariable(f"the variable {name} is not set; set it, or write ${{{name}:-default}}")
    if _is_undecodable(value):
        raise Mistake(f"the variable {name} is not UTF-8 text")
    return value


def _is_undecodable(value: str) -> bool:
    """Whether `value` holds bytes that Python could not decode and smuggles through as surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _from_file(written: str, outside: Outside) -> str:
    path = Path(written)
    if not path.is_absolute():
        raise Mistake(
            f"the secret file {quoted(written)} needs an absolute path, such as /run/secrets/password"
        )
    outside.files.add(path)
    try:
        content = outside.read_file(path)
    except OSError as error:
        what = (error.strerror or "unreadable").lower()
        raise Mistake(f"the secret file {written} cannot be read: {what}") from error
    if len(content) > SECRET_FILE_LIMIT:
        raise Mistake(f"the secret file {written} is larger than {SECRET_FILE_LIMIT // 1024} KiB")
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Mistake(f"the secret file {written} is not UTF-8 text") from error
