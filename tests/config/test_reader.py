"""One walk over nodes: every shape, what it refuses, and what it notes on its way."""

import re
from pathlib import Path
from typing import Annotated

import pytest

from sidecar.config import reader as module
from sidecar.config.check import TlsConfig
from sidecar.config.fields import FilePath, SecretText, Text
from sidecar.config.kinds.secret import Secret
from sidecar.config.problems import Place
from sidecar.config.reader import FLAWED, PROBLEM_LIMIT, Reader, TooLargeError
from sidecar.config.shape import OneOrMany
from tests.config.world import NO_DURATION, Mode, node, problems, read, reader


@pytest.mark.parametrize(
    ("keys", "attribute", "value"),
    [
        ("words: one", "words", ("one",)),
        ("words: [one]", "words", ("one",)),
        ("words: [one, two, no]", "words", ("one", "two", "no")),
        ("words: []", "words", ()),
        ("extras: {a: 1, on: off}", "extras", {"a": "1", "on": "off"}),
        ("extras: {}", "extras", {}),
        ("mode: deep", "mode", Mode.DEEP),
        ("hops: 5", "hops", 5),
        ('hops: "5"', "hops", 5),
        ("note: null and void", "note", "null and void"),
        ('note: "null"', "note", "null"),
        ("note: '~'", "note", "~"),
        ("note: 2024-01-01", "note", "2024-01-01"),
        ("note: ${NOTE}", "note", "<<: [x"),
        ("pattern: a+", "pattern", re.compile("a+")),
        ("token: s3cret", "token", Secret("s3cret")),
        ("token: 012345", "token", Secret("012345")),
        ("loud: true\n  mode: deep", "loud", True),
        ("tls: {}", "tls", TlsConfig()),
        (
            "tls: {ca: /ca, cert: /cert, key: /key, server_name: x}",
            "tls",
            TlsConfig(ca="/ca", cert="/cert", key="/key", server_name="x"),
        ),
        ("tls: {insecure: true}", "tls", TlsConfig(insecure=True)),
        ("gates: none", "gates", frozenset()),
        ("gates: [none]", "gates", frozenset()),
        ("gates: []", "gates", frozenset()),
        ("gates: ${GATES}", "gates", frozenset()),
        ("gates: startup", "gates", frozenset({"startup"})),
        ("gates: [startup, readiness, startup]", "gates", frozenset({"startup", "readiness"})),
    ],
)
def test_every_shape_is_read(keys: str, attribute: str, value: object) -> None:
    ungated = "- {name: gate, type: ping}\n"

    config = read(f"{ungated}- name: a\n  type: ping\n  {keys}", NOTE="<<: [x", GATES="none")

    assert getattr(config.checks[1], attribute) == value


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("words: {a: b}", "3:10: checks.a.words: is a mapping; write a single value"),
        ("words: [[a]]", "3:11: checks.a.words[0]: is a list; write a single value"),
        ('words: [a, ""]', "3:14: checks.a.words[1]: is empty; write a text, or leave the key out"),
        ("extras: x", "3:11: checks.a.extras: is a single value; write a mapping of keys and values"),
        ("extras: {a: [b]}", "3:15: checks.a.extras.a: is a list; write a single value"),
        (
            "extras:\n    a: b\n    a: c",
            "5:5: checks.a.extras: the key 'a' stands here twice, first in line 4; remove one",
        ),
        (
            "<<: {hops: 2}\n  <<: {tries: 2}",
            "4:3: checks.a: the key '<<' stands here twice, first in line 3; remove one",
        ),
        (
            "tls: [a]",
            "3:8: checks.a.tls: is a list; write a mapping of keys and values, or {} for its defaults",
        ),
        ("tls: {key: /k}", "3:9: checks.a.tls.key: needs the key cert beside it: a key proves a certificate"),
        ("loud: true", "3:3: checks.a.loud: needs mode: deep beside it"),
        ("timeout: 11s", "1:3: checks.a: is asked more often than it may take to answer"),
        (
            "gates: [none, none, startup]",
            "3:10: checks.a.gates: has none beside other words; write none alone, or leave it out",
        ),
        ("note: !x y", "3:9: checks.a.note: has the tag '!x'; tags mean nothing here: remove it"),
        ("words: !!set [a]", "3:10: checks.a.words: has the tag '!!set'; tags mean nothing here: remove it"),
    ],
)
def test_every_shape_says_what_it_refuses_and_where(keys: str, problem: str) -> None:
    assert problems(f"- name: a\n  type: ping\n  {keys}") == [f"c.yaml:{problem}"]


def test_a_tag_that_says_what_is_so_anyway_is_no_problem() -> None:
    assert problems("!!seq\n- !!map {name: !!str a, type: ! ping}") == []


def test_a_rule_is_not_asked_about_values_that_have_a_problem() -> None:
    assert problems("- {name: a, type: ping, timeout: 1h, interval: x}") == [
        f"c.yaml:1:48: checks.a.interval: {NO_DURATION}"
    ]


def test_a_merge_gives_the_keys_that_are_not_there() -> None:
    config = read(
        """
        checks:
          - &a
            name: a
            type: ping
            note: of a
            hops: 2
          - name: b
            <<: [{hops: 3, tries: 4}, *a]
          - <<: *a
            name: c
            hops: 9
        """
    )

    keys = [(check.name, check.note, check.hops, check.tries) for check in config.checks]  # type: ignore[attr-defined]
    assert keys == [("a", "of a", 2, 1), ("b", "of a", 3, 4), ("c", "of a", 9, 1)]


def test_a_quoted_merge_key_is_a_key_like_any_other() -> None:
    assert problems('- {name: a, type: ping, extras: {"<<": b}}') == []


def test_mappings_may_be_merged_inside_one_another_up_to_a_limit() -> None:
    def chain(length: int) -> str:
        links = [f"- &a{i} {{<<: *a{i - 1}}}" for i in range(1, length)]
        return "\n".join(["- &a0 {name: a, type: ping}", *links])

    def unfolds(length: int) -> bool:
        return any("unfolds into more" in each for each in problems(chain(length)))

    assert (unfolds(31), unfolds(32)) == (False, True)


def test_a_reader_takes_as_many_steps_as_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEP_LIMIT", 4)
    root, world = node("[a, b]"), reader()

    world.elements(root)
    world.elements(root)

    with pytest.raises(TooLargeError, match="unfolds into more than a configuration can need"):
        world.items(node("{a: b}"))


def test_keys_and_merged_keys_are_steps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEP_LIMIT", 7)
    world = reader()

    world.items(node("{a: b, c: d}"))
    world.items(node("{<<: {a: b, c: d}}"))  # a step a key, a step a merged key, and one for `<<`

    with pytest.raises(TooLargeError):
        world.items(node("{a: b}"))


def test_a_reader_records_as_many_problems_as_the_limit() -> None:
    world, root = reader(), node("x")
    for _ in range(PROBLEM_LIMIT):
        world.refuse(root, "is wrong")

    with pytest.raises(TooLargeError, match="has more than 1,000 problems; is it a configuration"):
        world.refuse(root, "is wrong")


def test_a_file_with_too_many_problems_shows_those_that_were_found() -> None:
    found = problems("- x\n" * (PROBLEM_LIMIT + 1))

    assert found[:2] == [
        "c.yaml: has more than 1,000 problems; is it a configuration of the sidecar?",
        "c.yaml:1:3: checks[0]: is a single value; write a mapping of keys and values",
    ]
    assert len(found) == PROBLEM_LIMIT + 1


def test_a_reader_is_where_it_says_it_is() -> None:
    world = reader()

    with world.at("checks"), world.at(3), world.at("extras"), world.at("a:b\x1b" + "c" * 99):
        world.refuse(node("- [a,\n  b]").value[0].value[1], "is wrong")
    world.refuse(node("x"), "is wrong too")

    assert [(problem.path, problem.place) for problem in world.problems] == [
        ("checks[3].extras.a:***", Place("c.yaml", 2, 3)),
        ("", Place("c.yaml", 1, 1)),
    ]


def test_a_reader_notes_secrets_and_files() -> None:
    world = reader(A="s3cret", WORD="true")

    read_value(world, "x ${A}", Text)
    read_value(world, "${WORD}", Text)
    read_value(world, "literal", SecretText)
    read_value(world, "/etc/tls/ca.pem", FilePath)
    read_value(world, "${A}", FilePath)

    assert world.secrets == {"s3cret", "literal"}
    assert world.outside.files == {Path("/etc/tls/ca.pem")}


def read_value(world: Reader, text: str, hint: object) -> object:
    """Return what the reader makes of a text."""
    return world.read(node(repr(text)), hint)


def test_what_has_a_problem_makes_what_holds_it_flawed() -> None:
    for text, hint in [
        ("[[]]", tuple[Text, ...]),
        ("x", tuple[Text, ...]),
        ("[]", Text),
        ("", Text),
        ("{a: []}", dict[str, Text]),
        ("[]", dict[str, Text]),
        ("{key: x}", TlsConfig),
        ("{key: /x}", TlsConfig),
        ("[]", TlsConfig),
        ("x", frozenset[Mode]),
        ("[none, deep]", frozenset[Mode]),
        ("{}", Annotated[tuple[Text, ...], OneOrMany()]),
    ]:
        world = reader()
        assert world.read(node(text or "---"), hint) is FLAWED
        assert len(world.problems) == 1


def test_the_representation_of_a_reader_tells_no_secret() -> None:
    world = reader(A="SECRET")
    world.read(node("${A}"), Text)

    assert "SECRET" not in repr([world, world.items(node("{a: SECRET}"))])
