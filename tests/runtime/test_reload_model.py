"""Any history of edits, good and bad, against one sentence: the last good file that held still counts."""

import asyncio
import logging
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sidecar.config.model import Config
from sidecar.config.problems import ConfigError, Place, Problem
from sidecar.runtime.changes import Changes
from sidecar.runtime.pulse import Pulse
from sidecar.runtime.reload import POLL, RETRY, SETTLE, Reloader, ReloadRecord
from tests.boards import check
from tests.fuzz.profile import steps
from tests.runtime.fakes import loop_clock
from tests.runtime.virtual import VirtualLoop

QUIET = RETRY + POLL + 4 * SETTLE
"""Seconds after which whatever was written has been read."""
NAMES = st.lists(st.sampled_from(["a", "b", "c"]), unique=True, min_size=1)


async def _at_once(call: object, **_name: str) -> object:
    assert callable(call)
    return call()


class History(RuleBasedStateMachine):
    """The real reloader on real files; a line of the file is a check, `bad` makes it none."""

    @initialize(names=NAMES)
    def begin(self, names: list[str]) -> None:
        logging.disable()
        self.stack = ExitStack()
        self.stack.enter_context(patch("sidecar.runtime.reload.in_thread", _at_once))
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.path, self.secret = folder / "config", folder / "secret"
        self.good = self.written = names
        self.in_force = set(names)
        self.rotations = 0
        self.is_rotated = False
        self.edited: list[set[str]] = []
        self.expected: list[set[str]] = []
        self._write(names)
        self.secret.write_text("first")
        self.loop = VirtualLoop()
        self.loop.do(self._start())

    async def _start(self) -> None:
        clock = loop_clock()
        self.record = ReloadRecord(last_success_time=0.0)
        reloader = Reloader(
            self.path,
            self._read(),
            read=self._read,
            apply=self._apply,
            record=self.record,
            pulse=Pulse(clock),
            clock=clock,
        )
        self.reloader = reloader
        self.watching = asyncio.create_task(reloader.watch_forever())
        await asyncio.sleep(SETTLE)

    def _read(self) -> Config:
        names = self.path.read_text().split()
        if "bad" in names:
            raise ConfigError([Problem(Place(str(self.path), 1, 1), "checks", "is bad")])
        files = frozenset({self.secret})
        return Config(checks=tuple(map(check, names)), files=files, files_of=dict.fromkeys(names, files))

    def _apply(self, config: Config, changes: Changes) -> None:
        """Note which checks are said to ask anew, and which do: those of before, once after a rotation."""
        names = {each.name for each in config.checks}
        self.edited.append(set(changes.edited))
        self.expected.append(names & self.in_force if self.is_rotated else set())
        self.in_force, self.is_rotated = names, False

    def _write(self, names: list[str]) -> None:
        """Replace the file in one step, as whoever swaps links does."""
        fresh = self.path.with_name("fresh")
        fresh.write_text("\n".join(names))
        fresh.rename(self.path)

    @rule(names=NAMES)
    def a_good_file_is_written(self, names: list[str]) -> None:
        self._write(names)
        self.written = names

    @rule(names=NAMES)
    def a_bad_file_is_written(self, names: list[str]) -> None:
        self._write([*names, "bad"])
        self.written = [*names, "bad"]

    @rule(quietly=st.booleans())
    def somebody_asks(self, quietly: bool) -> None:
        self.reloader.wake(quietly=quietly)

    @rule(seconds=st.sampled_from([0.1, SETTLE, POLL]))
    def time_passes(self, seconds: float) -> None:
        self.loop.pass_by(seconds)

    @rule()
    def all_is_quiet(self) -> None:
        self.loop.pass_by(QUIET)
        if is_good := "bad" not in self.written:
            self.good = self.written
        applied = len(self.edited)
        self.loop.pass_by(QUIET)

        assert self.record.was_successful is is_good
        assert self.in_force == set(self.good) or not is_good
        assert len(self.edited) == applied, "what has not changed was applied again"

    @rule()
    def a_secret_rotates_amid_quiet(self) -> None:
        self.all_is_quiet()
        self.rotations += 1
        self.secret.write_text(f"another {self.rotations}")
        self.is_rotated = True
        self.loop.pass_by(QUIET)

        assert self.is_rotated is ("bad" in self.written), "a good file takes a secret at once"

    @invariant()
    def a_secret_that_rotates_edits_its_checks_once(self) -> None:
        assert self.edited == self.expected

    @invariant()
    def no_bad_file_is_ever_in_force(self) -> None:
        assert "bad" not in self.in_force
        assert self.in_force

    @invariant()
    def the_watch_goes_on(self) -> None:
        assert not self.watching.done()

    def teardown(self) -> None:
        logging.disable(logging.NOTSET)
        self.watching.cancel()
        left = self.loop.end()
        self.stack.close()

        assert left == []


TestHistory = History.TestCase
TestHistory.settings = steps(20)
