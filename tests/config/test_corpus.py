"""Bad configurations, each beside the whole text that `sidecar validate` prints for it.

`python -m tests.config.test_corpus` writes the texts anew; read what it changes as the one who is on call.
"""

import os
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from sidecar.cli.validate import command

CORPUS: Final = Path(__file__).parent / "corpus"
SECRET: Final = "hunter2"
"""Stands in the corpus, and in the variables, only where a secret stands, or was meant to."""
ENVIRON: Final = {
    "EMPTY": "",
    "PASSWORD": f"{SECRET} @:/?#%",
    "REDIS_URL": f"redis://user:{SECRET}@redis:6379/0",
    "REGION": "eu",
}
NAMES: Final = sorted(path.stem for path in CORPUS.glob("*.yaml"))


def validate(name: str) -> Result:
    """Run `sidecar validate` on one file of the corpus, in its folder."""
    return CliRunner(env=dict(ENVIRON)).invoke(command, [f"{name}.yaml"])


@pytest.fixture
def _in_the_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS)


@pytest.mark.usefixtures("_in_the_corpus")
@pytest.mark.parametrize("name", NAMES)
def test_a_bad_configuration_is_told_all_that_is_wrong_with_it(name: str) -> None:
    result = validate(name)

    assert result.stderr == (CORPUS / f"{name}.txt").read_text()
    assert (result.stdout, result.exit_code) == ("", 2)


@pytest.mark.parametrize("name", NAMES)
def test_no_secret_is_told(name: str) -> None:
    assert SECRET not in (CORPUS / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_cannot_move_the_cursor(name: str) -> None:
    text = (CORPUS / f"{name}.txt").read_text()

    assert [character for character in text if not character.isprintable() and character != "\n"] == []


def test_the_corpus_has_many_secrets_to_tell() -> None:
    contents = [(CORPUS / f"{name}.yaml").read_bytes() for name in NAMES]

    assert sum(SECRET.encode() in content or b"${PASSWORD}" in content for content in contents) >= 15


def write_texts() -> None:
    """Write beside each configuration what is printed for it now."""
    for name in NAMES:
        result = validate(name)
        if result.exit_code != 2:
            raise SystemExit(f"{name}: exit code {result.exit_code}: {result.output}")
        (CORPUS / f"{name}.txt").write_text(result.stderr)


if __name__ == "__main__":
    os.chdir(CORPUS)
    write_texts()
