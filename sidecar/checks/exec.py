"""Runs a command, without a shell, that proves something by exiting with 0.

Down means that the command exits with another code or is killed, which `contract` says, with the code or the
signal and the last line of what it wrote; that it is `not_found` or, not being executable, `forbidden`; or
that it does not end in time. At its deadline, and with the sidecar itself, the command and its whole process
group are killed with SIGKILL. Of its output the last 4 KiB are kept.

The command runs in this container, as this user: it has to be in the image or on a volume. Of our environment
it gets PATH, HOME, LANG, LC_ALL, TZ and TMPDIR only, so that no secret of ours leaks into it: what it needs
stands in `env`. For `|`, `*` or `$VAR` name a shell: `[sh, -c, …]`.

It costs a process a run: where another type can ask, use that one.

Permissions: to execute the command, and those that the command needs.
Reasons that waiting does not cure: none, for a command may fail for any reason.

```yaml
- name: migrations
  type: exec
  command: [/app/bin/migrations, --pending, --exit-code]
  env:
    DATABASE_URL: ${DATABASE_URL}
  interval: 1m
  timeout: 10s
  gates: startup
```
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sidecar.checks._connect import strerror
from sidecar.config.check import CheckConfig, CheckType, option
from sidecar.config.fields import Text
from sidecar.config.problems import Mistake, quoted
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.process import CommandRunner, Ended
from sidecar.support.text import one_line

INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Variables that a command gets of ours."""


@dataclass(frozen=True, kw_only=True, repr=False)
class ExecConfig(CheckConfig):
    """What to run."""

    command: tuple[Text, ...] = option("The command and its arguments, a list; no shell reads it.")
    env: dict[str, Text] | None = option("Variables for the command, beside PATH and HOME.", default=None)

    @property
    def target(self) -> str:
        """The command without its arguments, of which one may be a secret."""
        return self.command[0]

    def rules(self) -> Iterator[Mistake]:
        """Yield what is wrong across the keys."""
        yield from super().rules()
        if not self.command:
            yield Mistake("is empty; write a command, such as [pg_isready, -q]", key="command")
        for name in self.env or {}:
            if not name or "=" in name or "\0" in name:
                yield Mistake(f"{quoted(name)} is not the name of a variable", key="env")


class ExecCheck:
    """Runs the command anew each time, in a process group of its own."""

    def __init__(self, config: ExecConfig) -> None:
        self._config = config
        self._runner = CommandRunner(f"exec:{config.name}")

    async def run(self) -> None:
        """Run the command, and judge how it ends."""
        command, target = self._config.command, self._config.target
        try:
            ended = await self._runner.run(command, self._environment())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CheckFailed(Reason.NOT_FOUND, f"{target}: command not found") from error
        except PermissionError as error:
            raise CheckFailed(Reason.FORBIDDEN, f"{target} may not be executed") from error
        except OSError as error:
            raise CheckFailed(Reason.UNAVAILABLE, f"{target}: {strerror(error)}") from error
        if ended.code != 0:
            raise CheckFailed(Reason.CONTRACT, f"{target} {_ending(ended)}")

    async def aclose(self) -> None:
        """Kill the command, if it is running."""
        self._runner.kill()

    def _environment(self) -> dict[str, str]:
        ours = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return ours | (self._config.env or {})


def _ending(ended: Ended) -> str:
    how = f"exited with {ended.code}" if ended.code > 0 else f"was killed by {_signal_name(-ended.code)}"
    lines = [line for line in map(one_line, ended.output.splitlines()) if line]
    return f"{how}: {lines[-1]}" if lines else how


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


check_type = CheckType(config=ExecConfig, build=ExecCheck)
