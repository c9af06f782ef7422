"""Commands that hang, babble, are killed, are missing or forbidden."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from sidecar.core.check import Reason
from tests.faults.cells import cell
from tests.faults.drill import UP, Expected, down, drill
from tests.faults.measures import within_room
from tests.faults.strikes import doing

COMMANDS: Final = {
    "accepted and silent": ("exec sleep 60", down(Reason.TIMEOUT)),
    "garbage": ("printf '\\377\\000garbage!'; exit 1", down(Reason.CONTRACT)),
    "one byte a second": ("while printf x; do sleep 1; done", down(Reason.TIMEOUT)),
    "endless reply": ("exec yes", down(Reason.TIMEOUT)),
    "oversized reply": ("head -c 10000000 /dev/zero", UP),
    "killed": ("kill -KILL $$", down(Reason.CONTRACT)),
    "SIGSTOP 1s": ("(sleep 0.1; kill -CONT $$) & kill -STOP $$", UP),
    "SIGSTOP 60s": ("kill -STOP $$", down(Reason.TIMEOUT)),
}
"""By column, what the command does instead of its duty, and what becomes of its check."""


@pytest.mark.parametrize(
    ("script", "expected"),
    [cell("exec", column, *each, is_sample=column == "killed") for column, each in COMMANDS.items()],
)
async def test_a_command_that_misbehaves(tmp_path: Path, script: str, expected: Expected) -> None:
    command = tmp_path / "command"

    def have(what: str) -> Callable[[], None]:
        return lambda: write_script(command, what)

    have("exit 0")()
    async with drill({"type": "exec", "command": [str(command)]}) as it:
        await it.until(UP)
        with within_room():
            await it.survives(doing(have(script), have("exit 0")), expected)


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        cell("exec", "missing", Path.unlink, down(Reason.NOT_FOUND), is_sample=True),
        cell("exec", "permission removed", lambda path: path.chmod(0), down(Reason.FORBIDDEN)),
    ],
)
async def test_a_command_that_cannot_be_executed(
    tmp_path: Path, begin: Callable[[Path], object], expected: Expected
) -> None:
    command = tmp_path / "command"
    write_script(command, "exit 0")
    async with drill({"type": "exec", "command": [str(command)]}) as it:
        fault = doing(lambda: begin(command), lambda: write_script(command, "exit 0"))
        await it.survives(fault, expected)


def write_script(path: Path, text: str) -> None:
    """Have a script do this from now on, in one step: one that is being written cannot be executed."""
    new = path.with_suffix(".new")
    new.write_text(f"#!/bin/sh\n{text}\n")
    new.chmod(0o755)
    new.rename(path)
