"""docs/lint.md has a section a rule, and its examples show what they say."""

import re
from dataclasses import dataclass
from typing import Any, Final

import pytest
import yaml

from sidecar.lint.findings import Rule
from sidecar.lint.rules import RULES
from tests.k8s.manifests import ROOT
from tests.lint.pods import Manifest, examined

PAGE: Final = (ROOT / "docs" / "lint.md").read_text()
CONFIGURATION: Final = {"checks", "startup", "drain", "server", "deploy"}
WORKLOAD: Final = {"kind", "spec"}


@dataclass(frozen=True)
class Section:
    """What the page says of a rule."""

    level: str
    text: str
    wrong: tuple[str, ...]
    right: tuple[str, ...]
    """The parts of an example: of the manifest, of the configuration."""


def blocks(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL))


def read_sections() -> dict[str, Section]:
    """Return the sections by the names of their rules, in the order of the page."""
    parts = re.split(r"^## (\S+)\n\n\*\*(\w+)\*\* ", PAGE, flags=re.MULTILINE)[1:]
    rows = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return {name: read_section(level, text) for name, level, text in rows}


def read_section(level: str, text: str) -> Section:
    why, wrong, right = re.split(r"^(?:Wrong|Right|Told of|Not told of):$", text, flags=re.MULTILINE)
    return Section(level, " ".join(why.split()), blocks(wrong), blocks(right))


SECTIONS: Final = read_sections()
BASE, CHECKS = (yaml.safe_load(block) for block in blocks(PAGE.partition("\n# Errors\n")[0]))


def overlaid(old: Any, new: Any) -> Any:
    """Return a value with what an example names in its place; lists of named things are matched by name."""
    match old, new:
        case dict(), dict():
            return old | {key: overlaid(old.get(key), value) for key, value in new.items()}
        case [{"name": _}, *_], [{"name": _}, *_]:
            named = {item["name"]: item for item in old}
            return list(
                (named | {item["name"]: overlaid(named.get(item["name"]), item) for item in new}).values()
            )
        case _:
            return new


def found_in(example: tuple[str, ...]) -> set[str]:
    """Return the names of the rules that find something in an example."""
    manifest, config = BASE, CHECKS
    for part in map(yaml.safe_load, example):
        if part.keys() & CONFIGURATION:
            config = config | part
        elif part.keys() & WORKLOAD:
            manifest = overlaid(manifest, part)
        else:
            manifest = overlaid(manifest, {"spec": {"template": {"spec": part}}})
    return {finding.rule.name for finding, _ in examined(manifest, yaml.safe_dump(config))}


def test_every_rule_has_its_section_in_the_order_of_the_rules() -> None:
    assert {name: section.level for name, section in SECTIONS.items()} == {
        rule.name: rule.level for rule in RULES
    }
    assert list(SECTIONS) == [rule.name for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_page_gives_the_reasons_that_the_command_gives(rule: Rule) -> None:
    page = SECTIONS[rule.name].text.replace("`", "").replace("*", "")

    assert [each for each in re.split(r"[.;:] ?", rule.why) if each not in page] == []


@pytest.mark.parametrize("name", SECTIONS)
def test_the_wrong_example_has_the_finding_and_the_right_one_has_not(name: str) -> None:
    section = SECTIONS[name]

    assert name in found_in(section.wrong)
    assert name not in found_in(section.right)


def test_an_example_is_laid_over_the_base() -> None:
    """The overlay itself: an example that names only a container keeps what the base says of it."""
    manifest: Manifest = overlaid(
        BASE, {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "x"}]}}}}
    )

    assert manifest["spec"]["template"]["spec"]["containers"] == [
        {"name": "app", "image": "x", "ports": [{"name": "http", "containerPort": 8080}]}
    ]
