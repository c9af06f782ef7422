"""What each kind of value makes of a text, shows, hides, and refuses."""

import re
from enum import StrEnum
from typing import Any

import pytest

from sidecar.config.fields import NAME
from sidecar.config.kinds.choice import BooleanKind, ChoiceKind
from sidecar.config.kinds.host import HostKind
from sidecar.config.kinds.kind import Kind, shown
from sidecar.config.kinds.number import DurationKind, IntegerKind
from sidecar.config.kinds.secret import Secret, SecretKind
from sidecar.config.kinds.text import FilePathKind, PatternKind, RegexKind, TextKind
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.problems import Mistake
from tests.config.world import Mode, scalar

HOSTS = "write a host name or an IP address, and no port beside it"
DURATIONS = "write a whole number and one unit, such as 500ms, 10s, 5m or 1h"
LONGEST = ".".join(["a" * 61, *["a" * 63] * 3])
ENVIRON = {"SECRET": "s3cret", "EMPTY": "", "SECONDS": "10s", "BRACKET": "(s3cret"}


class Silence(StrEnum):
    """A set of choices with a none of its own."""

    NONE = "none"


def refusal(kind: Kind[Any], raw: str) -> str:
    """Return the sentence with which `kind` refuses `raw`."""
    with pytest.raises(Mistake) as refused:
        kind.parse(scalar(raw, **ENVIRON))
    return refused.value.sentence


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (TextKind(), "no", "no"),
        (TextKind(), " two\nlines ", " two\nlines "),
        (TextKind(may_be_empty=True), "", ""),
        (SecretKind(), "${SECRET}", Secret("s3cret")),
        (PatternKind("a+", "of a"), "aa", "aa"),
        (NAME, "session-store-2", "session-store-2"),
        (NAME, "a" * 63, "a" * 63),
        (HostKind(), "redis", "redis"),
        (HostKind(), "_sip.example.com.", "_sip.example.com."),
        (HostKind(), "a-b.c_d.0x1f.example", "a-b.c_d.0x1f.example"),
        (HostKind(), "10.0.0.1", "10.0.0.1"),
        (HostKind(), "::1", "::1"),
        (HostKind(), "[::1]", "::1"),
        (HostKind(), "fe80::1%eth0.1", "fe80::1%eth0.1"),
        (HostKind(), LONGEST, LONGEST),
        (HostKind(), f"{LONGEST}.", f"{LONGEST}."),
        (FilePathKind(), "/etc/tls/ca.pem", "/etc/tls/ca.pem"),
        (RegexKind(), "a+", re.compile("a+")),
        (DurationKind(), "500ms", 0.5),
        (DurationKind(), "0s", 0.0),
        (DurationKind(), "10s", 10.0),
        (DurationKind(), "${SECONDS}", 10.0),
        (DurationKind(), "5m", 300.0),
        (DurationKind(), "24h", 86400.0),
        (DurationKind(at_least=0.05), "50ms", 0.05),
        (IntegerKind(), "0", 0),
        (IntegerKind(), "2147483647", 2147483647),
        (IntegerKind(at_least=-5), "-5", -5),
        (IntegerKind(at_least=1, at_most=3), "1", 1),
        (IntegerKind(at_least=1, at_most=3), "3", 3),
        (BooleanKind(), "true", True),
        (BooleanKind(), "false", False),
        (ChoiceKind(Mode), "deep", Mode.DEEP),
        (ChoiceKind(Mode, may_be_none=True), "none", None),
        (ChoiceKind(Silence), "none", Silence.NONE),
        (ChoiceKind(Mode, may_be_none=True), "deep", Mode.DEEP),
    ],
)
def test_a_kind_reads_what_fits_its_rule(kind: Kind[Any], raw: str, value: object) -> None:
    assert kind.parse(scalar(raw, **ENVIRON)) == value


@pytest.mark.parametrize(
    ("kind", "raw", "sentence"),
    [
        (TextKind(), "${EMPTY}", "is empty; write a text, or leave the key out"),
        (
            SecretKind(),
            "",
            "is empty; write a secret such as ${file:/run/secrets/password}, or leave the key out",
        ),
        (PatternKind("a+", "of a"), "ab", "'ab' is not of a"),
        (FilePathKind(), "ca.pem", "'ca.pem' is not an absolute path; write one that begins with a slash"),
        (
            FilePathKind(),
            "${SECRET}",
            "'${SECRET}' is not an absolute path; write one that begins with a slash",
        ),
        (RegexKind(), "", "is empty, which matches everything; write a regular expression"),
        (
            RegexKind(),
            "(",
            "'(' is not a regular expression: missing ), unterminated subpattern at position 0",
        ),
        (RegexKind(), "${BRACKET}", "'${BRACKET}' is not a regular expression"),
        (DurationKind(), "1d", f"'1d' is not a duration; {DURATIONS}"),
        (DurationKind(), "1.5s", f"'1.5s' is not a duration; {DURATIONS}"),
        (DurationKind(), "1m30s", f"'1m30s' is not a duration; {DURATIONS}"),
        (DurationKind(), "1000000000ms", f"'1000000000ms' is not a duration; {DURATIONS}"),
        (DurationKind(), "s", f"'s' is not a duration; {DURATIONS}"),
        (DurationKind(), "", f"'' is not a duration; {DURATIONS}"),
        (DurationKind(), "10s\n", f"'10s\\n' is not a duration; {DURATIONS}"),
        (DurationKind(), "10", f"'10' is not a duration; {DURATIONS}; did you mean '10s'?"),
        (DurationKind(), "25h", "'25h' is out of range; write a duration from 0s to 24h"),
        (
            DurationKind(at_least=0.05, at_most=60),
            "49ms",
            "'49ms' is out of range; write a duration from 50ms to 1m",
        ),
        (IntegerKind(at_most=9), "10", "'10' is out of range; write a number from 0 to 9"),
        (IntegerKind(at_most=9), "-1", "'-1' is out of range; write a number from 0 to 9"),
        (IntegerKind(at_most=9), "1.0", "'1.0' is not a whole number from 0 to 9"),
        (IntegerKind(at_most=9), "٣", "'٣' is not a whole number from 0 to 9"),
        (IntegerKind(at_most=9), "-0", "'-0' is not a whole number from 0 to 9"),
        (IntegerKind(at_most=9), "9" * 5000, f"'{'9' * 59}…' is not a whole number from 0 to 9"),
        (
            IntegerKind(at_most=9),
            "010",
            "'010' is not a whole number from 0 to 9; leave the leading zeros out",
        ),
        (IntegerKind(at_most=9), "0x1", "'0x1' is not a whole number from 0 to 9"),
        (BooleanKind(), "yes", "'yes' is neither true nor false; did you mean 'true'?"),
        (BooleanKind(), "ON", "'ON' is neither true nor false; did you mean 'true'?"),
        (BooleanKind(), "off", "'off' is neither true nor false; did you mean 'false'?"),
        (BooleanKind(), "False", "'False' is neither true nor false; did you mean 'false'?"),
        (BooleanKind(), "maybe", "'maybe' is neither true nor false"),
        (ChoiceKind(Mode), "dep", "unknown choice 'dep'; did you mean 'deep'? choose from shallow, deep"),
        (ChoiceKind(Mode), "none", "unknown choice 'none'; choose from shallow, deep"),
        (
            ChoiceKind(Mode, may_be_none=True),
            "${SECRET}",
            "unknown choice '${SECRET}'; choose from shallow, deep, none",
        ),
    ],
)
def test_a_kind_says_why_it_refuses(kind: Kind[Any], raw: str, sentence: str) -> None:
    assert refusal(kind, raw) == sentence


@pytest.mark.parametrize(
    "host",
    [
        "",
        "redis:6379",
        "http://redis",
        "a..b",
        ".a",
        "a b",
        "a\n",
        "-a",
        "a-",
        "a.-b",
        "a" * 64,
        f"a{LONGEST}",
        f"a{LONGEST}.",
        "x::1]",
        "10.0.0.256",
        "10.0.0",
        "1",
        "10.0.0.1.",
        "10.0.0.1%eth0",
        "::1%",
        "::1%a b",
        "::1%\x1b",
        "[redis]",
        "[::1",
        "]::1[",
        "[[::1]]",
        "münchen.example",
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    assert refusal(HostKind(), host) == f"{shown(scalar(host))} is not a host; {HOSTS}"


@pytest.mark.parametrize(
    "name", ["Mail", "mail.example", "mail_server", "-a", "a-", "", "a" * 64, "a\n", "ä"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    assert refusal(NAME, name) == (
        f"{shown(scalar(name))} is not a DNS label; write at most 63 lower-case letters, digits and dashes, "
        "such as 'session-store'"
    )


@pytest.mark.parametrize("expression", ["a{99999999999999999999}", "(" * 10_000 + ")" * 10_000, r"\q", "*"])
def test_what_python_cannot_compile_is_no_regular_expression(expression: str) -> None:
    assert "is not a regular expression: " in refusal(RegexKind(), expression)


def test_a_regular_expression_that_a_future_python_may_read_otherwise_is_accepted() -> None:
    assert RegexKind().parse(scalar("[[a]]")).pattern == "[[a]]"


@pytest.mark.parametrize(
    ("kind", "raw", "secrets"),
    [
        (TextKind(), "a ${SECRET} b ${SECONDS}", ["s3cret", "10s"]),
        (TextKind(), "literal", []),
        (TextKind(is_public=True), "${SECRET}", []),
        (SecretKind(), "a ${SECRET}", ["a s3cret"]),
        (SecretKind(), "literal", ["literal"]),
        (RegexKind(), "a${SECRET}", ["s3cret"]),
        (NAME, "${SECRET}", []),
        (HostKind(), "${SECRET}", []),
        (FilePathKind(), "/${SECRET}", []),
        (DurationKind(), "${SECONDS}", []),
        (IntegerKind(), "${SECRET}", []),
        (BooleanKind(), "${SECRET}", []),
        (ChoiceKind(Mode), "${SECRET}", []),
    ],
)
def test_a_kind_knows_what_must_never_be_shown(kind: Kind[Any], raw: str, secrets: list[str]) -> None:
    assert list(kind.secrets(scalar(raw, **ENVIRON))) == secrets


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (TextKind(), "a", "a"),
        (SecretKind(), Secret("a"), "***"),
        (RegexKind(), re.compile("a+"), "a+"),
        (DurationKind(), 0.5, "500ms"),
        (DurationKind(), 300.0, "5m"),
        (IntegerKind(), 7, "7"),
        (BooleanKind(), True, "true"),
        (BooleanKind(), False, "false"),
        (ChoiceKind(Mode), Mode.DEEP, "deep"),
    ],
)
def test_a_kind_shows_a_value_as_the_configuration_writes_it(
    kind: Kind[Any], value: object, text: str
) -> None:
    assert kind.show(value) == text


TEXT = ["string", "number", "boolean"]
PLACEHOLDER = {"type": "string", "pattern": r"\$\{"}


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (TextKind(), {"type": TEXT, "minLength": 1}),
        (TextKind(may_be_empty=True), {"type": TEXT}),
        (SecretKind(), {"type": TEXT, "minLength": 1, "writeOnly": True}),
        (PatternKind("a|b", "of a"), {"anyOf": [{"type": TEXT, "pattern": "^(?:a|b)$"}, PLACEHOLDER]}),
        (HostKind(), {"type": TEXT, "minLength": 1}),
        (FilePathKind(), {"type": "string", "pattern": r"^(/|\$\{)"}),
        (RegexKind(), {"type": TEXT, "minLength": 1}),
        (
            DurationKind(),
            {
                "type": "string",
                "pattern": r"^[0-9]{1,9}(ms|s|m|h)$|\$\{",
                "examples": ["500ms", "10s", "5m"],
            },
        ),
        (
            IntegerKind(at_least=1, at_most=9),
            {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, PLACEHOLDER]},
        ),
        (BooleanKind(), {"anyOf": [{"type": "boolean"}, PLACEHOLDER]}),
        (ChoiceKind(Mode), {"anyOf": [{"enum": ["shallow", "deep"]}, PLACEHOLDER]}),
        (
            ChoiceKind(Mode, may_be_none=True),
            {"anyOf": [{"enum": ["shallow", "deep", "none"]}, PLACEHOLDER]},
        ),
        (
            UrlKind((("redis+tls", 1), ("unix", None))),
            {"type": "string", "pattern": r"^(redis\+tls|unix)://|\$\{"},
        ),
    ],
)
def test_a_kind_describes_itself_to_editors(kind: Kind[Any], schema: dict[str, Any]) -> None:
    assert kind.describe() == schema


def test_a_secret_shows_stars_and_reveals_its_text_to_whoever_says_so() -> None:
    secret = Secret("s3cret")

    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"
    assert secret.reveal() == "s3cret"


def test_secrets_are_equal_when_their_texts_are() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_a_url_gives_drivers_and_people_what_each_may_have() -> None:
    url = Url(
        scheme="redis",
        host="::1",
        port=6379,
        username="u",
        password=Secret("s3cret"),
        path="/0",
        query="token=s3cret",
    )

    assert url.address == "[::1]:6379"
    assert url.bare == "redis://[::1]:6379/0?token=s3cret"
    assert f"{url} {url!r}" == "redis://[::1]:6379/0 redis://[::1]:6379/0"


def test_a_url_without_port_and_query_is_written_without_them() -> None:
    assert Url(scheme="http", host="a", path="/x").bare == "http://a/x"


def test_the_address_of_a_socket_file_is_its_path() -> None:
    assert Url(scheme="unix", host="", path="/run/my%20redis.sock").address == "/run/my redis.sock"


def test_a_path_from_outside_is_not_shown() -> None:
    assert str(Url(scheme="https", host="hooks", path="/s3cret", hides_path=True)) == "https://hooks/***"
