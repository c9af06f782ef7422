"""What holds for every text, and for every run of bytes."""

import contextlib
from urllib.parse import unquote

from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.config.document import compose
from sidecar.config.fields import NAME
from sidecar.config.interpolate import Outside, Part, Scalar, interpolate
from sidecar.config.kinds.choice import BooleanKind, ChoiceKind
from sidecar.config.kinds.host import HostKind
from sidecar.config.kinds.kind import Kind
from sidecar.config.kinds.number import DurationKind, IntegerKind
from sidecar.config.kinds.secret import SecretKind
from sidecar.config.kinds.text import FilePathKind, RegexKind, TextKind
from sidecar.config.kinds.url import UrlKind
from sidecar.config.load import load
from sidecar.config.problems import ConfigError, Mistake, quoted
from sidecar.config.source import Source
from sidecar.support.text import Redactor
from tests.config.world import TYPES, Mode, PingConfig, StoreConfig, read
from tests.fuzz.bench import told_of, within
from tests.fuzz.profile import tries

URLS = UrlKind((("store", 7000), ("unix", None)))
KINDS = st.sampled_from(
    [
        TextKind(),
        TextKind(is_public=True, may_be_empty=True),
        SecretKind(),
        NAME,
        HostKind(),
        FilePathKind(),
        RegexKind(),
        DurationKind(),
        IntegerKind(),
        BooleanKind(),
        ChoiceKind(Mode),
        ChoiceKind(Mode, may_be_none=True),
        URLS,
    ]
)
SYNTAX = st.sampled_from(
    [
        "store://", "unix://", "://", ":", "@", "/", "?", "#", "%", "%41", "[", "]", "::1", "1", "10s", "a",
        "${", "}", "$${", "${A}", "${A:-b}", "-", ".", " ", "\n", "\x1b", "(", "*", "{9999999999}", "true",
    ]
)  # fmt: skip
LIKELY = st.lists(SYNTAX, max_size=12).map("".join)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
YAML = st.sampled_from(
    [
        "checks:", "- ", "\n", "\n  ", "\n- ", "name: ", "type: ", "ping", "store", "url: ", "store://u:p@h/x",
        "gates: ", "interval: ", "defaults:", "tls:", "{", "}", "[", "]", ", ", ": ", "&a ", "*a", "<<: ",
        "'", '"', "\\", "#", "|\n", ">\n", "? ", "---\n", "\t", "~", "10s", "${A}", "${", "${file:/dev/zero}",
        "!x ", "\ufeff", "\u2028", "\x85", "\0", "\x1b",
    ]
)  # fmt: skip
SECRET = "s3cret-of-\x1b[31m-nobody"
"""What comes from outside."""
DOCUMENTS = st.one_of(
    st.binary(), st.text().map(str.encode), st.lists(YAML, max_size=60).map("".join).map(str.encode)
)


@tries(100)
@given(KINDS, st.lists(st.builds(Part, st.one_of(st.text(), LIKELY), st.booleans()), max_size=4))
@example(URLS, [Part("store://"), Part("\ud800", is_interpolated=False), Part("@h")])
def test_every_kind_reads_any_text_or_refuses_it_with_a_mistake(
    kind: Kind[object], parts: list[Part]
) -> None:
    scalar = Scalar("".join(part.text for part in parts), tuple(parts))

    with within():
        with contextlib.suppress(Mistake):
            kind.show(kind.parse(scalar))
        assert all(isinstance(secret, str) for secret in kind.secrets(scalar))


CONTENTS = st.one_of(
    st.binary(max_size=50),
    st.text().map(str.encode),
    st.sampled_from(
        [SECRET.encode(), SECRET.encode() + b"\xff", SECRET.encode() + b"\0\r\n", b"\n", b"x" * 70_000]
    ),
)
"""Of secret files."""


@tries(300)
@given(st.one_of(st.text(), LIKELY), VALUES | st.just(SECRET), CONTENTS)
@example("${file:/f}", "", SECRET.encode() + b"\xff")
@example("${A}${", SECRET, b"")
@example("${" * 10_000, "", b"")
def test_any_text_is_interpolated_or_refused_with_a_mistake(raw: str, value: str, content: bytes) -> None:
    told = ""
    with within():
        try:
            found = interpolate(raw, Outside({"A": value}, lambda _path: content))
        except Mistake as mistake:
            told = str(mistake)
        else:
            assert all(text in found.text for text in found.interpolated())
            told = repr(found)

    assert not told_of(SECRET, told)


@tries(100)
@given(st.one_of(st.text(), LIKELY))
def test_whatever_is_quoted_is_short_and_stays_on_its_line(text: str) -> None:
    with within():
        shown = quoted(text)

    assert shown.isprintable()
    assert len(shown) <= 2 + 60 * len(r"\U0010ffff")


@tries(100)
@given(VALUES)
def test_a_value_from_outside_never_changes_the_structure(value: str) -> None:
    config = read("- {name: a, type: ping, words: ['${A}', 'x${A}y'], extras: {k: '${A}'}}", A=value)

    [check] = config.checks
    assert isinstance(check, PingConfig)
    assert (check.words, check.extras) == ((value, f"x{value}y"), {"k": value})


@tries(100)
@given(VALUES, VALUES)
def test_userinfo_from_outside_survives_whatever_characters_it_has(user: str, password: str) -> None:
    config = read("- {name: a, type: store, url: 'store://${U}:${P}@h:1/x'}", U=user, P=password)

    [check] = config.checks
    assert isinstance(check, StoreConfig)
    assert check.url.password is not None
    assert (check.url.username, check.url.password.reveal()) == (user, password)
    assert (check.url.host, check.url.port, check.url.path) == ("h", 1, "/x")


@tries(100)
@given(VALUES, VALUES)
def test_a_password_may_be_put_together_from_pieces(one: str, other: str) -> None:
    url = URLS.parse(interpolate("store://:${A}-${B}@h", Outside({"A": one, "B": other})))

    assert url.password is not None
    assert url.password.reveal() == f"{one}-{other}"


LONG = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=4).filter(
    lambda text: text not in {"true", "false", "null", "none"} and "***" not in text
)


@tries(100)
@given(LONG, LONG, LONG, LONG)
def test_every_secret_of_a_configuration_is_blotted_out(
    bearer: str, user: str, password: str, key: str
) -> None:
    config = read(
        """
        - {name: a, type: ping, extras: {authorization: "Bearer ${BEARER}"}, token: "${KEY}"}
        - {name: b, type: store, url: "store://${USER}:${PASSWORD}@h/?sig=literal"}
        """,
        BEARER=bearer, USER=user, PASSWORD=password, KEY=key,
    )  # fmt: skip

    assert {bearer, user, password, key, "literal"} <= config.secrets
    redact = Redactor(config.secrets)
    assert [redact(secret) for secret in (bearer, user, password, key, "literal")] == ["***"] * 5


@tries(300)
@given(DOCUMENTS)
@example(b"- &a {<<: *a}")
@example(b'- {name: a, type: ping, note: "${file:/\\0}"}')
def test_any_bytes_are_a_configuration_or_refused_soon(content: bytes) -> None:
    lines = ["accepted"]
    with within():
        try:
            load(Source("c.yaml", content), TYPES, {"A": SECRET})
        except ConfigError as error:
            lines = [str(problem) for problem in error.problems]

    assert lines
    assert all(line.isprintable() and not told_of(SECRET, line) for line in lines)


@tries(100)
@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_what_yaml_can_quote_is_read_as_it_was(text: str) -> None:
    quoted_text = "".join(f"\\U{ord(each):08x}" for each in text)

    with within():
        root = compose("c.yaml", f'"{quoted_text}"'.encode())

    assert root is not None
    assert root.value == text


@tries(100)
@given(st.text())
def test_a_password_that_is_percent_encoded_by_hand_is_decoded(text: str) -> None:
    written = "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))

    pieces = URLS.parse(interpolate(f"store://u:{written}@h", Outside({})))

    assert (pieces.password.reveal() if pieces.password else "") == unquote(written)
