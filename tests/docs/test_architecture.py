"""The map of the house names every file in it, and no other."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "architecture.md").read_text()
ROOMS = ("core", "config", "runtime", "web", "kube", "lint", "support", "app")
SHARED = ("checks", "deploys")
"""Rooms whose other files are one kind of thing each."""


def paragraph(room: str) -> str:
    (found,) = re.findall(rf"^\*\*`sidecar/{room}/`.*?(?=\n\n)", MAP, re.MULTILINE | re.DOTALL)
    return str(found)


def test_every_file_of_a_room_is_named_in_its_paragraph_and_no_other() -> None:
    named = {room: set(re.findall(r"`(\w+\.py)`", paragraph(room))) for room in ROOMS}
    there = {room: {p.name for p in (ROOT / "sidecar" / room).glob("[a-z]*.py")} for room in ROOMS}

    assert named == there


@pytest.mark.parametrize("room", SHARED)
def test_what_files_of_one_kind_stand_on_is_named(room: str) -> None:
    named = set(re.findall(r"`(_\w+\.py)`", paragraph(room)))

    assert named == {path.name for path in (ROOT / "sidecar" / room).glob("_[a-z]*.py")}


def test_the_rooms_inside_deploys_are_named() -> None:
    named = set(re.findall(r"`([a-z]\w+\.py)`", paragraph("deploys")))
    inside = [*(ROOT / "sidecar" / "deploys").glob("*/[a-z]*.py")]

    assert named == {path.name for path in inside}


def test_the_order_of_imports_is_the_one_that_is_enforced() -> None:
    (line,) = (line for line in MAP.splitlines() if line.startswith("    cli →"))
    layers = [set(re.findall(r"\w+", layer)) for layer in line.split("→")]
    contract = (ROOT / "pyproject.toml").read_text().partition("layers = [")[2].partition("]")[0]
    enforced = [set(re.findall(r"\w+", layer)) for layer in re.findall(r'"([^"]+)"', contract)]

    assert layers == enforced[1:]
