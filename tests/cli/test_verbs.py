"""The verbs that need no dependency: validate, schema, types, and the program itself."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sidecar import __version__
from sidecar.checks import InstalledTypes
from sidecar.cli.verbs import VERBS, sidecar
from sidecar.config.document import SIZE_LIMIT

GOOD = """\
checks:
  - {name: db, type: tcp, host: db, port: 5432}
  - {name: app, type: tcp, host: localhost, port: 8080, gates: [liveness, readiness], interval: 5s}
"""


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(sidecar, list(arguments), input=stdin)


def test_help_names_every_verb() -> None:
    told = run("--help")

    assert (told.exit_code, [verb for verb in VERBS if f"\n  {verb} " not in told.output]) == (0, [])


def test_version_is_the_packages() -> None:
    assert run("--version").output == f"sidecar {__version__}\n"


def test_an_unknown_verb_is_refused() -> None:
    told = run("sreve")

    assert (told.exit_code, told.output.splitlines()[-1]) == (2, "Error: No such command 'sreve'.")


def test_validate_passes_a_good_file_with_its_arithmetic_and_advice() -> None:
    told = run("validate", "-", stdin=GOOD)

    assert (told.exit_code, told.stdout, told.stderr) == (
        0,
        (
            "2 checks, no problems\n"
            "per 1,000 pods: 0 connections held and 6,000 opened a minute, 18,000 runs a minute, "
            "24,000 metric series of checks\n"
        ),
        (
            "advice: <stdin>:2:5: checks.db.gates: was left to the default, readiness: an outage of db:5432 "
            "takes every replica out of the endpoints; write gates: startup to hold back a broken rollout "
            "only, or gates: readiness if meant\n"
        ),
    )


def test_validate_counts_one_check_and_reads_no_more_of_a_stream_than_a_file_may_have() -> None:
    one = run("validate", "-", stdin="[{name: db, type: tcp, host: db, port: 1, gates: startup}]")
    endless = run("validate", "-", stdin="#" * (2 * SIZE_LIMIT))

    assert one.stdout.splitlines()[0] == "1 check, no problems"
    assert (endless.exit_code, endless.stderr.splitlines()[0]) == (
        2,
        "<stdin>: is larger than 1024 KiB, which is all that a ConfigMap holds",
    )


@pytest.mark.parametrize(
    ("keep", "counted"),
    [("false", "0 connections held and 2,000 opened"), ("true", "1,000 connections held and 0 opened")],
)
def test_validate_counts_the_connections_of_a_check_that_may_keep_one(keep: str, counted: str) -> None:
    told = run(
        "validate",
        "-",
        stdin=f"[{{name: db, type: postgres, url: postgres://u@db, keep: {keep}, gates: startup}}]",
    )

    assert (told.exit_code, told.stdout.splitlines()[1]) == (
        0,
        f"per 1,000 pods: {counted} a minute, 2,000 runs a minute, 12,000 metric series of checks",
    )


def test_validate_counts_no_connection_of_a_look_up() -> None:
    told = run("validate", "-", stdin="[{name: db, type: dns, hostname: db.example.com, gates: startup}]")

    assert "0 connections held and 0 opened a minute" in told.stdout


def test_validate_counts_a_delivery_contract_as_rare_and_holding_nothing() -> None:
    told = run("validate", "-", stdin="[{name: d, type: rabbitmq-delivery, url: amqp://r, gates: startup}]")

    assert "per 1,000 pods: 0 connections held and 200 opened a minute, 200 runs a minute," in told.stdout


def test_validate_advises_against_liveness_of_a_dependency() -> None:
    told = run(
        "validate", "-", stdin="[{name: db, type: tcp, host: db, port: 1, gates: [liveness, startup]}]"
    )

    assert (told.exit_code, told.stderr) == (
        0,
        (
            "advice: <stdin>:1:2: checks.db.gates: an outage of db:1 would restart the app, "
            "which cures nothing; liveness is for the app itself: write gates: readiness or gates: startup\n"
        ),
    )


def test_validate_reads_the_file_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "elsewhere.yaml"
    path.write_text(GOOD)
    monkeypatch.setenv("SIDECAR_CONFIG", str(path))

    assert run("validate").exit_code == 0


def test_validate_exits_with_2_and_counts_the_problems() -> None:
    told = run("validate", "-", stdin="[{name: A, type: tcp, host: db, port: x}]")

    assert (told.exit_code, told.stdout, told.stderr.splitlines()[-1]) == (
        2,
        "",
        "the configuration has 2 problems",
    )


def test_schema_describes_every_type() -> None:
    schema = json.loads(run("schema").stdout)

    assert set(schema["$defs"]) == {"checks", *InstalledTypes().names()}


def test_types_lists_every_type_with_its_first_sentence() -> None:
    lines = run("types").stdout.splitlines()

    assert [line.split()[0] for line in lines] == InstalledTypes().names()
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize("name", InstalledTypes().names())
def test_types_shows_the_documentation_and_keys_of_one(name: str) -> None:
    told = run("types", name)

    assert (told.exit_code, told.stdout.splitlines()[0], "## Keys" in told.stdout) == (0, f"# {name}", True)


def test_types_suggests_the_nearest_for_an_unknown_one() -> None:
    told = run("types", "tpc")

    assert (told.exit_code, "did you mean 'tcp'?" in told.stderr) == (2, True)
