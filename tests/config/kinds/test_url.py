"""URLs: their pieces, their secrets, and what is said of those that are none."""

import pytest

from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.problems import Mistake
from tests.config.world import scalar

KIND = UrlKind((("redis", 6379), ("rediss", 6380), ("unix", None)))
ENVIRON = {
    "URL": "redis://user:pass%40word@redis:7000/3?x=y",
    "SCHEME": "rediss",
    "HOST": "redis-0",
    "PORT": "7001",
    "EMPTY": "",
    "USER": "us/er",
    "PASSWORD": "p@:/?#% w",
    "TOKEN": "t0ken",
    "PATHS": "/a%2Fb",
}


def parse(raw: str) -> Url:
    """Return the URL that `raw` holds."""
    return KIND.parse(scalar(raw, **ENVIRON))


def secrets(raw: str) -> set[str]:
    """Return what of `raw` must not be shown."""
    return set(KIND.secrets(scalar(raw, **ENVIRON))) - {""}


def redis(**pieces: object) -> Url:
    """Return a URL that differs in these pieces."""
    return Url(**{"scheme": "redis", "host": "redis", "port": 6379, **pieces})  # type: ignore[arg-type]


def unix(**pieces: object) -> Url:
    """Return the URL of a socket file."""
    return redis(scheme="unix", host="", port=None, **pieces)


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        ("redis://redis", redis()),
        ("REDIS://redis", redis()),
        ("redis://redis:", redis()),
        ("redis://redis/", redis(path="/")),
        ("redis://redis:1", redis(port=1)),
        ("redis://redis:65535", redis(port=65535)),
        ("rediss://redis", redis(scheme="rediss", port=6380)),
        ("redis://[::1]:7/2", redis(host="::1", port=7, path="/2")),
        ("redis://redis?a=b", redis(query="a=b")),
        ("redis://redis/%2F?a=b%20c&d", redis(path="/%2F", query="a=b%20c&d")),
        ("redis://redis#", redis()),
        ("redis://user@redis", redis(username="user")),
        ("redis://:pass@redis", redis(password=Secret("pass"))),
        ("redis://user:@redis", redis(username="user")),
        ("redis://@redis", redis()),
        ("redis://us%2Fer:p%40w:x@redis", redis(username="us/er", password=Secret("p@w:x"))),
        ("redis://a@b:c@d@redis", redis(username="a@b", password=Secret("c@d"))),
        ("redis://:100%@redis", redis(password=Secret("100%"))),
        ("unix:///run/redis.sock?db=2", unix(path="/run/redis.sock", query="db=2")),
        ("unix://user:pass@/run/x", unix(path="/run/x", username="user", password=Secret("pass"))),
    ],
)
def test_a_url_is_read_into_its_pieces(raw: str, url: Url) -> None:
    assert parse(raw) == url


@pytest.mark.parametrize(
    ("raw", "url"),
    [
        (
            "${URL}",
            redis(
                port=7000,
                username="user",
                password=Secret("pass@word"),
                path="/3",
                query="x=y",
                hides_path=True,
            ),
        ),
        ("${SCHEME}://${HOST}:${PORT}", redis(scheme="rediss", host="redis-0", port=7001)),
        ("redis://redis${EMPTY}:7000", redis(port=7000)),
        (
            "redis://${USER}:${PASSWORD}@redis/0",
            redis(username="us/er", password=Secret("p@:/?#% w"), path="/0"),
        ),
        ("redis://:${PASSWORD}${TOKEN}x@redis", redis(password=Secret("p@:/?#% wt0kenx"))),
        ("redis://:x$${${TOKEN}@redis", redis(password=Secret("x${t0ken"))),
        ("redis://${USER}@redis", redis(username="us/er")),
        ("redis://:${EMPTY}@redis", redis()),
        (
            "${SCHEME}://:${PASSWORD}@${HOST}",
            redis(scheme="rediss", port=6380, host="redis-0", password=Secret("p@:/?#% w")),
        ),
        ("redis://redis/${TOKEN}", redis(path="/t0ken", hides_path=True)),
        ("redis://redis/x?t=${TOKEN}", redis(path="/x", query="t=t0ken")),
        ("redis://redis/x?t=${EMPTY}", redis(path="/x", query="t=")),
    ],
)
def test_placeholders_put_data_into_the_pieces_of_a_url(raw: str, url: Url) -> None:
    assert parse(raw) == url


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("redis://redis:6379/0", set()),
        ("redis://user:pass%40word@redis", {"pass@word"}),
        ("redis://token@redis", {"token"}),
        ("redis://redis?a=b%20c&d=e&word", {"b%20c", "b c", "e", "word"}),
        ("redis://redis/s3cret", set()),
        ("redis://redis/${TOKEN}", {"t0ken", "/t0ken"}),
        ("redis://redis${PATHS}", {"/a%2Fb", "/a/b"}),
        ("redis://redis?a=${TOKEN}", {"t0ken"}),
        ("redis://redis?a=x${TOKEN}", {"xt0ken", "t0ken"}),
        ("redis://redis#${TOKEN}", {"t0ken"}),
        ("redis://${USER}:pass@redis", {"us/er", "pass"}),
        ("redis://${USER}:${PASSWORD}@redis", {"us/er", "p@:/?#% w"}),
        ("${SCHEME}://${HOST}:${PORT}/0", set()),
        ("redis://redis${EMPTY}/0", set()),
        ("unix:///run/${TOKEN}.sock", set()),
        ("${URL}", {"pass@word", "y", "/3", ENVIRON["URL"]}),
        ("${TOKEN}", {"t0ken"}),
        ("redis://:s3cret/0", {"redis://:s3cret/0"}),
    ],
)
def test_the_secrets_of_a_url_are_known(raw: str, found: set[str]) -> None:
    assert secrets(raw) == found


FORMS = "write redis://…, rediss://… or unix://…"
PASSWORDS = "percent-encode : @ / ? # % in a password, or put it in as it is with ${NAME} or ${file:/path}"


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ("", f"has no scheme; {FORMS}"),
        ("redis:6379", f"has no scheme; {FORMS}"),
        ("${PASSWORD}", f"has no scheme; {FORMS}"),
        ("http://redis", f"'http://redis' has another scheme; {FORMS}"),
        ("http://s3cret@x/a@b", f"'http://***@b' has another scheme; {FORMS}"),
        ("1redis://redis", f"'1redis://redis' is not a URL; write HOST:PORT behind its ://, and {PASSWORDS}"),
        ("redis://:s3cret", f"'redis://:***' is not a URL; write HOST:PORT behind its ://, and {PASSWORDS}"),
        (
            "redis://a:b/c@redis",
            f"'redis://***@redis' is not a URL; write HOST:PORT behind its ://, and {PASSWORDS}",
        ),
        ("redis://::1", "'redis://:***' is not a URL; an IPv6 address needs brackets, such as [::1]"),
        (
            "redis://fe80::1/0",
            "'redis://fe80:***/0' is not a URL; an IPv6 address needs brackets, such as [::1]",
        ),
        (
            "redis://a:1/c@redis",
            f"'redis://***@redis' has an @ behind its host; write %40 for it, and {PASSWORDS}",
        ),
        (
            "redis://a?c@redis",
            f"'redis://***@redis' has an @ behind its host; write %40 for it, and {PASSWORDS}",
        ),
        (
            "redis://redis/#x",
            (
                "'redis://redis/#x' has a fragment, which no server gets; "
                "leave it out, or write %23 for the # of a password"
            ),
        ),
        ("redis:///0", "'redis:///0' names no host"),
        ("redis://:s3cret@", "'redis://***@' names no host"),
        (
            "redis://a b",
            "'redis://a ***' has no valid host; write a host name or an IP address behind the ://",
        ),
        ("redis://[1]", "'redis://[1]' has no valid host; write a host name or an IP address behind the ://"),
        (
            "unix://a b/c",
            "'unix://a ***' has no valid host; write a host name or an IP address behind the ://",
        ),
        (
            "redis://redis:0",
            "'redis://redis:0' has a port out of range; a port is a whole number from 1 to 65535",
        ),
        (
            "redis://redis:65536",
            "'redis://redis:65536' has a port out of range; a port is a whole number from 1 to 65535",
        ),
    ],
)
def test_what_is_no_url_of_ours_is_refused(raw: str, sentence: str) -> None:
    with pytest.raises(Mistake) as refused:
        parse(raw)

    assert refused.value.sentence == sentence
