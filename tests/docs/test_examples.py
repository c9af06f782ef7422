"""Every configuration that we show can be used as it stands."""

import re
from pathlib import Path
from typing import Final

import pytest

from sidecar.checks import InstalledTypes
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.source import Source
from sidecar.deploys import InstalledServices
from tests.docs.examples import EXAMPLES, PAGES, ROOT, Example, fences
from tools.docs import own_types

ENVIRON: Final = {
    "AMQP_URL": "amqp://builds:s3cret@rabbitmq/builds",
    "APP_URL": "http://localhost:8080",
    "DATABASE_URL": "postgresql://builds:s3cret@postgres/builds",
    "POSTGRES_PASSWORD": "s3cret",
    "RABBITMQ_PASSWORD": "s3cret",
    "REDIS_PASSWORD": "s3cret",
    "REDIS_URL": "redis://:s3cret@redis/0",
    "REVISION": "abc123",
    "S3_BUCKET": "build-artifacts",
    "S3_ENDPOINT": "http://localhost:9000",
}
"""The variables that the examples use."""

_SECRET_FILE: Final = re.compile(r"\$\{file:([^}]+)\}")
_LINK: Final = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def read(example: Example, folder: Path) -> Config:
    """Return the configuration, its secret files made in `folder`."""
    content = example.content
    for number, path in enumerate(dict.fromkeys(_SECRET_FILE.findall(content))):
        (folder / str(number)).write_text("s3cret\n")
        content = content.replace(f"${{file:{path}}}", f"${{file:{folder / str(number)}}}")
    source = Source(example.name, content.encode())
    return load(source, InstalledTypes(), ENVIRON, services=InstalledServices())


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_example_is_a_configuration(example: Example, tmp_path: Path) -> None:
    assert read(example, tmp_path).checks


@pytest.mark.parametrize("name", own_types())
def test_every_check_type_shows_an_example_of_itself(name: str, tmp_path: Path) -> None:
    shown = [read(each, tmp_path) for each in EXAMPLES if each.name.startswith(f"sidecar types {name}:")]

    assert {check.type for config in shown for check in config.checks} == {name}
    assert [config.advice for config in shown] == [() for _ in shown]


@pytest.mark.parametrize("variable", ENVIRON)
def test_every_variable_is_used_by_an_example(variable: str) -> None:
    assert any(f"${{{variable}" in example.content for example in EXAMPLES)


def test_the_pages_for_people_show_examples() -> None:
    shown = {example.name.rpartition(":")[0] for example in EXAMPLES}

    assert {"README.md", "docs/configuration.md"} <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for path, anchor in _LINK.findall(page.read_text()):
        target = (page.parent / path) if path else page
        assert target.exists(), f"{path} does not exist"
        assert not anchor or anchor in anchors(target), f"{path} has no heading for #{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the names by which GitHub and others let one link to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_what_looks_like_a_configuration_is_found() -> None:
    page = "a\n```yaml\n- name: a\n```\n```yaml\n# c\n- name: b\n```\n```yaml\nlog: {}\nchecks: []\n```\n"
    others = "```yaml\nresources:\n  - name: a\n```\n```json\n[]\n```\n```yaml\ntls: {}\n```\n"

    assert [(each.name, each.content) for each in fences("p", page + others)] == [
        ("p:3", "- name: a\n"),
        ("p:6", "# c\n- name: b\n"),
        ("p:10", "log: {}\nchecks: []\n"),
    ]
