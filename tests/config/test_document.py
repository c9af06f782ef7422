"""From bytes to nodes: what is no YAML, and what would be too much of it."""

import subprocess
import sys
from pathlib import Path

import pytest
from yaml.nodes import MappingNode, ScalarNode

from sidecar.config import document
from sidecar.config.document import DEPTH_LIMIT, SIZE_LIMIT, Limits, compose
from sidecar.config.problems import ConfigError
from sidecar.config.source import Source
from tests.config.world import problems

ROOT = Path(__file__).parents[2]


def complaint(content: bytes) -> str:
    """Return what is said of `content`."""
    with pytest.raises(ConfigError) as refused:
        compose("c.yaml", content)
    return str(refused.value)


def test_scalars_stay_text_and_have_positions() -> None:
    root = compose("c.yaml", b"a: no\nb: 010\n")

    assert isinstance(root, MappingNode)
    assert [(k.value, v.value, v.start_mark.line, v.start_mark.column) for k, v in root.value] == [
        ("a", "no", 0, 3),
        ("b", "010", 1, 3),
    ]


@pytest.mark.parametrize("content", [b"", b"\n \n", b"# only a comment\n", b"\xef\xbb\xbf"])
def test_an_empty_document_has_no_root(content: bytes) -> None:
    assert compose("c.yaml", content) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_encoding_of_yaml_is_read(encoding: str) -> None:
    root = compose("c.yaml", "näme".encode(encoding))

    assert isinstance(root, ScalarNode)
    assert root.value == "näme"


COLON = "a text with a colon and a space in it needs quotes"
ANY_TOKEN = "while scanning for the next token: found character that cannot start any token"
FLOW = (
    "while parsing a flow sequence{}: did not find expected ',' or ']'; is a bracket not closed? "
    "between brackets a text with , [ ] {{ }} in it, ${{A}} too, needs quotes"
)


@pytest.mark.parametrize(
    ("content", "place", "what"),
    [
        (b"a: [b\nc: d", "2:2", FLOW.format(" (line 1)")),
        (b"[b: [c d: e, f]\n", "2:1", FLOW.format(" (line 1)")),
        (b"a: {b: [c}", "1:10", FLOW.format("")),
        (b"%YAML 3.0\n---\na: b", "1:1", "found incompatible YAML document"),
        (b"a:\n\tb: c", "2:1", f"{ANY_TOKEN}; indent with spaces, not with a tab"),
        (b"a: b\tc\nd: @e", "2:4", f"{ANY_TOKEN}; a text that begins with %, @ or ` needs quotes"),
        (b"a: b: c", "1:5", "mapping values are not allowed in this context; " + COLON),
    ],
)
def test_what_is_no_yaml_is_told_where_and_what_people_mostly_meant(
    content: bytes, place: str, what: str
) -> None:
    assert complaint(content) == f"c.yaml:{place}: is not YAML: {what}"


@pytest.mark.parametrize(
    ("content", "place", "what"),
    [
        (b"a: 1\n--- \nb: 2", "2:1", "holds more than one document; keep one, and remove the line ---"),
        (b"[&a b,\n&a c]", "2:1", "has an anchor of this name before (line 1); give each a name of its own"),
        (b"[&a b, &a c]", "1:8", "has an anchor of this name before; give each a name of its own"),
        (b"a: b\nc: \xff", "2:4", "is not UTF-8 text: invalid leading UTF-8 octet; save it in UTF-8"),
        ("ä: ".encode() + b"\xff", "1:4", "is not UTF-8 text: invalid leading UTF-8 octet; save it in UTF-8"),
        (b"\xff\xfea", "1:3", "is not UTF-8 text: incomplete UTF-16 character; save it in UTF-8"),
        (
            b"\xef\xbb\xbfa\0",
            "1:2",
            "holds the control character U+0000, which YAML does not allow; remove it",
        ),
        (b"a\n\x1b", "2:1", "holds the control character U+001B, which YAML does not allow; remove it"),
    ],
)
def test_what_the_sidecar_does_not_read_is_told_where(content: bytes, place: str, what: str) -> None:
    assert complaint(content) == f"c.yaml:{place}: {what}"


def test_a_file_is_as_large_as_a_config_map_may_be() -> None:
    compose("c.yaml", b"#" * SIZE_LIMIT)

    assert complaint(b"#" * (SIZE_LIMIT + 1)) == (
        "c.yaml: is larger than 1024 KiB, which is all that a ConfigMap holds"
    )


def test_of_a_large_file_no_more_is_read_than_shows_that_it_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"- name: mail\n" * 800_000)

    source = Source.from_file(path)

    assert len(source.content) == SIZE_LIMIT + 1
    assert complaint(source.content) == "c.yaml: is larger than 1024 KiB, which is all that a ConfigMap holds"


def test_a_document_may_be_nested_as_deep_as_the_limit() -> None:
    compose("c.yaml", b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT)
    compose("c.yaml", b"[" + b"[[]]," * 100 + b"]")

    assert complaint(b"[\n" * DEPTH_LIMIT + b"x" + b"]" * DEPTH_LIMIT) == (
        "c.yaml:30:1: is nested deeper than 30 levels; is it a configuration of the sidecar?"
    )


def test_a_document_may_have_as_many_nodes_as_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "OF_A_CONFIGURATION", Limits(nodes=1000))

    compose("c.yaml", b"[" + b"a," * 999 + b"]")

    assert complaint(b"[" + b"a," * 1000 + b"]") == (
        "c.yaml: has more than 1,000 keys and values; split the checks up"
    )


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "{a: ", "[{"])
def test_endless_nesting_does_not_end_the_process(opening: str) -> None:
    """In a process of its own: the C parser's recursion would take this one along."""
    program = (
        "import sys; from tests.config.world import problems; print(problems(sys.argv[1].encode() * 100_000))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program, opening], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "is nested deeper than 30 levels" in ended.stdout


def test_a_million_brackets_are_one_problem() -> None:
    assert problems(b"[" * 1_000_000) == [
        "c.yaml:1:30: is nested deeper than 30 levels; is it a configuration of the sidecar?"
    ]


def test_a_configuration_that_is_missing_or_a_directory_is_told_so(tmp_path: Path) -> None:
    for path, why in [(tmp_path, "is a directory"), (tmp_path / "c.yaml", "no such file or directory")]:
        with pytest.raises(ConfigError) as refused:
            Source.from_file(path)
        assert str(refused.value) == f"{path}: cannot be read: {why}"


def test_the_representation_of_a_source_does_not_show_its_content() -> None:
    assert repr(Source("c.yaml", b"password: hunter2")) == "Source(name='c.yaml')"
