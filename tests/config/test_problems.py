"""How a problem is said: where, what was read, which rule."""

import pytest

from sidecar.config.problems import ConfigError, Mistake, Place, Problem, listed, quoted, unknown


def test_a_place_is_written_as_editors_and_compilers_write_it() -> None:
    assert str(Place("config.yaml", 3, 7)) == "config.yaml:3:7"
    assert str(Place("config.yaml")) == "config.yaml"


def test_a_problem_says_where_on_which_way_and_what() -> None:
    assert str(Problem(Place("c", 1, 2), "checks.a", "is wrong")) == "c:1:2: checks.a: is wrong"
    assert str(Problem(Place("c"), "", "is empty")) == "c: is empty"


def test_a_problem_is_one_line_that_no_terminal_obeys() -> None:
    assert str(Problem(Place("c"), "a\nb", "is \x1b[2Jgone\r\n")) == "c: a b: is [2Jgone"


def test_a_problem_does_not_fill_the_screen() -> None:
    assert len(str(Problem(Place("c"), "", "x" * 5000))) == 2000


def test_problems_come_in_the_order_of_the_file() -> None:
    first, second, third = (Problem(Place("c", *at), "", "x") for at in [(0, 0), (2, 9), (10, 1)])

    error = ConfigError([third, first, second])

    assert error.problems == (first, second, third)
    assert str(error) == "c: x\nc:2:9: x\nc:10:1: x"


def test_a_mistake_is_its_sentence() -> None:
    assert str(Mistake("is wrong", key="port")) == "is wrong"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10", "'10'"),
        ("it's", "'it's'"),
        (r"\d+", r"'\d+'"),
        ("a\nb\x1b[31m\u202e", r"'a\nb\x1b[31m\u202e'"),
        ("x" * 60, f"'{'x' * 60}'"),
        ("x" * 61, f"'{'x' * 59}…'"),
        ("redis://redis:6379/0", "'redis://redis:6379/0'"),
        ("redis://[::1]:6379/0", "'redis://[::1]:6379/0'"),
        ("redis://[::1]", "'redis://[::1]'"),
        ("redis://redis:${PORT}/0", "'redis://redis:${PORT}/0'"),
        ("redis://redis:6379#x", "'redis://redis:6379#x'"),
        ("redis://redis:6379?x", "'redis://redis:6379?***'"),
        ("${URL:-redis://redis:6379}", "'${URL:-redis://redis:6379}'"),
        ("10:30", "'10:30'"),
    ],
)
def test_a_value_is_shown_as_it_stands_in_the_file(text: str, shown: str) -> None:
    assert quoted(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://user:SECRET@redis/0", "'redis://***@redis/0'"),
        ("redis://:SEC@RET@redis/0", "'redis://***@redis/0'"),
        ("redis://SEC/RET@redis", "'redis://***@redis'"),
        ("redis://SEC\nRET@redis", "'redis://***@redis'"),
        ("unknown+scheme-1.0://SECRET@x", "'unknown+scheme-1.0://***@x'"),
        ("${URL:-redis://SECRET@redis}", "'${URL:-redis://***@redis}'"),
        ("SECRET://x@y", "'SECRET://***@y'"),  # nothing tells it from a scheme
        ("SE CRET://x@y", "'***@y'"),
        ("user:SECRET@redis", "'***@redis'"),
        ("redis://:SECRET", "'redis://:***'"),
        ("redis://user:SECRET/0", "'redis://user:***/0'"),
        ("redis://user:1SECRET", "'redis://user:***'"),
        ("redis://[::1]:SECRET", "'redis://[::1]:***'"),
        ("redis://user:x@redis:SECRET", "'redis://***@redis:***'"),
        ("http://search/?token=SECRET", "'http://search/?***'"),
        ("http://search/?a=\nSECRET", "'http://search/?***'"),
        ("redis://redis password: SECRET", "'redis://redis ***'"),
        (f"redis://{'x' * 300}SECRET@redis", "'redis://***@redis'"),
    ],
)
def test_a_value_is_shown_without_what_may_be_a_secret(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_choices_are_listed_as_prose() -> None:
    assert [listed(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a or b", "a, b or c"]


def test_an_unknown_word_is_told_the_nearest_one() -> None:
    assert unknown("key", "prot", ["host", "port"]) == (
        "unknown key 'prot'; did you mean 'port'? choose from host, port"
    )
    assert (
        unknown("choice", "JSON", ["json"]) == "unknown choice 'JSON'; did you mean 'json'? choose from json"
    )
    assert unknown("key", "zzz", ["host", "port"]) == "unknown key 'zzz'; choose from host, port"
