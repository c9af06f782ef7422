"""What every check's configuration says of itself."""

import pytest

from sidecar.config.check import CheckConfig, TlsConfig
from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url
from sidecar.config.model import Config, ServerConfig
from tests.config.world import TYPES, PingConfig, StoreConfig, read


def store(**keys: object) -> StoreConfig:
    """Return the configuration of a store."""
    return StoreConfig(**{"name": "a", "type": "store", **keys})  # type: ignore[arg-type]


def store_url(**pieces: object) -> Url:
    """Return its URL."""
    return Url(**{"scheme": "store", "host": "a.example", "port": 7000, **pieces})  # type: ignore[arg-type]


def test_a_check_that_asks_nobody_is_not_remote() -> None:
    config = CheckConfig(name="a", type="x")

    assert (config.target, config.hosts, config.is_remote) == ("a", (), False)
    assert list(config.rules()) == []


@pytest.mark.parametrize(
    ("host", "is_remote"), [("localhost", False), ("127.0.0.1", False), ("::1", False), ("a.example", True)]
)
def test_a_check_is_remote_when_it_asks_beyond_its_pod(host: str, is_remote: bool) -> None:
    assert PingConfig(name="a", type="ping", host=host).is_remote is is_remote
    assert store(url=store_url(host=host)).is_remote is is_remote


def test_a_check_with_a_url_names_its_address() -> None:
    assert store(url=store_url()).target == "a.example:7000"
    assert store(url=store_url()).hosts == ("a.example",)


def test_a_check_with_a_socket_file_names_its_path_and_is_not_remote() -> None:
    config = store(url=Url(scheme="unix", host="", path="/run/a.sock"))

    assert (config.target, config.hosts, config.is_remote) == ("/run/a.sock", (), False)


@pytest.mark.parametrize(
    ("in_url", "in_keys", "credentials"),
    [
        ({}, {}, (None, None)),
        ({"username": "u", "password": Secret("p")}, {}, ("u", Secret("p"))),
        ({}, {"username": "u", "password": Secret("p")}, ("u", Secret("p"))),
        ({"username": "u"}, {"password": Secret("p")}, ("u", Secret("p"))),
    ],
)
def test_credentials_stand_in_the_url_or_in_keys(
    in_url: dict[str, object], in_keys: dict[str, object], credentials: tuple[object, object]
) -> None:
    config = store(url=store_url(**in_url), **in_keys)

    assert config.credentials == credentials
    assert list(config.rules()) == []


def test_credentials_that_stand_in_both_are_a_mistake() -> None:
    both = {"username": "u", "password": Secret("p")}

    mistakes = list(store(url=store_url(**both), **both).rules())

    assert [(mistake.key, mistake.sentence) for mistake in mistakes] == [
        ("username", "stands in the URL too; write it once"),
        ("password", "stands in the URL too; write it once"),
    ]


@pytest.mark.parametrize(
    ("tls", "keys"),
    [
        (TlsConfig(), []),
        (TlsConfig(cert="/cert", key="/key"), []),
        (TlsConfig(cert="/cert"), []),
        (TlsConfig(insecure=True), []),
        (TlsConfig(ca="/ca"), []),
        (TlsConfig(key="/key"), ["key"]),
        (TlsConfig(insecure=True, ca="/ca"), ["insecure"]),
    ],
)
def test_a_tls_block_is_judged_across_its_keys(tls: TlsConfig, keys: list[str]) -> None:
    assert [mistake.key for mistake in tls.rules()] == keys


def test_two_listeners_cannot_share_a_port() -> None:
    assert [mistake.key for mistake in ServerConfig(port=1, admin_port=1).rules()] == ["admin_port"]
    assert list(ServerConfig().rules()) == []


def test_the_documentation_of_a_type_is_its_modules() -> None:
    ping = TYPES.find("ping")

    assert ping is not None
    assert ping.documentation.startswith("Check types of the tests' own")


def test_the_representation_of_a_configuration_tells_no_secret() -> None:
    config = read(
        """
        - name: a
          type: ping
          words: ["${SECRET}"]
          extras: {a: "${SECRET}"}
          token: ${SECRET}
          pattern: ${SECRET}
          note: ${SECRET}
        - name: b
          type: store
          url: store://${SECRET}:${SECRET}@${HOST}/${SECRET}?a=${SECRET}
        - name: c
          type: store
          url: store://c
          username: ${SECRET}
          password: ${SECRET}
        """,
        SECRET="s3cret",
        HOST="b",
    )

    assert isinstance(config, Config)
    shown = repr(config) + "".join(repr(vars(check)) for check in config.checks[1:2])
    assert "s3cret" not in shown
    assert [repr(check) for check in config.checks] == [
        "<PingConfig a>",
        "<StoreConfig b>",
        "<StoreConfig c>",
    ]
