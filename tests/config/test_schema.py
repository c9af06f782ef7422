"""The JSON Schema: valid, true to what is accepted, and of use against what is not."""

import re
from functools import cache
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # comes with kubernetes-validate
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sidecar.checks import InstalledTypes
from sidecar.config.check import CheckType
from sidecar.config.document import compose
from sidecar.config.problems import ConfigError
from sidecar.config.schema import describe_configuration
from sidecar.deploys import InstalledServices
from tests.config.test_corpus import CORPUS, NAMES
from tests.config.world import TYPES, Types
from tests.docs.examples import EXAMPLES, Example

INTEGER: Final = re.compile(r"[-+]?[0-9]+")
NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@cache
def validator() -> Draft202012Validator:
    """Return what an editor has of the installed types."""
    return Draft202012Validator(describe_configuration(InstalledTypes(), InstalledServices()))


def as_editors_read(node: Node | None) -> Any:
    """Return a document as YAML 1.2's core schema reads it, merges resolved."""
    if isinstance(node, MappingNode):
        pairs = [(key.value, as_editors_read(value)) for key, value in node.value]
        merged = [each for key, value in pairs if key == "<<" for each in _listed(value)]
        return {k: v for mapping in [*reversed(merged), dict(pairs)] for k, v in mapping.items() if k != "<<"}
    if isinstance(node, SequenceNode):
        return [as_editors_read(each) for each in node.value]
    return (
        _plain(node.value)
        if isinstance(node, ScalarNode) and not node.style
        else getattr(node, "value", None)
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(text: str) -> Any:
    words = {"": None, "~": None, "null": None, "true": True, "false": False, "True": True, "False": False}
    if text in words:
        return words[text]
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text


def test_the_schema_is_one_of_its_draft() -> None:
    schema = describe_configuration(TYPES)

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$defs"].keys() == {"checks", "ping", "store"}


def test_the_schema_of_the_installed_types_is_one_of_its_draft() -> None:
    Draft202012Validator.check_schema(describe_configuration(InstalledTypes(), InstalledServices()))


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_example_satisfies_the_schema(example: Example) -> None:
    document = as_editors_read(compose(example.name, example.content.encode()))

    assert [error.message for error in validator().iter_errors(document)] == []


BEYOND_AN_EDITOR: Final = {"billion-laughs", "merges-that-multiply"}
"""These it would unfold before it looks at them."""
BEYOND_A_SCHEMA: Final = {
    "admin-socket-too-long",
    "credentials-twice", "deploy-rules", "duplicate-key", "duplicate-names", "duplicate-names-by-alias",
    "duplicate-names-by-interpolation", "duplicate-top-level-key", "malformed-placeholders", "no-checks",
    "none-beside-other-gates", "nothing-gates", "nul-escape", "regular-expressions", "secret-files",
    "server-block", "server-ports-equal", "slack-both-ways", "unclosed-quote-that-swallows",
    "unset-variables", "url-passwords", "url-pieces", "variables-with-unfit-values",
}  # fmt: skip
"""Rules across keys and checks, what a placeholder becomes, and what a pattern cannot say."""


def test_the_schema_refuses_of_the_corpus_what_a_schema_can() -> None:
    accepted = set()
    for name in set(NAMES) - BEYOND_AN_EDITOR:
        try:
            root = compose(name, (CORPUS / f"{name}.yaml").read_bytes())
            if validator().is_valid(as_editors_read(root)):
                accepted.add(name)
        except (ConfigError, RecursionError, TypeError, AttributeError):
            continue  # no YAML, a list that holds itself, a mapping for a key, a list for a merge

    assert accepted == BEYOND_A_SCHEMA


@pytest.mark.parametrize(
    "check",
    [
        {"description": 5, "note": False},
        {"gates": "none"},
        {"gates": ["startup", "liveness"]},
        {"gates": "${GATES}"},
        {"interval": "${INTERVAL}", "hops": "${HOPS}", "loud": "${LOUD}", "mode": "${MODE}"},
        {"words": "one"},
        {"words": ["one", 2]},
        {"extras": {"a": "b"}},
        {"tls": {}},
        {"token_file": "/run/token"},
    ],
)
def test_the_schema_accepts_what_the_sidecar_does(check: dict[str, Any]) -> None:
    schema = Draft202012Validator(describe_configuration(TYPES))

    assert schema.is_valid([{"name": "a", "type": "ping", **check}])
    assert schema.is_valid({"checks": [{"name": "a", "type": "ping", **check}], "ungated": True})


@pytest.mark.parametrize(
    "check",
    [
        {"interval": 10},
        {"interval": "10"},
        {"hops": "many"},
        {"loud": "yes"},
        {"mode": "loud"},
        {"gates": "ready"},
        {"gates": ["startup", "startup"]},
        {"words": {"a": "b"}},
        {"extras": ["a"]},
        {"tls": {"sni": "x"}},
        {"tls": None},
        {"token_file": "token"},
        {"name": "A"},
        {"colour": "red"},
        {"type": "pong"},
    ],
)
def test_the_schema_refuses_what_the_sidecar_does(check: dict[str, Any]) -> None:
    schema = Draft202012Validator(describe_configuration(TYPES))

    assert not schema.is_valid([{"name": "a", "type": "ping", **check}])


def test_defaults_are_described_without_what_only_a_check_has() -> None:
    schema = Draft202012Validator(describe_configuration(TYPES))

    assert schema.is_valid({"checks": [], "defaults": {"interval": "10s", "gates": "startup"}})
    assert not schema.is_valid({"checks": [], "defaults": {"name": "a"}})
    assert not schema.is_valid({"defaults": {}})


def test_a_type_that_is_listed_but_not_found_is_a_mistake_of_the_programmer() -> None:
    class Forgetful(Types):
        def find(self, name: str) -> CheckType[Any] | None:  # noqa: ARG002 - a finder's signature
            return None

    with pytest.raises(LookupError, match="the check type ping is listed but not found"):
        describe_configuration(Forgetful(TYPES.known))


def test_a_service_that_is_listed_and_not_found_is_a_bug() -> None:
    class Empty:
        def find(self, name: str) -> None: ...

        def names(self) -> list[str]:
            return ["slack"]

    with pytest.raises(LookupError, match="the service slack is listed but not found"):
        describe_configuration(TYPES, Empty())
