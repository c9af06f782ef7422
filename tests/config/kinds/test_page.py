"""The URL of a page, which people are told and a browser opens."""

import pytest

from sidecar.config.kinds.page import REVISION, PageKind
from sidecar.config.problems import Mistake
from tests.config.world import scalar

BUILD, COMMIT = PageKind(), PageKind((REVISION,))
ENVIRON = {"SITE": "https://git.test", "PASSWORD": "hunter2", "HARD": "a/b@c", "SCRIPT": "javascript:x"}
NO_SCHEME = "has no scheme; write https://… or http://…"
USERINFO = "has a user or a password, which everybody would be told; remove it"


@pytest.mark.parametrize(
    "raw",
    [
        "https://git.test/shop/commit/abc?a=b&c=d#step:1",
        "http://[::1]:8080/@ada/-/jobs",
        "https://git.test",
        "https://git.test/ünder",
    ],
)
def test_an_address_in_the_web_is_one(raw: str) -> None:
    assert BUILD.parse(scalar(raw)) == raw


def test_the_page_of_a_commit_has_a_place_for_the_revision() -> None:
    raw = "${SITE}/commit/{revision}?rev={revision}"

    assert COMMIT.parse(scalar(raw, **ENVIRON)) == "https://git.test/commit/{revision}?rev={revision}"


@pytest.mark.parametrize(
    ("kind", "raw", "sentence"),
    [
        (COMMIT, "", NO_SCHEME),
        (COMMIT, "nope", NO_SCHEME),
        (COMMIT, "{revision}", NO_SCHEME),
        (COMMIT, "javascript:alert(1)", NO_SCHEME),
        (COMMIT, "${SCRIPT}", NO_SCHEME),
        (COMMIT, "javascript://x/%0Aalert(1)", "'javascript://x/%0Aalert(1)' has another scheme; write"),
        (COMMIT, "https:///commit", "'https:///commit' names no host"),
        (COMMIT, "https://{revision}.test/", "'https://{revision}.test/' has no valid host; write"),
        (COMMIT, "https://git.test:0/", "'https://git.test:0/' has a port out of range"),
        (COMMIT, "https://ada:hunter2@git.test/", f"'https://***@git.test/' {USERINFO}"),
        (COMMIT, "https://${PASSWORD}@git.test/", f"'https://***@git.test/' {USERINFO}"),
        (COMMIT, "https://ada:${HARD}@git.test/", "'https://***@git.test/' is not a URL; write"),
        (COMMIT, "https://git.test/a b", "'https://git.test/a ***' has a blank or a control character"),
        (COMMIT, "https://git.test/a\tb", "'https://git.test/a\\t***' has a blank or a control character"),
        (
            COMMIT,
            "https://git.test/{rev}",
            "'https://git.test/{rev}' has '{rev}', which stands for nothing here; write {revision}, or %7B",
        ),
        (COMMIT, "https://git.test/{revision", "'https://git.test/{revision' has '{revision', which"),
        (
            BUILD,
            "https://git.test/{revision}",
            (
                "'https://git.test/{revision}' has '{revision}', which stands for nothing here; "
                "write %7B and %7D for the braces"
            ),
        ),
    ],
)
def test_anything_else_is_refused(kind: PageKind, raw: str, sentence: str) -> None:
    with pytest.raises(Mistake) as refused:
        kind.parse(scalar(raw, **ENVIRON))

    assert refused.value.sentence[: len(sentence)] == sentence
    assert "hunter2" not in refused.value.sentence
