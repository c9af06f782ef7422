"""What counts as the same check, an adjusted one and another one."""

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.config.check import CheckConfig
from sidecar.config.model import Config, DrainConfig, Sections, ServerConfig
from sidecar.core.verdict import Gate
from sidecar.runtime.changes import Changes, changed_paths, compare
from tests.boards import check

DB = check("db", Gate.READINESS)
NOTHING = Changes(
    added=frozenset(), edited=frozenset(), adjusted=frozenset(), removed=frozenset(), waiting=()
)


def config(*checks: CheckConfig, files: dict[str, frozenset[Path]] | None = None) -> Config:
    return Config(checks=checks, files_of=files or {})


def test_equal_configurations_differ_in_nothing() -> None:
    changes = compare(config(DB), config(replace(DB)), frozenset())

    assert (changes, bool(changes)) == (NOTHING, False)


def test_checks_come_and_go() -> None:
    cache = check("cache")

    changes = compare(config(DB), config(cache), frozenset())

    assert changes == replace(NOTHING, added=frozenset({"cache"}), removed=frozenset({"db"}))


@pytest.mark.parametrize(
    "adjustment",
    [
        {"gates": frozenset({Gate.STARTUP})},
        {"interval": 60.0},
        {"failure_threshold": 9},
        {"success_threshold": 9},
        {"description": "the database"},
    ],
    ids=lambda adjustment: next(iter(adjustment)),
)
def test_how_answers_are_used_is_an_adjustment(adjustment: dict[str, object]) -> None:
    adjusted = replace(DB, **adjustment)  # type: ignore[arg-type]  # each is of its key's type

    assert compare(config(DB), config(adjusted), frozenset()) == replace(NOTHING, adjusted=frozenset({"db"}))


@pytest.mark.parametrize("edit", [{"timeout": 1.0}, {"type": "http"}, {"initial_delay": 1.0}])
def test_every_other_key_makes_another_check_of_it(edit: dict[str, object]) -> None:
    edited = replace(DB, **edit)  # type: ignore[arg-type]  # each is of its key's type

    assert compare(config(DB), config(edited), frozenset()) == replace(NOTHING, edited=frozenset({"db"}))


def test_another_class_of_configuration_is_another_check() -> None:
    class OtherConfig(CheckConfig):
        pass

    other = OtherConfig(name="db", type="tcp", gates=DB.gates, failure_threshold=1)

    assert compare(config(DB), config(other), frozenset()) == replace(NOTHING, edited=frozenset({"db"}))


def test_a_check_that_names_a_changed_file_is_another_check() -> None:
    password, ca = Path("/run/password"), Path("/run/ca")
    files = {"db": frozenset({password}), "cache": frozenset({ca})}
    before = config(DB, check("cache"), files=files)

    assert compare(before, before, frozenset({password})) == replace(NOTHING, edited=frozenset({"db"}))


def test_sections_that_wait_for_a_restart_are_named() -> None:
    moved = replace(config(DB), sections=Sections(server=ServerConfig(port=8080)))

    assert compare(config(DB), moved, frozenset()) == replace(NOTHING, waiting=("server",))


def test_only_files_known_before_and_after_can_have_changed() -> None:
    old = {Path("/a"): 1, Path("/b"): 1, Path("/gone"): 1}
    new = {Path("/a"): 1, Path("/b"): 2, Path("/new"): 1}

    assert changed_paths(old, new) == {Path("/b")}


def test_a_section_that_is_in_force_at_once_is_named() -> None:
    old, new = Config(checks=(DB,)), Config(checks=(DB,), sections=Sections(drain=DrainConfig(delay=1.0)))

    assert compare(old, new, frozenset()) == replace(NOTHING, sections=("drain",))
