"""What placeholders become, and when they are refused."""

import os
from pathlib import Path

import pytest

from sidecar.config.interpolate import (
    SECRET_FILE_LIMIT,
    Outside,
    Part,
    Scalar,
    interpolate,
    read_secret_file,
)
from sidecar.config.problems import Mistake
from tests.config.world import scalar


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("${A}", "one"),
        ("<${A}-${B}>", "<one-two>"),
        ("${A}${A}", "oneone"),
        ("${A:-other}", "one"),
        ("${UNSET:-other}", "other"),
        ("${UNSET:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-other}", "other"),
        ("${UNSET:-a:-b}", "a:-b"),
        ("$A $ {A} $(A) {A} }", "$A $ {A} $(A) {A} }"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$${A}${A}", "${A}one"),
        ("${MARKUP}", "${A} $${A} ${file:/etc/passwd}"),
    ],
)
def test_placeholders_become_values_once(raw: str, text: str) -> None:
    environ = {"A": "one", "B": "two", "EMPTY": "", "MARKUP": "${A} $${A} ${file:/etc/passwd}"}

    assert scalar(raw, **environ).text == text


def test_a_scalar_knows_what_came_from_outside() -> None:
    found = scalar("a${A}b$${c}${B}${EMPTY}", A="1", B="2", EMPTY="")

    assert found.parts == (
        Part("a"),
        Part("1", is_interpolated=True),
        Part("b"),
        Part("${"),
        Part("c}"),
        Part("2", is_interpolated=True),
        Part("", is_interpolated=True),
    )
    assert found.raw == "a${A}b$${c}${B}${EMPTY}"
    assert found.interpolated() == ("1", "2")
    assert found.is_interpolated
    assert not scalar("$${A}").is_interpolated


def test_the_representation_of_what_was_read_tells_no_secret() -> None:
    outside = Outside({"A": "SECRET"})

    shown = repr([outside, interpolate("SECRET ${A}", outside)])

    assert "SECRET" not in shown


FORMS = "write ${NAME}, ${NAME:-default} or ${file:/path}, and $${ for a literal ${"


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ("${A", f"has a '${{' without its '}}'; {FORMS}"),
        ("a ${A} ${", f"has a '${{' without its '}}'; {FORMS}"),
        ("${A:-${B}}", f"has a placeholder inside a placeholder, and they do not nest; {FORMS}"),
        ("${}", f"has a placeholder that is none of those that exist; {FORMS}"),
        ("${ A }", f"has a placeholder that is none of those that exist; {FORMS}"),
        ("${A-b}", f"has a placeholder that is none of those that exist; {FORMS}"),
        ("${A:?b}", f"has a placeholder that is none of those that exist; {FORMS}"),
        ("${1A}", f"has a placeholder that is none of those that exist; {FORMS}"),
        ("${:-b}", f"has a placeholder that is none of those that exist; {FORMS}"),
        ("${UNSET}", "the variable UNSET is not set; set it, or write ${UNSET:-default}"),
        ("${BYTES}", "the variable BYTES is not UTF-8 text"),
        ("a\0b", "holds a NUL character; remove it"),
        ("${NUL}", "holds a NUL character; remove it"),
        (
            "${file:a/b}",
            "the secret file 'a/b' needs an absolute path, such as /run/secrets/password",
        ),
    ],
)
def test_a_placeholder_that_cannot_be_replaced_is_refused(raw: str, sentence: str) -> None:
    environ = {"A": "one", "BYTES": os.fsdecode(b"\xff"), "NUL": "a\0b"}

    with pytest.raises(Mistake) as refused:
        scalar(raw, **environ)

    assert refused.value.sentence == sentence


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"pass\n", "pass"),
        (b"pass\r\n", "pass"),
        (b"pass\n\n", "pass\n"),
        (b" pass ", " pass "),
        (b"", ""),
        ("ünïcode".encode(), "ünïcode"),
        (b"x" * SECRET_FILE_LIMIT, "x" * SECRET_FILE_LIMIT),
    ],
)
def test_a_secret_file_gives_its_text_without_the_last_line_end(
    tmp_path: Path, content: bytes, text: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    outside = Outside({})

    assert interpolate(f"<${{file:{path}}}>", outside).text == f"<{text}>"
    assert outside.files == {path}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"x" * (SECRET_FILE_LIMIT + 1), "is larger than 64 KiB"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_secret_file_that_is_no_secret_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)

    with pytest.raises(Mistake) as refused:
        scalar(f"${{file:{path}}}")

    assert refused.value.sentence == f"the secret file {path} {sentence}"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (PermissionError(13, "Permission denied"), "permission denied"),
        (OSError(5, "Input/output error"), "input/output error"),
        (OSError(), "unreadable"),
    ],
)
def test_a_secret_file_that_cannot_be_read_is_watched_all_the_same(error: OSError, why: str) -> None:
    def read_file(_path: Path) -> bytes:
        raise error

    outside = Outside({}, read_file)

    with pytest.raises(Mistake) as refused:
        interpolate("${file:/run/secret}", outside)

    assert refused.value.sentence == f"the secret file /run/secret cannot be read: {why}"
    assert outside.files == {Path("/run/secret")}


def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path, why in [
        (tmp_path, "Is a directory"),
        (tmp_path / "pipe", "is not a regular file"),
        (tmp_path / "missing", "No such file or directory"),
    ]:
        with pytest.raises(OSError) as refused:  # noqa: PT011 - the text is compared below
            read_secret_file(path)
        assert refused.value.strerror == why


def test_no_more_of_a_file_is_read_than_shows_that_it_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * (2 * SECRET_FILE_LIMIT))

    assert len(read_secret_file(path)) == SECRET_FILE_LIMIT + 1


def test_a_file_is_named_for_a_reload_to_watch() -> None:
    outside = Outside({})

    outside.name_file("/etc/tls/ca.pem")

    assert outside.files == {Path("/etc/tls/ca.pem")}


def test_a_scalar_can_be_made_of_a_text_that_is_in_no_file() -> None:
    assert Scalar("10s", (Part("10s"),)).text == "10s"
