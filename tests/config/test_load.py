"""A whole configuration: what it becomes, what goes before what, and what is worth a second thought."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.check import CheckType
from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url
from sidecar.config.load import DEFAULT_KEYS, load
from sidecar.config.model import (
    Config,
    LogConfig,
    LogFormat,
    LogLevel,
    Sections,
    ServerConfig,
    StartupConfig,
)
from sidecar.config.problems import Place, unknown
from sidecar.config.source import Source
from sidecar.core.verdict import Gate
from tests.config.world import NO_DURATION, NO_NAME, TYPES, PingConfig, StoreConfig, problems, read


def test_a_bare_list_of_checks_is_a_configuration() -> None:
    assert read("- {name: a, type: ping}\n- {name: b, type: ping}") == Config(
        checks=(PingConfig(name="a", type="ping"), PingConfig(name="b", type="ping")),
        places={"a": Place("c.yaml", 1, 3), "b": Place("c.yaml", 2, 3)},
    )


def test_every_section_is_read() -> None:
    config = read(
        """
        server: {host: "::", port: 8080, admin_port: 8081}
        startup: {deadline: 2m}
        log: {level: debug, format: json}
        ungated: true
        defaults: {}
        checks: []
        """
    )

    assert config == Config(
        checks=(),
        sections=Sections(
            server=ServerConfig(host="::", port=8080, admin_port=8081),
            startup=StartupConfig(deadline=120.0),
            log=LogConfig(level=LogLevel.DEBUG, format=LogFormat.JSON),
            ungated=True,
        ),
    )


def test_every_key_of_a_check_is_read() -> None:
    config = read(
        """
        checks:
          - name: a
            type: store
            gates: [startup, liveness]
            interval: 1m
            timeout: 500ms
            initial_delay: 3s
            failure_threshold: 2
            success_threshold: 4
            description: no
            url: stores://user@10.0.0.1:7002/x
            password: ${PASSWORD}
        """,
        PASSWORD="s3cret",
    )

    assert config.checks == (
        StoreConfig(
            name="a",
            type="store",
            gates=frozenset({Gate.STARTUP, Gate.LIVENESS}),
            interval=60.0,
            timeout=0.5,
            initial_delay=3.0,
            failure_threshold=2,
            success_threshold=4,
            description="no",
            url=Url(scheme="stores", host="10.0.0.1", port=7002, username="user", path="/x"),
            password=Secret("s3cret"),
        ),
    )
    assert config.secrets == {"user", "s3cret"}


@pytest.mark.parametrize("name", ["on", "no", "yes", "true", "null-and-void", "1", "010", "1e3", "0x1f"])
def test_a_name_is_what_was_written_whatever_yaml_makes_of_it(name: str) -> None:
    assert [check.name for check in read(f"- {{name: {name}, type: ping}}").checks] == [name]


@pytest.mark.parametrize(
    ("check", "block", "interval"),
    [
        ("type: ping, interval: 3s", "interval: 2s", 3.0),
        ("type: ping", "interval: 2s", 2.0),
        ("type: ping", "timeout: 1s", 10.0),
        ("type: store, url: 'store://x', interval: 1s", "interval: 2s", 1.0),
        ("type: store, url: 'store://x'", "interval: 2s", 300.0),
        ("type: store, url: 'store://x'", "timeout: 1s", 300.0),
    ],
)
def test_an_own_key_goes_before_the_types_default_that_before_the_block_and_that_before_ours(
    check: str, block: str, interval: float
) -> None:
    config = read(f"defaults: {{{block}}}\nchecks: [{{name: a, {check}}}]")

    assert config.checks[0].interval == interval


def test_the_defaults_block_gives_every_key_that_it_may_have() -> None:
    [check] = read(
        """
        defaults:
          gates: [startup, readiness]
          interval: 1m
          timeout: 3s
          initial_delay: 4s
          failure_threshold: 5
          success_threshold: 6
        checks:
          - {name: a, type: ping}
        """
    ).checks

    assert check == PingConfig(
        name="a",
        type="ping",
        gates=frozenset({Gate.STARTUP, Gate.READINESS}),
        interval=60.0,
        timeout=3.0,
        initial_delay=4.0,
        failure_threshold=5,
        success_threshold=6,
    )
    assert set(DEFAULT_KEYS) == {
        "gates", "interval", "timeout", "initial_delay", "failure_threshold", "success_threshold",
    }  # fmt: skip


def test_a_rule_across_keys_is_asked_of_the_defaults_too() -> None:
    assert problems("defaults: {timeout: 20s}\nchecks: [{name: a, type: ping}]") == [
        "c.yaml:2:10: checks.a: is asked more often than it may take to answer"
    ]


def test_a_default_that_has_a_problem_makes_no_other_one() -> None:
    assert problems("defaults: {timeout: x}\nchecks: [{name: a, type: ping}]") == [
        f"c.yaml:1:21: defaults.timeout: {NO_DURATION}"
    ]


@pytest.mark.parametrize("gate", ["startup", "readiness", "[liveness, readiness]"])
def test_one_check_that_gates_startup_or_readiness_is_enough(gate: str) -> None:
    assert problems(f"- {{name: a, type: ping, gates: none}}\n- {{name: b, type: ping, gates: {gate}}}") == []


NOTHING_GATES = (
    "nothing gates startup or readiness, so that a broken pod would be ready; "
    "write gates: startup or gates: readiness at a check, or ungated: true if it is meant"
)


@pytest.mark.parametrize("gate", ["none", "liveness"])
def test_a_configuration_that_gates_nothing_is_refused_unless_it_says_so(gate: str) -> None:
    checks = f"checks: [{{name: a, type: ping, gates: {gate}}}]"

    assert problems(checks) == [f"c.yaml:1:1: {NOTHING_GATES}"]
    assert problems(f"ungated: false\n{checks}") == [f"c.yaml:1:1: {NOTHING_GATES}"]
    assert problems(f"ungated: true\n{checks}") == []


def test_other_problems_come_before_the_question_of_gates() -> None:
    assert problems("- {name: a, type: ping, gates: none, interval: x}") == [
        f"c.yaml:1:48: checks.a.interval: {NO_DURATION}"
    ]


def advice(text: str) -> list[str]:
    """Return the advice that a configuration gets."""
    return [str(each) for each in read(text).advice]


DEFAULT_GATES = (
    "was left to the default, readiness: an outage of a.example takes every replica out of the endpoints; "
    "write gates: startup to hold back a broken rollout only, or gates: readiness if meant"
)
LIVENESS = (
    "an outage of b.example would restart the app, which cures nothing; "
    "liveness is for the app itself: write gates: readiness or gates: startup"
)


def test_a_remote_check_is_advised_about_its_gates() -> None:
    assert advice(
        """
        - {name: a, type: store, url: "store://a.example"}
        - {name: b, type: store, url: "store://b.example", gates: [liveness, startup]}
        - {name: c, type: store, url: "store://c.example", gates: readiness}
        - {name: d, type: ping}
        - {name: e, type: ping, gates: liveness}
        - {name: f, type: store, url: "unix:///run/f"}
        """
    ) == [
        f"c.yaml:2:3: checks.a.gates: {DEFAULT_GATES.replace('a.example', 'a.example:7000')}",
        f"c.yaml:3:3: checks.b.gates: {LIVENESS.replace('b.example', 'b.example:7000')}",
    ]


def test_gates_that_stand_in_the_defaults_block_are_no_default() -> None:
    assert advice('defaults: {gates: readiness}\nchecks: [{name: a, type: store, url: "store://a"}]') == []


def test_secrets_and_files_are_known_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")

    config = read(
        f"""
        - name: a
          type: ping
          words: [say, "${{WORD}}"]
          extras: {{authorization: "Bearer ${{BEARER}}"}}
          token: ${{file:{tmp_path}/token}}
          token_file: /run/token
          pattern: a${{PATTERN}}
          tls: {{ca: /ca.pem, cert: /cert.pem, key: /key.pem}}
          description: ${{DESCRIPTION}}
        - name: b
          type: store
          url: store://${{USER}}:${{PASSWORD}}@b/${{PATH}}?sig=literal%20sig&key=${{KEY}}
          gates: startup
        """,
        WORD="a-word", BEARER="a-bearer", PATTERN="a-pattern", DESCRIPTION="public",
        USER="a-user", PASSWORD="a/password", PATH="a-path", KEY="a-key",
    )  # fmt: skip

    assert config.secrets == {
        "a-word", "a-bearer", "from-a-file", "a-pattern",
        "a-user", "a/password", "a-path", "/a-path", "literal%20sig", "literal sig", "a-key",
    }  # fmt: skip
    assert config.files == {
        tmp_path / "token", *map(Path, ["/run/token", "/ca.pem", "/cert.pem", "/key.pem"])
    }  # fmt: skip


def test_names_are_compared_as_they_turn_out() -> None:
    same = "- {name: a-eu, type: ping}\n- {name: 'a-${REGION}', type: ping}"

    assert problems(same, REGION="us") == []
    assert problems(same, REGION="eu") == [
        "c.yaml:2:10: checks[1].name: the check in line 1 has this name too; write another"
    ]


def test_names_that_have_a_problem_are_not_compared() -> None:
    text = "- {name: '${UNSET}', type: ping}\n- {name: '${UNSET}', type: ping}\n- {name: [a], type: ping}\n"

    assert problems(text + "- {name: '', type: ping}\n- {name: '', type: ping}") == [
        "c.yaml:1:10: checks[0].name: the variable UNSET is not set; set it, or write ${UNSET:-default}",
        "c.yaml:2:10: checks[1].name: the variable UNSET is not set; set it, or write ${UNSET:-default}",
        "c.yaml:3:10: checks[2].name: is a list; write a single value",
        *(f"c.yaml:{line}:10: checks[{line - 1}].name: '' {NO_NAME}" for line in (4, 5)),
    ]


def test_a_name_that_a_merge_brings_is_a_name() -> None:
    assert problems("- <<: {name: a}\n  type: ping\n- <<: {name: a}\n  type: ping\n  hops: x") == [
        "c.yaml:3:14: checks[1].name: the check in line 1 has this name too; write another",
        "c.yaml:5:9: checks[1].hops: 'x' is not a whole number from 0 to 2147483647",
    ]


def test_a_check_of_an_unknown_type_is_read_as_far_as_it_is_known() -> None:
    assert problems("- {name: A, type: pong, interval: x, colour: red, gates: startup}") == [
        f"c.yaml:1:10: checks[0].name: 'A' {NO_NAME}",
        "c.yaml:1:19: checks[0].type: " + unknown("check type", "pong", ["ping", "store"]),
        f"c.yaml:1:35: checks[0].interval: {NO_DURATION}",
    ]


def test_a_type_that_cannot_be_read_is_one_problem() -> None:
    assert problems("- {name: a, type: [ping]}") == [
        "c.yaml:1:19: checks.a.type: is a list; write a single value"
    ]


def test_a_type_may_come_from_outside() -> None:
    assert read("- {name: a, type: '${TYPE}'}", TYPE="ping").checks[0].type == "ping"


def test_each_type_is_looked_for_once() -> None:
    asked = []

    class Noting:
        def find(self, name: str) -> CheckType[Any] | None:
            asked.append(name)
            return TYPES.find(name)

        def names(self) -> Sequence[str]:
            asked.append("all")
            return TYPES.names()

    text = "".join(f"- {{name: a{i}, type: ping}}\n- {{name: b{i}, type: pong}}\n" for i in range(9))
    with pytest.raises(Exception, match="unknown check type 'pong'"):
        load(Source("c.yaml", text.encode()), Noting(), {})

    assert sorted(asked) == ["all", "ping", "pong"]


def test_a_thousand_checks_are_read() -> None:
    text = "".join(f"- {{name: a{i}, type: ping, words: [x, y], tls: {{}}}}\n" for i in range(1000))

    assert len(read(text).checks) == 1000


def test_windows_line_ends_are_line_ends() -> None:
    assert [check.name for check in read("- name: a\r\n  type: ping\r\n").checks] == ["a"]
