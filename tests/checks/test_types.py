"""The check types that are installed: their documentation, and those of third parties."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.checks import InstalledTypes, tcp
from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.config.problems import ConfigError
from sidecar.config.schema import describe_configuration
from sidecar.config.shape import describe_section
from sidecar.config.source import Source
from sidecar.core.check import Reason
from sidecar.core.result import Outcome
from sidecar.runtime.runner import Runner
from tests.checks.contract import ending

Installed = Callable[..., InstalledTypes]

OWN = (
    "dns", "exec", "file", "http", "postgres", "rabbitmq", "rabbitmq-delivery", "rabbitmq-inflight",
    "redis", "s3", "tcp",
)  # fmt: skip


def test_every_file_of_ours_is_a_type_of_its_name() -> None:
    files = (Path(__file__).parents[2] / "sidecar" / "checks").glob("[!_]*.py")

    assert sorted(InstalledTypes().names()) == sorted(file.stem.replace("_", "-") for file in files)


@pytest.mark.parametrize("name", InstalledTypes().names())
class TestDocumentation:
    def text(self, name: str) -> str:
        found = InstalledTypes().find(name)
        assert found is not None
        return found.documentation

    def test_begins_with_a_sentence(self, name: str) -> None:
        first = self.text(name).partition("\n\n")[0]

        assert re.fullmatch(r"[A-Z].*\.", first, re.DOTALL)

    def test_says_what_down_means_and_what_it_needs(self, name: str) -> None:
        assert re.search(r"^Down means ", self.text(name), re.MULTILINE)
        assert re.search(r"^Permissions: ", self.text(name), re.MULTILINE)

    def test_says_which_reasons_waiting_does_not_cure(self, name: str) -> None:
        line = r"^Reasons that waiting does not cure: ([a-z_]+(?:, [a-z_]+)*?)(?:\.(?: .*)?|, for .*)$"
        (listed,) = re.findall(line, self.text(name), re.MULTILINE)
        reasons = set(listed.split(", "))

        found = InstalledTypes().find(name)
        assert found is not None
        assert reasons == ({str(reason) for reason in found.permanent} or {"none"})
        assert found.permanent <= set(Reason)

    def test_has_one_example_that_loads_and_is_of_its_type(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (example,) = re.findall(r"^```yaml\n(.*?)^```", self.text(name), re.MULTILINE | re.DOTALL)
        for variable in re.findall(r"\$\{([A-Z_]+)\}", example):
            monkeypatch.setenv(variable, "amqp://broker.example.com/" if variable == "AMQP_URL" else "text")
        config = load(Source("example", example.encode()), InstalledTypes(), os.environ)

        assert [check.type for check in config.checks] == [name]

    def test_its_keys_are_all_described(self, name: str) -> None:
        found = InstalledTypes().find(name)
        assert found is not None

        for key, schema in describe_section(found.config)["properties"].items():
            assert schema["description"].endswith("."), key


def test_no_driver_is_imported_for_a_type_that_is_only_described() -> None:
    program = (
        "import sys\n"
        "from sidecar.checks import InstalledTypes\n"
        "types = InstalledTypes()\n"
        "print([bool(types.find(name).documentation) for name in types.names()])\n"
        "print({'redis', 'aio_pika', 'aiormq', 'aioboto3', 'botocore', 'asyncpg'} & set(sys.modules))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout == f"{[True] * len(OWN)}\nset()\n"


NO_DRIVER = "the driver {} is not installed; install the extra: pip install 'sidecar[{}]'"

ORACLE = '''\
"""Asks an oracle.

Down means that it says no.

```yaml
- name: oracle
  type: oracle
  question: will it rain?
```
"""

from dataclasses import dataclass

from sidecar.config.check import CheckConfig, CheckType, option
from sidecar.config.fields import Label
from sidecar.core.check import CheckFailed, Reason

@dataclass(frozen=True, kw_only=True, repr=False)
class OracleConfig(CheckConfig):
    question: Label = option("What to ask.")
    strict: bool = option("Whether maybe means no.", default=True)

class Oracle:
    def __init__(self, config):
        self._config = config

    async def run(self):
        raise CheckFailed(Reason.CONTRACT, f"{self._config.question} no")

    async def aclose(self):
        pass

oracle_type = CheckType(config=OracleConfig, build=Oracle)
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Yield a function that installs a plug-in as an installer would, in a folder of its own."""

    def install(source: str, points: str = "oracle = acme_oracle:oracle_type") -> InstalledTypes:
        (tmp_path / "acme_oracle.py").write_text(source)
        info = tmp_path / "acme_oracle-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-oracle\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[sidecar.checks]\n{points}\n")
        return InstalledTypes()

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    sys.modules.pop("acme_oracle", None)


def read(types: InstalledTypes, text: str) -> Config:
    return load(Source("test.yaml", text.encode()), types, {})


def test_a_plugin_is_run_by_the_installed_command(installed: Installed, tmp_path: Path) -> None:
    installed(ORACLE)
    ended = subprocess.run(
        [sys.executable, "-m", "sidecar", "check", "--config", "-", "--output", "json"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        input="- {name: weather, type: oracle, question: will it rain?}",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert (ended.returncode, ended.stderr) == (1, "")
    assert "will it rain? no" in ended.stdout


async def test_a_plugin_adds_a_type_without_touching_the_tree(installed: Installed) -> None:
    types = installed(ORACLE)
    (config,) = read(types, "- {name: weather, type: oracle, question: will it rain?}").checks
    found = types.find("oracle")
    assert found is not None
    runner = Runner(found.build(config), name=config.name, target=config.target, timeout=config.timeout)

    assert ending(await runner.run()) == (Outcome.FAILURE, Reason.CONTRACT, "will it rain? no")


def test_the_options_of_a_plugin_are_in_the_schema(installed: Installed) -> None:
    oracle = describe_configuration(installed(ORACLE))["$defs"]["oracle"]

    assert oracle["properties"]["question"]["description"] == "What to ask."
    assert {"interval", "question", "strict"} <= set(oracle["properties"])
    assert "question" in oracle["required"]


def test_a_plugin_is_listed_and_documented(installed: Installed) -> None:
    types = installed(ORACLE)
    found = types.find("oracle")
    assert found is not None

    assert types.names() == sorted([*OWN, "oracle"])
    assert found.documentation.startswith("Asks an oracle.\n\nDown means")


def test_a_mistake_in_the_keys_of_a_plugin_is_located(installed: Installed) -> None:
    with pytest.raises(ConfigError) as raised:
        read(installed(ORACLE), "- {name: weather, type: oracle, question: a, strict: maybe}")

    assert str(raised.value) == ("test.yaml:1:54: checks.weather.strict: 'maybe' is neither true nor false")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1", "AttributeError: module 'acme_oracle' has no attribute 'oracle_type'"),
        ("oracle_type = 7", "TypeError: it is a int, not a CheckType"),
        (
            "import sidecar.config.check as c\noracle_type = c.CheckType(config=dict, build=dict)",
            "TypeError: its config is not a class derived from CheckConfig",
        ),
        (
            "from sidecar.support.driver import Driver\nDriver('no_such', extra='x').anything",
            f"MissingDriverError: {NO_DRIVER.format('no_such', 'x')}",
        ),
    ],
)
def test_a_broken_plugin_is_named_with_its_package(installed: Installed, source: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(installed(source), "- {name: weather, type: oracle}")

    assert str(raised.value) == (
        f"acme-oracle: check type oracle: acme_oracle:oracle_type cannot be loaded: {problem}"
    )


def test_a_broken_plugin_troubles_nobody_who_does_not_use_it(installed: Installed) -> None:
    config = read(installed("1 / 0"), "- {name: app, type: tcp, host: localhost, port: 1}")

    assert [check.type for check in config.checks] == ["tcp"]


def test_a_type_of_ours_goes_before_a_plugin(installed: Installed) -> None:
    assert installed("1 / 0", "tcp = acme_oracle:oracle_type").find("tcp") is tcp.check_type


@pytest.mark.parametrize("name", ["postgres", "rabbitmq", "redis", "s3"])
def test_a_missing_driver_names_its_extra(name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_DRIVERS, name], capture_output=True, text=True, check=True
    )

    assert ended.stdout
    for line in ended.stdout.splitlines():
        assert line.endswith(NO_DRIVER.partition("{}")[2].format(name))


WITHOUT_DRIVERS = """
import sys

DRIVERS = {"redis", "aio_pika", "aiormq", "aioboto3", "aiobotocore", "botocore", "asyncpg"}

class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in DRIVERS:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden)
from sidecar.checks import InstalledTypes

for driver in InstalledTypes().find(sys.argv[1]).drivers:
    try:
        driver.load()
    except ImportError as error:
        print(error)
"""
