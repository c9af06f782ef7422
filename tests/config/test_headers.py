"""Headers and tokens: never shown, and never more than one header."""

import pytest

from sidecar.config.headers import NOT_YOURS, HeaderKind, TokenKind, header_rules
from sidecar.config.interpolate import Outside, Scalar, interpolate
from sidecar.config.kinds.secret import Secret
from sidecar.config.problems import Mistake


def scalar(text: str) -> Scalar:
    return interpolate(text, Outside({"KEY": "hunter2"}))


def test_a_header_is_kept_behind_stars() -> None:
    value = HeaderKind().parse(scalar("Bearer hunter2"))

    assert (value, HeaderKind().show(value)) == (Secret("Bearer hunter2"), "***")


@pytest.mark.parametrize(
    ("written", "secrets"),
    [
        ("https", ()),
        ("${KEY}", ("hunter2",)),
        ("Bearer abc", ("abc",)),
        ("token ${KEY}", ("hunter2", "hunter2")),
    ],
)
def test_credentials_of_a_header_are_secret(written: str, secrets: tuple[str, ...]) -> None:
    assert tuple(HeaderKind().secrets(scalar(written))) == secrets


@pytest.mark.parametrize("text", ["a\nb", "a\rb"])
def test_a_header_is_one_line(text: str) -> None:
    with pytest.raises(Mistake, match="holds a line break"):
        HeaderKind().parse(scalar(text))


@pytest.mark.parametrize("text", ["a\nb", "tok\u00e9n"])
def test_a_token_is_one_line_of_ascii(text: str) -> None:
    with pytest.raises(Mistake, match="that no token has"):
        TokenKind().parse(scalar(text))


def test_a_token_is_secret_as_a_whole() -> None:
    assert TokenKind().parse(scalar("xoxb-${KEY}")) == Secret("xoxb-hunter2")
    assert tuple(TokenKind().secrets(scalar("xoxb-${KEY}"))) == ("xoxb-hunter2",)
    with pytest.raises(Mistake, match="is empty"):
        TokenKind().parse(scalar(""))


def test_names_are_tokens_and_some_are_not_yours() -> None:
    mistakes = [(each.sentence, each.key) for each in header_rules(["x y", "Connection", "x-a"], NOT_YOURS)]

    assert mistakes == [
        ("'x y' is not the name of a header", "headers"),
        ("Connection cannot be set here: it is always close", "headers"),
    ]


def test_a_schema_says_that_they_are_not_to_be_read() -> None:
    assert HeaderKind().describe()["writeOnly"] is True
    assert TokenKind().describe()["writeOnly"] is True
