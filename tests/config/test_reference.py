"""The page of a check type, from the same dataclass that is read."""

from textwrap import dedent

from sidecar.config.check import CheckType
from sidecar.config.model import DrainConfig, NotifyConfig
from sidecar.config.reference import document_keys, document_type, own_keys
from tests.config.world import TYPES, PingConfig, StoreConfig


def test_a_section_is_documented_as_a_table() -> None:
    assert document_keys(NotifyConfig) == dedent(
        """\
        | key | default | means |
        |---|---|---|
        | `file` |  | File to create; not with `post`. |
        | `post` |  | URL on loopback to send a POST to; not with `file`. |"""
    )


def test_keys_of_a_section_inside_are_written_with_a_dot() -> None:
    rows = document_keys(PingConfig, only=["mode", "tls"]).splitlines()

    assert rows[2:5] == [
        "| `mode` | `shallow` | How deep. |",
        "| `tls` |  | TLS settings. |",
        "| `tls.ca` |  | File with the authorities to trust instead of the system's. |",
    ]


def test_keys_of_the_elements_of_a_list_are_written_behind_brackets() -> None:
    rows = document_keys(DrainConfig, only=["until"]).splitlines()

    assert rows[3:] == [
        "| `until[].check` | required | Name of the check. |",
        "| `until[].status` | `up` | The status to wait for: `up` or `down`. |",
    ]


def test_a_type_documents_the_keys_that_it_adds_or_gives_another_default() -> None:
    assert own_keys(StoreConfig) == ["interval", "url", "username", "password", "tls"]


def test_the_page_of_a_type_begins_with_its_documentation() -> None:
    ping = TYPES.find("ping")
    assert isinstance(ping, CheckType)

    page = document_type("ping", ping)

    assert page.startswith("# ping\n\nCheck types of the tests' own")
    assert "\n## Keys\n\n| key | default | means |\n" in page
    assert "| `hops` | `1` | How far. |\n" in page
    assert page.endswith("| Whether to shout. |\n")


def test_a_required_key_is_told_from_one_without_a_default() -> None:
    rows = document_keys(StoreConfig, only=["url", "username"]).splitlines()

    assert rows[2:] == [
        "| `url` | required | Where it is. |",
        "| `username` |  | User name, instead of one in the URL. |",
    ]
