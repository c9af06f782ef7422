"""The keys of a section, as they are shown and described."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from sidecar.config.check import CheckConfig, TlsConfig, UrlCheckConfig, option
from sidecar.config.fields import Duration, SecretText, Text
from sidecar.config.kinds.secret import Secret
from sidecar.config.kinds.url import Url, UrlKind
from sidecar.config.model import Sections
from sidecar.config.shape import AtLeastOne, OneOrMany, describe, describe_section, keys_of, kind_of, show
from tests.config.world import Mode, PingConfig

Address = Annotated[Url, UrlKind((("store", 1),))]
MODE = {"anyOf": [{"enum": ["shallow", "deep"]}, {"type": "string", "pattern": r"\$\{"}]}
MODE_OR_NONE = {"anyOf": [{"enum": ["shallow", "deep", "none"]}, {"type": "string", "pattern": r"\$\{"}]}
TEXT = {"type": ["string", "number", "boolean"], "minLength": 1}


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section with a key that must be there, one that need not, and a section."""

    must: Text = option("Must be there.")
    may: Duration = option("May be there.", default=1.5)
    tls: TlsConfig | None = option("TLS.", default=None)


def test_keys_are_known_by_name_in_the_order_of_the_dataclass() -> None:
    keys = keys_of(Section)

    assert [(key.name, key.doc, key.is_required) for key in keys.values()] == [
        ("must", "Must be there.", True),
        ("may", "May be there.", False),
        ("tls", "TLS.", False),
    ]
    assert [key.name for key in keys["tls"].inner()] == ["ca", "cert", "key", "server_name", "insecure"]
    assert keys["may"].inner() == []


def test_a_url_is_a_value_although_it_is_a_dataclass() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Store:
        url: Address = option("Where it is.")

    assert keys_of(Store)["url"].inner() == []
    assert describe(Address) == {"type": "string", "pattern": r"^(store)://|\$\{"}
    assert show(Address, Url(scheme="store", host="a", port=1, username="s3cret")) == "store://a:1"


@pytest.mark.parametrize(
    ("section", "name", "shown"),
    [
        (Section, "must", ""),
        (Section, "may", "1500ms"),
        (Section, "tls", ""),
        (CheckConfig, "gates", "readiness"),
        (CheckConfig, "interval", "10s"),
        (CheckConfig, "description", ""),
        (Sections, "server", ""),
        (Sections, "ungated", "false"),
        (PingConfig, "words", ""),
        (PingConfig, "mode", "shallow"),
        (PingConfig, "hops", "1"),
    ],
)
def test_a_default_is_shown_where_there_is_one_to_speak_of(section: type, name: str, shown: str) -> None:
    assert keys_of(section)[name].show_default() == shown


@pytest.mark.parametrize(
    ("hint", "value", "shown"),
    [
        (frozenset[Mode], frozenset(), "none"),
        (frozenset[Mode], frozenset({Mode.SHALLOW, Mode.DEEP}), "deep, shallow"),
        (tuple[Duration, ...], (1.0, 60.0), "[1s, 1m]"),
        (SecretText | None, Secret("s3cret"), "***"),
    ],
)
def test_a_value_of_every_shape_is_shown(hint: Any, value: object, shown: str) -> None:
    assert show(hint, value) == shown


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (tuple[Mode, ...], {"type": "array", "items": MODE}),
        (
            Annotated[tuple[Text, ...], OneOrMany()] | None,
            {"anyOf": [TEXT, {"type": "array", "items": TEXT}]},
        ),
        (
            frozenset[Mode],
            {"anyOf": [MODE_OR_NONE, {"type": "array", "items": MODE_OR_NONE, "uniqueItems": True}]},
        ),
        (
            Annotated[frozenset[Mode], AtLeastOne()],
            {"anyOf": [MODE, {"type": "array", "items": MODE, "uniqueItems": True, "minItems": 1}]},
        ),
        (dict[str, Mode], {"type": "object", "additionalProperties": MODE}),
        (str, TEXT),
    ],
)
def test_every_shape_is_described(hint: Any, schema: dict[str, Any]) -> None:
    assert describe(hint) == schema


def test_a_section_is_described_with_its_documentation() -> None:
    described = describe_section(Section)

    assert described["required"] == ["must"]
    assert described["additionalProperties"] is False
    assert described["properties"]["must"] == {"description": "Must be there.", **TEXT}
    assert "required" not in describe_section(TlsConfig)
    assert described["properties"]["tls"]["properties"].keys() == keys_of(TlsConfig).keys()


@pytest.mark.parametrize("hint", [float, list[str], object])
def test_a_type_that_no_kind_reads_is_a_mistake_of_the_programmer(hint: object) -> None:
    with pytest.raises(TypeError, match="annotate the field with one"):
        kind_of(hint)


def test_every_key_of_a_check_with_a_url_is_documented() -> None:
    assert all(key.doc.endswith(".") for key in keys_of(UrlCheckConfig).values())
