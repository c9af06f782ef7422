"""`sidecar explain delivery`: what it refuses before it asks anybody, and what a third party's check says."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sidecar.cli.verbs import sidecar
from tests.process.program import run_sidecar

QUIET = "- {name: web, type: tcp, host: localhost, port: 1, gates: startup}\n"
DATABASE = "- {name: db, type: postgres, url: 'postgres://u:hidden-password@127.0.0.1:1/d', gates: none}\n"
BROKER = "- {name: mq, type: rabbitmq-delivery, url: 'amqp://127.0.0.1:1', gates: none}\n"


def run(*arguments: str, config: str) -> Result:
    return CliRunner().invoke(sidecar, ["explain", "delivery", "--config", "-", *arguments], input=config)


@pytest.mark.parametrize(
    ("arguments", "config", "said"),
    [
        ([], QUIET, "the configuration has no check that explains, such as a rabbitmq-delivery"),
        (
            ["--only", "mqx"],
            QUIET + DATABASE + BROKER,
            (
                "Invalid value for --only: unknown check that explains 'mqx'; did you mean 'mq'? "
                "choose from db, mq"
            ),
        ),
        (
            ["--only", "web"],
            QUIET + DATABASE,
            "Invalid value for --only: unknown check that explains 'web'; choose from db",
        ),
        (
            ["--sample", "5"],
            QUIET + DATABASE,
            "Invalid value for --sample: none of the checks looks at messages",
        ),
        (
            ["--sample", "5", "--only", "db"],
            QUIET + DATABASE + BROKER,
            "Invalid value for --sample: none of the checks looks at messages",
        ),
        (["--sample", "0"], BROKER, "Invalid value for '--sample': 0 is not in the range 1<=x<=1000."),
        (["--sample", "1001"], BROKER, "Invalid value for '--sample': 1001 is not in the range 1<=x<=1000."),
        (["--sample-for", "5s"], BROKER, "Invalid value for --sample-for: has no use without --sample"),
        (
            ["--identifier", "message_id"],
            BROKER,
            "Invalid value for --identifier: has no use without --sample",
        ),
        (
            ["--sample", "5", "--sample-for", "61s"],
            BROKER,
            "Invalid value for --sample-for: is nothing, or longer than 1m",
        ),
        (
            ["--sample", "5", "--sample-for", "0s"],
            BROKER,
            "Invalid value for --sample-for: is nothing, or longer than 1m",
        ),
        (
            ["--sample", "5", "--identifier", "id"],
            BROKER,
            "Invalid value for --identifier: write message_id, header:NAME or json:/pointer",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_with_2(arguments: Sequence[str], config: str, said: str) -> None:
    told = run(*arguments, config=config)

    assert (told.exit_code, told.stdout, told.stderr.splitlines()[-1]) == (2, "", f"Error: {said}")


def test_a_duration_without_a_unit_is_refused() -> None:
    told = run("--sample", "5", "--sample-for", "5", config=BROKER)

    assert (told.exit_code, "--sample-for" in told.stderr) == (2, True)


def test_a_refused_configuration_exits_with_2() -> None:
    assert run(config="- {name: db}\n").exit_code == 2


async def test_what_does_not_answer_is_told_without_secrets_and_exits_with_1() -> None:
    told = await run_sidecar("explain", "delivery", "--config", "-", stdin=QUIET + DATABASE)

    assert (told.code, told.out.splitlines(), told.err) == (
        1,
        [
            "db (postgres, 127.0.0.1:1)",
            "  unverifiable  nothing more can be verified: 127.0.0.1:1 refused the connection",
            "",
            "0 held, 0 violated, 1 unverifiable",
        ],
        "",
    )


PLUGIN = """
from dataclasses import dataclass
from sidecar.config.check import CheckConfig, CheckType, option
from sidecar.config.fields import Label
from sidecar.core.check import Reason
from sidecar.core.finding import Finding, Standing

@dataclass(frozen=True, kw_only=True, repr=False)
class OracleConfig(CheckConfig):
    standing: Label = option("How it stands.")

class Oracle:
    def __init__(self, config):
        self.standing = Standing(config.standing)
    async def run(self):
        pass
    async def aclose(self):
        pass
    async def findings(self):
        return [Finding("future", self.standing, "the future is foretold", Reason.UNAVAILABLE)]
    async def sample(self, wanted):
        sentence = f"{wanted.count} omens by {wanted.identifier} in {wanted.seconds}"
        return [Finding("omen", Standing.HELD, sentence)]

oracle_type = CheckType(config=OracleConfig, build=Oracle)
"""


@pytest.mark.parametrize(("standing", "code"), [("held", 0), ("violated", 1), ("unverifiable", 1)])
async def test_a_third_partys_check_explains_itself(tmp_path: Path, standing: str, code: int) -> None:
    (tmp_path / "acme_oracle.py").write_text(PLUGIN)
    info = tmp_path / "acme_oracle-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-oracle\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[sidecar.checks]\noracle = acme_oracle:oracle_type\n")
    env = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    config = f"- {{name: seer, type: oracle, gates: startup, standing: {standing}}}\n"
    flags = ("--sample", "3", "--sample-for", "10s", "--identifier", "header:x", "--output", "json")

    told = await run_sidecar("explain", "delivery", "--config", "-", *flags, stdin=config, env=env)

    assert (told.code, told.err) == (code, "")
    assert json.loads(told.out) == [
        {
            "name": "seer",
            "type": "oracle",
            "target": "seer",
            "findings": [
                {
                    "rule": "future",
                    "standing": standing,
                    "reason": None if standing == "held" else "unavailable",
                    "sentence": "the future is foretold",
                },
                {
                    "rule": "omen",
                    "standing": "held",
                    "reason": None,
                    "sentence": "3 omens by header x in 10.0",
                },
            ],
        }
    ]


def test_help_names_the_exit_codes() -> None:
    told = CliRunner().invoke(sidecar, ["explain", "delivery", "--help"])

    assert "Exits with 0 if every sentence is held, 1 if one is violated" in told.output
